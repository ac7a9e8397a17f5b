"""``refresh``: what a git hook calls after it changed the checkout."""

from __future__ import annotations

import os

import click

from rawr_install.cli.base import Result, command, log
from rawr_install.cli.screen.terminal import tilde, tilde_in
from rawr_install.dispatch.locate import existing_folder
from rawr_install.errors import RawrError, unexpected
from rawr_install.install.refresh import Hook, Refreshed
from rawr_install.machine.toolkit import shipped_file
from rawr_install.paths import Paths
from rawr_install.report import remedy_text, to_json

HOOK_WAIT = 2.0  # seconds for the machine lock; the next hook makes up for a miss
EXAMPLES = """
rawr-install refresh                                  the checkout you stand in
rawr-install refresh --print-hook post-merge          the hook file, for .git/hooks
rawr-install refresh --hook post-checkout OLD NEW     what such a hook file calls
"""
HOOKS = ("post-checkout", "post-merge", "post-rewrite")


@command("refresh", changes=True, epilog=EXAMPLES)
@click.option(
    "--hook",
    nargs=3,
    metavar="NAME OLD NEW",
    help="Called from git's hook NAME, which took HEAD from OLD to NEW; never fails.",
)
@click.option("--print-hook", type=click.Choice(HOOKS), help="Print that hook file for git, and do nothing else.")
def refresh(hook: tuple[str, str, str] | None, print_hook: str | None, dry_run: bool, yes: bool) -> Result:
    """After git changed the owner's checkout: check and mend the entry, say what is needed.

    Does nothing in a checkout that is not the machine's owner. From a hook it
    also does nothing unless a path that matters has changed since the last
    refresh: apps/cli, package.json, Bun's lockfile, a plugin's package.json.
    """
    if print_hook:
        text = hook_file(print_hook)
        return Result({"hook": print_hook, "script": text, "changed": False}, text.splitlines())
    if hook is None:
        done = _refresh(None, dry_run)
        return Result(_shown(done), _lines(done), list(done.notes))
    try:
        done = _refresh(Hook(*hook), dry_run)
    except Exception as error:  # even a bug of ours is no reason for git to report a failure
        return _shrugged(error)
    for line in _news(done):
        log(f"rawr-install: {line}")
    return Result(_shown(done))


def _shown(done: Refreshed) -> dict[str, object]:
    acted = done.reason == "refreshed"
    return {"acted": acted, "changed": acted and bool(done.steps), **to_json(done)}


def _refresh(hook: Hook | None, dry_run: bool) -> Refreshed:
    from rawr_install.install import operations
    from rawr_install.install.refresh import refresh as run_refresh

    options = operations.Options(dry_run, HOOK_WAIT) if hook else operations.Options(dry_run)
    return run_refresh(Paths.from_environ(os.environ), existing_folder(), hook, options)


def _shrugged(error: Exception) -> Result:
    """A hook's failure: one line, and exit code 0, since git has done what it was asked."""
    known = error if isinstance(error, RawrError) else unexpected(error)
    way_out = remedy_text(known).replace("\nor ", "; or ")
    said = f"not refreshed: {known.message} [{known.code}]" + (f"; try: {way_out}" if way_out else "")
    return Result(
        {"acted": False, "changed": False, "reason": "failed", "code": known.code}, warnings=[f"rawr-install: {said}"]
    )


def _lines(done: Refreshed) -> list[str]:
    root = tilde(str(done.workspace_root), Paths.from_environ(os.environ).home)
    idle = {
        "no-owner": "No workspace is this machine's owner; nothing to refresh.",
        "not-owner": f"This checkout is not the machine's owner ({root}); nothing to refresh.",
    }
    if done.reason in idle:
        return [idle[done.reason]]
    paths = "unknown" if done.changed_paths is None else ", ".join(done.changed_paths) or "none"
    since = f"since {done.since[:12]}" if done.since else "so far"
    return [
        f"Owner: {root}",
        f"Changed paths that matter {since}: {paths}",
        *(_news(done) or ["All in place."]),
    ]


def _news(done: Refreshed) -> list[str]:
    """What a person should read even in the middle of other output."""
    home = Paths.from_environ(os.environ).home
    steps = [f"{'would ' if done.reason == 'planned' else ''}{tilde_in(step, home)}" for step in done.steps]
    return [*steps, *(need.summary + (f" Try: {need.remedy.text}" if need.remedy else "") for need in done.needs)]


def hook_file(name: str) -> str:
    """The ready hook file ``name``: the one script, which then need not be called by the hook's name."""
    with open(shipped_file("git-hook", "scripts"), encoding="utf-8") as file:
        return file.read().replace("\nhook=${0##*/}\n", f"\nhook={name}\n", 1)
