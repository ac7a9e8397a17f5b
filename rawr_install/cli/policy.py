"""``fallback`` and ``trust``: what the user allows ``rawr`` to run."""

from __future__ import annotations

import os

import click

from rawr_install.cli.base import Result, command, group
from rawr_install.cli.screen.terminal import tilde
from rawr_install.dispatch.workspace import FALLBACK_VARIABLE, is_workspace
from rawr_install.install import policy
from rawr_install.machine.ownership import not_yours
from rawr_install.paths import Paths
from rawr_install.report import to_json


@group("fallback")
def fallback() -> None:
    """Whether `rawr` may run the owner's CLI outside every workspace (off unless you enable it)."""


@group("trust")
def trust() -> None:
    """Other users' workspaces that `rawr` may run as you."""


def _set(enabled: bool, dry_run: bool) -> Result:
    paths = Paths.from_environ(os.environ)
    change = policy.set_fallback(paths, enabled, dry_run)
    now = policy.fallback(paths)
    shown = to_json(now) | ({"enabled": enabled} if dry_run else {})
    data = {"changed": change.changed, "dryRun": dry_run, **shown}
    lines = [
        _changed(change, "Owner fallback", "enabled" if enabled else "disabled"),
        f"Policy file: {tilde(change.file, paths.home)}",
    ]
    return Result(data, lines, _doubts(now, enabled))


def _changed(change: policy.PolicyChange, what: str, state: str) -> str:
    if not change.changed:
        return f"{what}: {state} already, nothing changed."
    return f"{what}: would be {state} (dry run)." if change.dry_run else f"{what}: {state}."


def _doubts(now: policy.Fallback, wanted: bool) -> list[str]:
    """What stands between the user's wish and its effect."""
    if not wanted and FALLBACK_VARIABLE in now.enabled_by:
        return [f"{FALLBACK_VARIABLE}=1 is set here and enables the fallback all the same"]
    if wanted and now.owner_file_status != "valid":
        return [f"the owner file is {now.owner_file_status}: choose an owner with rawr-install activate PATH"]
    return []


@command(
    "enable", changes=True, epilog="rawr-install fallback enable      then `rawr` outside a workspace runs the owner"
)
def enable(dry_run: bool, yes: bool) -> Result:
    """Let the owner's CLI run outside workspaces; each time it does, one line on stderr says so."""
    return _set(True, dry_run)


@command(
    "disable", changes=True, epilog="rawr-install fallback disable     outside a workspace `rawr` is an error again"
)
def disable(dry_run: bool, yes: bool) -> Result:
    """Outside every workspace `rawr` runs nothing (the default)."""
    return _set(False, dry_run)


@command("status", epilog="rawr-install fallback status --json")
def status() -> Result:
    """Say whether the fallback is enabled, by what, and whether the owner could be used."""
    paths = Paths.from_environ(os.environ)
    now = policy.fallback(paths)
    by = f" by {', '.join(now.enabled_by)}" if now.enabled_by else ""
    lines = [
        f"Owner fallback: {'enabled' if now.enabled else 'disabled'}{by}",
        f"Owner: {tilde(now.owner_workspace_path or 'none', paths.home)} ({now.owner_file_status})",
    ]
    return Result(now, lines, [*_doubts(now, now.enabled), *_theirs(paths)])


for made in (enable, disable, status):
    fallback.add_command(made)


def _trust_outcome(change: policy.PolicyChange, state: str) -> Result:
    below = "" if is_workspace(change.path) or not os.path.isdir(change.path) else ", with every workspace in it"
    home = Paths.from_environ(os.environ).home
    lines = [_changed(change, tilde(change.path, home), state + below), f"Trust list: {tilde(change.file, home)}"]
    return Result(to_json(change), lines)


_path = click.argument("path", metavar="[PATH]", required=False)


@command(
    "add",
    changes=True,
    epilog="""
rawr-install trust add                 the workspace you stand in
rawr-install trust add /srv/team/rawr  another one; its real path is stored
rawr-install trust add /srv/team       a folder outside every workspace: every workspace in it
""",
)
@_path
@click.option("--force", is_flag=True, help="Also where others could put something else at that place.")
def add(path: str | None, force: bool, dry_run: bool, yes: bool) -> Result:
    """Let another user's workspace run as you: its owner can then run any program in your name."""
    change = policy.add_trust(Paths.from_environ(os.environ), path, dry_run, force)
    return _trust_outcome(change, "trusted")


@command("remove", changes=True, epilog="rawr-install trust remove /srv/team/rawr")
@_path
def remove(path: str | None, dry_run: bool, yes: bool) -> Result:
    """Take a workspace off the list; it need not exist any more."""
    change = policy.remove_trust(Paths.from_environ(os.environ), path, dry_run)
    return _trust_outcome(change, "not trusted")


@command("list", epilog="rawr-install trust list --json")
def list_trusted() -> Result:
    """Show the trusted workspaces and what stands there now."""
    paths = Paths.from_environ(os.environ)
    found = policy.trusted(paths)
    lines = [tilde(item.path, paths.home) + _remark(item) for item in found] or ["No trusted workspaces."]
    data = {"file": paths.trusted_file, "workspaces": found}
    return Result(data, lines, _theirs(paths))


def _theirs(paths: Paths) -> list[str]:
    """The warning that these files are not the user's, so that no command changes them."""
    why = not_yours(paths)
    return [why] if why else []


def _remark(item: policy.Trusted) -> str:
    if not item.is_workspace:
        return "  (every workspace in it)" if item.exists else "  (gone)"
    return "  (your own: needs no trust)" if item.owned_by_you else ""


for made in (add, remove, list_trusted):
    trust.add_command(made)
