"""``tour``: see all of it work, without touching anything of yours."""

from __future__ import annotations

import os

import click

from rawr_install.cli.base import JSON_KEY, Result, command, log, show
from rawr_install.demo.tour import STORY, Taken, clear, prepare, take
from rawr_install.errors import RawrError
from rawr_install.report import Line, Span, to_json

WHAT_NEXT = """
That was all real: the same commands work in your own workspace.

  cd YOUR-WORKSPACE
  rawr --help                   its own CLI
  rawr-install activate         make it this machine's owner, if you want one
  rawr-install fallback enable  use the owner outside workspaces
  rawr doctor global            whenever `rawr` does not do what you expect

What these commands did can be undone: rawr-install rollback, rawr-install uninstall"""
EXAMPLES = """
rawr-install tour             about five seconds, nothing stays behind
rawr-install tour --keep      keep the home, to look around in it
"""


@command("tour", epilog=EXAMPLES)
@click.option("--keep", is_flag=True, help="Keep the throw-away home and say where it is.")
@click.pass_context
def tour(ctx: click.Context, keep: bool) -> Result:
    """Run rawr, activate, doctor and rollback in a throw-away home, and show what they print.

    Your own home, owner and entries are not touched. Two sample workspaces
    are made, whose CLI is a small shell program, so neither Bun nor a checkout
    is needed. Ends with exit code 1 if a step does not do what it says.
    """
    home = prepare()
    try:
        taken = _walk(home, as_json=JSON_KEY in ctx.meta)
    finally:
        gone = keep or clear(home)
    data = {"home": home, "kept": keep, "planned": len(STORY), "steps": to_json(taken)}
    warnings = [] if gone else [f"{home} could not be removed whole"]
    if not taken[-1].pass_:
        return Result(warnings=warnings, error=_failed(taken[-1], data))
    return Result(data, _ending(home, keep), warnings)


def _walk(home: str, as_json: bool) -> list[Taken]:
    """Take the steps; shown as they are taken, since a tour is for watching."""
    taken: list[Taken] = []
    if not as_json:
        show([f"A tour in a throw-away home (~): {home}", "Two sample workspaces are in it: alpha and beta."])
    for each in take(home, os.environ):
        taken.append(each)
        if as_json:
            log(f"tour: {len(taken)}/{len(STORY)} {each.title}")
        else:
            show(_shown(len(taken), each))
    return taken


def _shown(number: int, taken: Taken) -> list[Line]:
    ending = [f"(exit code {taken.exit_code})"] if taken.exit_code else []
    title = f"[{number}/{len(STORY)}] {taken.title}"
    return ["", title, Span(taken.prompt, "bold"), *taken.output.splitlines(), *ending]


def _ending(home: str, keep: bool) -> list[str]:
    kept = ["", f"The home is kept: {home}", f'Use it: HOME="{home}" sh'] if keep else []
    return [*WHAT_NEXT.splitlines(), *kept]


def _failed(taken: Taken, data: dict[str, object]) -> RawrError:
    wanted = " and ".join((f"exit code {taken.expected_exit_code}", *map(repr, taken.missing)))
    return RawrError(
        f"The step “{taken.title}” did not do what it says: wanted {wanted}, got exit code {taken.exit_code}.",
        code="TOUR_FAILED",
        hint="rawr-install tour --keep, then look into its home; please report what you see",
        details=data,
    )
