"""``install``, ``activate``, ``deactivate``, ``rollback``, ``uninstall``: what changes the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from rawr_install.cli.base import JSON_KEY, Result, command, error_lines, log
from rawr_install.cli.screen.terminal import tilde, tilde_in
from rawr_install.dispatch.workspace import fallback_enabled
from rawr_install.ecmascript import trim
from rawr_install.errors import RawrError, RefusedError
from rawr_install.install import operations
from rawr_install.install.operations import Options
from rawr_install.machine.change import Change
from rawr_install.machine.entry import LINK, SHIM, classify
from rawr_install.machine.lock import WAIT
from rawr_install.machine.plan import Activated, Installed, Request
from rawr_install.machine.requirements import (
    INSTALL_COMMAND,
    MissingRequirement,
    install_dependencies,
    requirements,
    startable,
)
from rawr_install.paths import Paths
from rawr_install.report import command_line, to_json

UNDO = "To undo: rawr-install rollback"

_mode = click.option(
    "--mode",
    type=click.Choice(["bun-symlink", "shim"]),
    help="What the entry is: the shell entry that runs the workspace you stand in, or a link to one workspace's CLI, "
    "which then runs in every folder (default: what this machine has, else shim).",
)
_bin_dir = click.option(
    "--bin-dir",
    metavar="DIR",
    help="Where the entry goes (default: Bun's global bin folder; a shim goes to ~/.local/bin if that is not on PATH).",
)
_force = click.option(
    "--force", is_flag=True, help="Set a foreign file aside (kept beside its place); pass over another owner."
)
_wait = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=WAIT,
    metavar="SECONDS",
    help="How long to wait while another rawr-install changes this machine (default: 10).",
)


@command(
    "install",
    changes=True,
    epilog="""
rawr-install install                              a `rawr` that runs the workspace you stand in
rawr-install install --mode shim                  the same where a link decides now
rawr-install install --mode bun-symlink           a link to this workspace, which then runs in every folder
rawr-install install --force                      set a foreign file of that name aside first
""",
)
@click.option("--workspace", metavar="PATH", help="The workspace of a link (default: the one you stand in).")
@_mode
@_bin_dir
@_force
@_wait
def install(workspace: str | None, wait: float, dry_run: bool, yes: bool, **asked: Any) -> Result:
    """Put the global `rawr` in place; the machine's owner stays as it is."""
    done = operations.install(_paths(), Request(**asked), workspace, Options(dry_run, wait))
    result = done.plan.result
    details = _install_lines(result) if result.mode == LINK else ()
    return _answer(done, dry_run, _entry_lines(done), because=_because(result.mode), details=details)


@command(
    "activate",
    changes=True,
    epilog="""
rawr-install activate                             make the workspace you stand in the machine's owner
rawr-install activate ~/src/rawr --install-deps   another one, and install what it depends on
rawr-install activate --dry-run                   what would change
""",
)
@click.argument("workspace", metavar="[PATH]", required=False)
@_mode
@_bin_dir
@_force
@click.option("--install-deps", is_flag=True, help="Run `bun install --frozen-lockfile` in the workspace afterwards.")
@_wait
def activate(workspace: str | None, install_deps: bool, wait: float, dry_run: bool, yes: bool, **asked: Any) -> Result:
    """Make a workspace the machine's owner, and see to it that there is a `rawr`, both or neither."""
    done = operations.activate(_paths(), Request(**asked), workspace, Options(dry_run, wait))
    root = done.plan.result.instance_root
    deps = _install_deps(root, dry_run) if install_deps else None
    needs = requirements(root, os.environ, ask=True)
    more = {"needs": needs, "installDeps": deps}
    mode = done.plan.result.mode
    outcome = _answer(
        done,
        dry_run,
        _activate_lines(done),
        more,
        after=_need_lines(needs),
        because=_because(mode),
        details=[*_install_lines(done.plan.result), *_owner_lines(done.plan.result)] if mode == LINK else (),
    )
    if deps != "failed":
        return outcome
    error = _deps_failed(root, outcome)
    return outcome._replace(lines=[*outcome.lines, *error_lines(error)], error=error)


@command(
    "deactivate",
    changes=True,
    epilog="""
rawr-install deactivate                           the machine has no owner any more; rollback returns
""",
)
@_wait
def deactivate(wait: float, dry_run: bool, yes: bool) -> Result:
    """Forget the machine's owner; the entry named `rawr` stays where it is."""
    done = operations.deactivate(_paths(), Options(dry_run, wait))
    result = done.plan.result
    forgotten = f"This machine has no owner now; it was {_tilde(result.previous_owner)}. {UNDO}"
    lines = [forgotten] if done.changed else []
    return _answer(done, dry_run, lines, because="there was no owner to forget")


@command(
    "rollback",
    changes=True,
    epilog="""
rawr-install rollback                             back to before the last change; again: one further
rawr-install rollback --to 3                      back (or forward) to how it was after change 3
rawr-install history                              the changes and their numbers
""",
)
@click.option("--to", type=click.IntRange(min=0), metavar="N", help="The change to return to; 0 is before the first.")
@_wait
def rollback(to: int | None, wait: float, dry_run: bool, yes: bool) -> Result:
    """Return to the owner and entry from before the last change."""
    done = operations.rollback(_paths(), to, Options(dry_run, wait))
    changes = [change for change in done.plan.changes if change.role != "receipt"]
    lines = [f"Rolled back: {_restored(change)}" for change in changes]
    dangling = [change.path for change in changes if classify(change.path).kind == "dangling"]
    lines += [f"Note: {_tilde(path)} leads nowhere: the workspace that it had then is gone." for path in dangling]
    return _answer(done, dry_run, lines)


@command(
    "uninstall",
    changes=True,
    epilog="""
rawr-install uninstall                            remove what rawr-install put on this machine
rawr-install uninstall --purge                    and its history, receipt, events and policy files
rawr-install uninstall --dry-run                  what would go, what would come back
""",
)
@click.option("--purge", is_flag=True, help="Also remove history, receipt, events and policy files.")
@_wait
def uninstall(purge: bool, wait: float, dry_run: bool, yes: bool) -> Result:
    """Remove what the receipt lists and nobody has modified; put back what was set aside."""
    if not (dry_run or yes):
        _confirm("Remove the global rawr from this machine?")
    paths, options = _paths(), Options(dry_run, wait)
    done = operations.uninstall(paths, options)
    left = bool(done.plan.result.left)
    purged = operations.purge(paths, options) if purge and not left else []
    lines = [f"Removed {_tilde(path)}" for path in done.plan.result.removed]
    lines += [f"Restored {_tilde(path)}" for path in done.plan.result.restored]
    lines += [f"Purged {_tilde(path)}" for path in purged]
    lines += ["Not purged: the receipt is needed for what is left."] if purge and left else []
    because = "nothing is left that this toolkit put there and nobody has modified"
    outcome = _answer(done, dry_run, lines, {"purged": purged}, changed=bool(purged), because=because)
    planned = [f"  purge {_tilde(path)}" for path in purged] if dry_run else []
    return outcome._replace(lines=[*outcome.lines, *planned])


# -- words ---------------------------------------------------------------------


def _install_lines(result: Installed | Activated) -> list[str]:
    """What a link prints (wire)."""
    lines = [
        f"Installed Bun-global rawr symlink at {result.entry_path}",
        f"Target: {result.target}",
        f"Instance root: {result.instance_root}",
        f"Alias/instance seam: {result.alias_instance_seam_status}",
        f"Owner file: {result.owner_file_path}",
    ]
    return [*lines, f"Owner workspace: {result.owner_workspace_path}"] if result.owner_workspace_path else lines


def _entry_lines(done: operations.Result[Installed]) -> list[str]:
    """What holds and what comes next."""
    path, runs = _tilde(done.plan.result.entry_path), _runs(done.plan.result)
    if not _entry_changed(done):
        return [f"{'Nothing to do: ' * (done.plan.result.mode == SHIM)}{path} is there and runs {runs}."]
    first = "Next: cd into a workspace, then rawr. " if done.plan.result.mode == SHIM else ""
    return [f"Installed {path}: it runs {runs}.", first + UNDO]


def _runs(result: Installed | Activated) -> str:
    return "the workspace you are in" if result.mode == SHIM else f"{_tilde(result.instance_root)} in every folder"


def _restored(change: Change) -> str:
    """What holds again, in words."""
    path, after = _tilde(change.path), change.after
    if change.role == "owner" and after.kind == "file":
        return f"{_tilde(trim(after.data.decode('utf-8', 'replace')))} is this machine's owner again."
    if after.kind == "absent":
        return "this machine has no owner again." if change.role == "owner" else f"{path} is gone again."
    return f"{path} leads to {_tilde(after.target)} again." if after.kind == "link" else f"{path} is back as it was."


def _activate_lines(done: operations.Result[Activated]) -> list[str]:
    result = done.plan.result
    root, before = _tilde(result.instance_root), _tilde(result.previous_owner)
    sentence = {
        "initialized": f"{root} is this machine's owner now",
        "already": f"{root} is this machine's owner already",
        "transferred": f"{root} is this machine's owner now; it was {before}",
    }[result.ownership]
    made = f"; {_tilde(result.entry_path)} runs {_runs(result)}" if _entry_changed(done) else ""
    if result.mode == LINK:
        return [f"{sentence}{made}.", *([UNDO] if done.changed else [])]
    allowed = fallback_enabled(_paths().fallback_file, os.environ)
    beyond = "To let rawr run it outside every workspace, too: rawr-install fallback enable"
    undo = f" {UNDO}" if done.changed else ""
    return [f"{sentence}{made}.{undo}", "Outside every workspace rawr runs it." if allowed else beyond]


def _entry_changed(done: operations.Result[Any]) -> bool:
    return any(change.role == "entry" for change in done.plan.changes)


def _because(mode: str) -> str:
    return "everything was in place" if mode == LINK else ""


def _tilde(path: object) -> str:
    return tilde(str(path), _paths().home)


def _tilde_in(sentence: str) -> str:
    return tilde_in(sentence, _paths().home)


def _owner_lines(result: Activated) -> list[str]:
    """What activate adds for a link (wire)."""
    sentence = {
        "initialized": "Global rawr owner initialized to this instance.",
        "already": "Global rawr owner already pointed to this instance.",
        "transferred": f"Global rawr owner transferred from {result.previous_owner} to {result.instance_root}.",
    }[result.ownership]
    return [
        sentence,
        f"Owner file: {result.owner_file_path}",
        f"Active global rawr owner set to: {result.instance_root}",
    ]


def _install_deps(root: str, dry_run: bool) -> str:
    """``planned``, ``done`` or ``failed``; Bun's own output goes to stderr as it comes."""
    if dry_run:
        return "planned"
    log(f"in {root}: {' '.join(INSTALL_COMMAND)}")
    return "done" if install_dependencies(root, os.environ) == 0 else "failed"


def _deps_failed(root: str, outcome: Result) -> RawrError:
    missing = startable(os.environ) is None
    why = "Bun is not on PATH to install its dependencies" if missing else "installing its dependencies failed"
    then = f"in {command_line((root,))}: {' '.join(INSTALL_COMMAND)}"
    return RawrError(
        f"{root} is the owner now, but {why}.",
        code="INSTALL_DEPS_FAILED",
        hint=f"install Bun (bun.com/install); then, {then}" if missing else f"see Bun's output above; then, {then}",
        details=dict(outcome.data) if isinstance(outcome.data, dict) else None,
    )


def _need_lines(needs: Iterable[MissingRequirement]) -> list[str]:
    lines = []
    for need in needs:
        lines.append(f"This checkout still needs: {need.summary}")
        lines += [f"  try: {need.remedy.text}"] if need.remedy else []
    return lines


def _answer(
    done: operations.Result[Any],
    dry_run: bool,
    lines: Iterable[str],
    more: dict[str, Any] | None = None,
    *,
    after: Iterable[str] = (),
    changed: bool = False,
    because: str = "everything was in place",
    details: Iterable[str] = (),
) -> Result:
    """The result of a changing command: how things stand as data, its lines and notes, or its plan for a dry run."""
    changed = not dry_run and (done.changed or changed)
    notes = [*done.plan.notes, *_moved_notes(done)]
    data = {"changed": changed, "dryRun": dry_run, **to_json(done.plan.result), "notes": notes}
    data |= {"plan": done.plan.steps, "change": done.record.id if done.record else None}
    if dry_run:
        shown = ["Plan (nothing was changed):", *(f"  {step.describe()}" for step in done.plan.changes)]
        lines = map(_tilde_in, [*shown, *([] if done.plan.changes else ["  nothing to do"]), *notes])
    else:
        unchanged = [f"Nothing changed: {because}."] if because and not changed else []
        said = ["Details:", *details, *notes] if details else map(_tilde_in, notes)
        lines = [*lines, *said, *after, *unchanged]
    return Result(data | (more or {}), lines, done.recovered)


def _moved_notes(done: operations.Result[Any]) -> Iterable[str]:
    if done.moved:
        before, now = done.moved
        # bash, zsh and ksh remember where they found a command, and some do not look again when it is gone.
        yield f"Note: rawr was {before} and is now {now}; in a running shell: hash -r, or start a new one."


def _confirm(question: str) -> None:
    """Ask, where a person sits at a terminal and no document was asked for; elsewhere the command is the consent."""
    asked = sys.stdin.isatty() and sys.stderr.isatty() and JSON_KEY not in click.get_current_context().meta
    if asked and not click.confirm(question, err=True):
        raise RefusedError("You declined, so nothing was changed.", code="DECLINED")


def _paths() -> Paths:
    return Paths.from_environ(os.environ)
