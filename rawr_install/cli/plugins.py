"""``plugins status``: the plugin manager's links, assessed and repaired. The group's other half is in ``web``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import click

from rawr_install.cli.base import LazyGroup, Result, command, group, workspace_option
from rawr_install.cli.screen.progress import Progress
from rawr_install.cli.screen.table import table
from rawr_install.cli.screen.terminal import stdout
from rawr_install.dispatch.locate import find_workspace
from rawr_install.errors import RefusedError
from rawr_install.paths import Paths
from rawr_install.plugins import install_state
from rawr_install.plugins.assess import LinkFacts, assess
from rawr_install.plugins.install_state import InstallState, RepairResult


@group("plugins", cls=LazyGroup, members={"status": "plugins:status", "web": "web:web_group"})
def plugins() -> None:
    """The plugin manager's links to this workspace, and the workspace's web plugins."""


@command(
    "status",
    epilog="""
rawr-install plugins status                       do the plugin manager's links agree with this workspace?
rawr-install plugins status --repair --dry-run    what a repair would do
rawr-install plugins status --repair              edit the manifest (a copy is kept), then look again
""",
)
@click.option("--checks", type=click.Choice(["install"]), default="install", help="What to check (default: install).")
@click.option("--repair", is_flag=True, help="Mend the links: exactly the actions that the report plans.")
@click.option("--dry-run", is_flag=True, help="With --repair: print the plan and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before changing anything.")
@click.option("--no-fail", is_flag=True, help="Exit 0 when there is drift (a repair that fails still exits 1).")
@click.option(
    "--allow-global-owner-fallback", is_flag=True, help="Expect the plugins of the machine's owner, where it is valid."
)
@workspace_option
def status(
    checks: str,
    repair: bool,
    dry_run: bool,
    yes: bool,
    no_fail: bool,
    allow_global_owner_fallback: bool,
    workspace: str | None,
) -> Result:
    """Whether the plugin manager's links agree with the workspace; reads only, unless --repair is given."""
    paths = Paths.from_environ(os.environ)
    root = find_workspace(workspace, os.environ)
    with Progress("plugins read:") as progress:

        def read() -> LinkFacts:
            return install_state.read_facts(root, None, None, allow_global_owner_fallback, progress)

        if repair:
            done = _repaired(read, paths, dry_run)
        else:
            facts = read()
            report = install_state.report(facts, assess(facts))
            done = RepairResult("skipped", report, report, "not asked for")
    return _status_result(root, checks, repair, done, no_fail)


def _repaired(read: Callable[[], LinkFacts], paths: Paths, dry_run: bool) -> RepairResult:
    from rawr_install.events.log import Run
    from rawr_install.install.policy import require_trust
    from rawr_install.machine.ownership import require_own_places
    from rawr_install.plugins.repair import repair, require_own_manifest

    def trusted() -> LinkFacts:
        # A link makes the plugin manager run the plugin's code as this user.
        facts = read()
        require_trust(facts.canonical.root, os.environ)
        require_own_manifest(facts.manifest.path, os.environ)
        return facts

    require_own_places(paths)

    if dry_run:
        return repair(trusted, paths.machine_lock, dry_run=True)
    with Run("rawr-install plugins status --repair") as record:
        done = repair(trusted, paths.machine_lock)
        record.failure = done.error
        record.unchanged = done.action == "skipped"
    return done


def _status_result(root: str, checks: str, asked: bool, done: RepairResult, no_fail: bool) -> Result:
    after = done.after
    data = {
        "workspaceRoot": root,
        "checks": checks,
        "changed": done.action == "applied" or done.backup is not None,
        "statuses": {"install": after["status"]},
        "repair": _repair_data(asked, done),
        "install": after,
    }
    error = done.error or (None if after["inSync"] or no_fail else _drift(after))
    if error:
        error.details = {**data, **(error.details or {})}
    return Result(data, list(_status_lines(root, asked, done)), after.get("notes", []), error)


def _repair_data(asked: bool, done: RepairResult) -> dict[str, object]:
    data: dict[str, object] = {"requested": asked, "action": done.action, "reason": done.reason}
    if asked:
        data |= {"beforeStatus": done.before["status"], "actions": done.before["actions"], "backup": done.backup}
    if done.error:
        data["error"] = {"code": done.error.code, "message": done.error.message}
    return data


def _drift(report: InstallState) -> RefusedError:
    number = report["summary"]["issueCount"]
    found = f"{number} issue{'s' if number > 1 else ''} in {report['pluginManagerManifestPath']}"
    fixable = bool(report["actions"])
    return RefusedError(
        f"The plugin links do not agree with {report['canonicalWorkspaceRoot']}: {report['status']}, {found}.",
        code="INSTALL_DRIFT",
        remedy=("rawr-install", "plugins", "status", "--checks", "install", "--repair") if fixable else (),
        hint="" if fixable else "nothing here can be mended for you: see the issues",
    )


def _status_lines(root: str, asked: bool, done: RepairResult) -> Iterator[str]:
    report = done.after
    yield f"workspace: {root}"
    if report["canonicalWorkspaceSource"] != "workspace-root":
        yield f"expected: plugins of {report['canonicalWorkspaceRoot']} (the machine's owner)"
    yield f"manifest: {report['pluginManagerManifestPath']}"
    summary = report["summary"]
    yield f"install: {report['status']} ({summary['expectedLinkCount']} expected, {summary['actualLinkCount']} linked)"
    if asked:
        yield f"repair: {done.action}{f' ({done.reason})' if done.reason else ''}"
    if done.backup:
        yield f"backup: {done.backup}"
    yield from _issue_lines(report)
    if done.error:
        yield f"failed: {done.error.message}"


def _issue_lines(report: InstallState) -> Iterator[str]:
    rows = []
    for issue in report["issues"]:
        now = f" (now: {issue['actualRoot']})" if issue.get("actualRoot") else ""
        rows.append((str(issue["kind"]), "yes" if issue["autoFixable"] else "no", f"{issue['message']}{now}"))
    if rows:
        yield ""
        yield from table(("ISSUE", "FIXABLE", "WHAT"), rows, stdout().width)
    if report["actions"]:
        yield ""
        yield "actions:"
        yield from (f"- {action['command']} ({action['reason']})" for action in report["actions"])
