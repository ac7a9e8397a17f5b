"""``tour``: see all of it work, without touching anything of yours."""

from __future__ import annotations

import os

import click

from rawr_install.cli.base import JSON_KEY, Outcome, command, note
from rawr_install.demo import tour as story
from rawr_install.demo.tour import STORY, Taken
from rawr_install.errors import RawrError
from rawr_install.report import printable

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
def tour(ctx: click.Context, keep: bool) -> Outcome:
    """Run rawr, activate, doctor and rollback in a throw-away home, and show what they print.

    Your own home, owner and entries are not touched. Two sample workspaces
    are made, whose CLI is a small shell program, so neither Bun nor a checkout
    is needed. Ends with exit code 1 if a step does not do what it says.
    """
    home = story.prepare()
    try:
        taken = _walk(home, as_json=JSON_KEY in ctx.meta)
    finally:
        gone = keep or story.clear(home)
    data = {"home": home, "kept": keep, "planned": len(STORY), "steps": [each.to_json() for each in taken]}
    warnings = [] if gone else [f"{home} could not be removed whole"]
    if not taken[-1].passed:
        return Outcome(warnings=warnings, error=_failed(taken[-1], data))
    return Outcome(data, _ending(home, keep), warnings)


def _walk(home: str, as_json: bool) -> list[Taken]:
    """Take the steps; shown as they are taken, since a tour is for watching."""
    taken: list[Taken] = []
    if not as_json:
        print(f"A tour in a throw-away home (~): {printable(home)}\nTwo sample workspaces are in it: alpha and beta.")
    for each in story.take(home, os.environ):
        taken.append(each)
        if as_json:
            note(f"tour: {len(taken)}/{len(STORY)} {each.step.title}")
        else:
            click.echo("\n".join(_shown(len(taken), each)))  # echo: no bold where no terminal is
    return taken


def _shown(number: int, taken: Taken) -> list[str]:
    output = [printable(line) for line in taken.output.splitlines()]
    ending = [f"(exit code {taken.code})"] if taken.code else []
    title = f"[{number}/{len(STORY)}] {taken.step.title}"
    return ["", title, click.style(story.prompt(taken.step), bold=True), *output, *ending]


def _ending(home: str, keep: bool) -> list[str]:
    kept = ["", f"The home is kept: {printable(home)}", f'Use it: HOME="{printable(home)}" sh'] if keep else []
    return [*WHAT_NEXT.splitlines(), *kept]


def _failed(taken: Taken, data: dict[str, object]) -> RawrError:
    wanted = f"exit code {taken.step.code}"
    if taken.missing:
        wanted += " and " + ", ".join(repr(text) for text in taken.missing)
    return RawrError(
        f"The step “{taken.step.title}” did not do what it says: wanted {wanted}, got exit code {taken.code}.",
        code="TOUR_FAILED",
        hint="rawr-install tour --keep, then look into its home; please report what you see",
        details=data,
    )
