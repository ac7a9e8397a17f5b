"""``state``: show and change a workspace's state file, and get it going again."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

import click

from rawr_install.cli.base import Result, command, group, root_to_change, workspace_option
from rawr_install.cli.screen.terminal import stdout
from rawr_install.dispatch.locate import find_workspace
from rawr_install.errors import StateError
from rawr_install.state.status import Status, read_status

if TYPE_CHECKING:
    from rawr_install.state.document import RepoState
    from rawr_install.state.store import RepoStateMutationResult

_plugins = click.argument("plugins", metavar="PLUGIN...", nargs=-1, required=True)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=5.0,
    metavar="SECONDS",
    help="How long to wait for the lock (default: 5).",
)
SHOWN = 40  # plugins of a list on the screen


@group("state")
def state() -> None:
    """Show or change which plugins a workspace has enabled, or get its state file going again."""


@command(
    "show",
    epilog="""
rawr-install state show                           the state, and who holds its lock for how long
rawr-install state show --workspace ~/src/rawr --json
""",
)
@workspace_option
def show(workspace: str | None) -> Result:
    """Show the state file and its lock; changes nothing."""
    root = find_workspace(workspace, os.environ)
    seen = read_status(os.path.join(root, ".rawr", "state", "state.json"))
    data = {"workspaceRoot": root, **_seen(seen)}
    lines = [f"State file: {seen.path} ({seen.file_status})", *_state_lines(seen.state), _lock_line(seen)]
    error = StateError(seen.error, code=seen.error_code, details=data, hint=_WAY_OUT[seen.file_status], exit_code=1)
    return Result(data, lines, seen.degraded, error if seen.error else None)


_WAY_OUT = {
    "corrupt": "rawr-install state recover --dry-run",
    "version": "upgrade rawr-install",
    "unreadable": "look at the file's kind and permissions",
    "missing": "",
    "ok": "",
}


def _seen(seen: Status) -> dict[str, object]:
    lock = {
        "status": seen.lock_status,
        "path": os.path.join(os.path.dirname(seen.path), "state.lock"),
        "holder": seen.holder or None,
        "heldForSeconds": None if seen.held_for is None else round(seen.held_for, 3),
        "proof": seen.proof or None,
        "sharedWith": None if seen.shared is None else {"host": seen.shared[0], "at": seen.shared[1]},
    }
    return {"path": seen.path, "fileStatus": seen.file_status, "state": seen.state, "lock": lock}


def _state_lines(state: RepoState | None) -> list[str]:
    if state is None:
        return []
    plugins = state["plugins"]
    return [
        *_listed("Enabled", plugins["enabled"]),
        *_listed("Disabled", plugins.get("disabled", [])),
        f"Last updated: {plugins['lastUpdatedAt']}",
    ]


def _listed(title: str, names: list[str]) -> list[str]:
    """The names behind their title, wrapped, and no more of them than fit a screen."""
    left = len(names) - SHOWN
    text = ", ".join(names[:SHOWN]) + (f" and {left:,} more (--json lists them all)" if left > 0 else "")
    return textwrap.wrap(
        f"{title}: {text or 'none'}",
        stdout().width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lock_line(seen: Status) -> str:
    if seen.lock_status == "free":
        return "Lock: free"
    if seen.lock_status == "abandoned":
        return f"Lock: {seen.lock_in_words} ({seen.proof}); the next change takes it over"
    return f"Lock: {seen.lock_in_words}, for {seen.held_for or 0.0:.1f} s"


@command("enable", changes=True, epilog="rawr-install state enable @rawr/plugin-hello @rawr/plugin-world")
@_plugins
@workspace_option
@_timeout
def enable(plugins: tuple[str, ...], workspace: str | None, timeout: float, dry_run: bool, yes: bool) -> Result:
    """Put plugins on the enabled list, in one change (no security gate: see `plugins web enable`)."""
    return _switch(plugins, root_to_change(workspace), timeout, dry_run, on=True)


@command("disable", changes=True, epilog="rawr-install state disable @rawr/plugin-hello --dry-run")
@_plugins
@workspace_option
@_timeout
def disable(plugins: tuple[str, ...], workspace: str | None, timeout: float, dry_run: bool, yes: bool) -> Result:
    """Put plugins on the disabled list, in one change."""
    return _switch(plugins, root_to_change(workspace), timeout, dry_run, on=False)


def _switch(plugins: tuple[str, ...], root: str, timeout: float, dry_run: bool, on: bool) -> Result:
    from rawr_install.state import store

    mutator = store.switch(list(plugins), on)
    if dry_run:
        planned, changed = store.preview(root, mutator)
        data = {"workspaceRoot": root, "dryRun": True, "changed": changed, "state": planned}
        return Result(data, _switched(plugins, on, f"Would {'enable' if on else 'disable'}" if changed else ""))
    made = store.mutate_repo_state_atomically(root, mutator, store.RepoStateMutationOptions(lock_timeout=timeout))
    data = {"workspaceRoot": root, "dryRun": False, "changed": made.changed, "state": made.state, "lock": _waited(made)}
    return Result(data, _switched(plugins, on, _word(on).capitalize() if made.changed else ""), made.degraded)


def _word(on: bool) -> str:
    return "enabled" if on else "disabled"


def _switched(plugins: tuple[str, ...], on: bool, deed: str) -> list[str]:
    return _listed(deed or f"Nothing changed, {_word(on)} already", list(plugins))


def _waited(made: RepoStateMutationResult) -> dict[str, object]:
    return {
        "waitedMs": round(made.waited * 1000, 3),
        "attempts": made.attempts,
        "contended": made.contended,
        "takeover": made.takeover or None,
        "previousHolder": made.previous_holder,
        "durable": made.durable,
        "degraded": list(made.degraded),
    }


@command(
    "recover",
    changes=True,
    epilog="""
rawr-install state recover --dry-run              what would be set aside, and what would come in its place
rawr-install state recover                        start from the last good copy, else anew
rawr-install state recover --fresh                start anew
""",
)
@workspace_option
@click.option("--fresh", is_flag=True, help="Start anew, not from the last good copy.")
@click.option("--force", is_flag=True, help="Also set aside a file of another version.")
def recover(workspace: str | None, fresh: bool, force: bool, dry_run: bool, yes: bool) -> Result:
    """Set a corrupt state file aside and start from the last good copy or anew."""
    from rawr_install.state import recovery

    root = root_to_change(workspace)
    made = recovery.plan_recovery(root, fresh, force) if dry_run else recovery.recover(root, fresh, force)
    data = {
        "workspaceRoot": root,
        "dryRun": dry_run,
        "changed": bool(made.source),
        "source": made.source or None,
        "setAside": made.set_aside or None,
        "state": made.state,
    }
    if not made.source:
        return Result(data, [f"State file: {made.path}: nothing to recover."])
    verb = "would be " if dry_run else ""
    lines = [f"{verb}set aside: {made.set_aside}", f"{verb}started from: {made.source}", *_state_lines(made.state)]
    return Result(data, lines)


@command(
    "unlock",
    changes=True,
    epilog="""
rawr-install state unlock                         remove a lock whose holder is gone; up to 3 s to make sure
rawr-install state unlock --dry-run               only find out
rawr-install state unlock --force                 also one whose holder cannot be judged from here
""",
)
@workspace_option
@click.option("--force", is_flag=True, help="Also one whose holder cannot be judged from here (on another host).")
def unlock(workspace: str | None, force: bool, dry_run: bool, yes: bool) -> Result:
    """Remove an abandoned lock; refuses while its holder lives."""
    from rawr_install.state import recovery
    from rawr_install.state.holder import in_words

    root = root_to_change(workspace)
    made = recovery.unlock(root, dry_run, force)
    data = {"workspaceRoot": root, "dryRun": dry_run, "changed": bool(made.proof) and not dry_run}
    data |= {"holder": made.holder or None, "proof": made.proof or None}
    verb = "would be removed" if dry_run else "removed"
    if not made.proof:
        return Result(data, ["Lock: free, nothing changed."])
    return Result(data, [f"Lock: {verb}; it was {in_words(made.holder)} ({made.proof})."])


for made in (show, enable, disable, recover, unlock):
    state.add_command(made)
