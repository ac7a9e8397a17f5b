"""``plugins status`` and ``plugins web ...``: the plugin manager's links, and the workspace's web plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from rawr_install import gate, install_state, machine, state, web
from rawr_install import repair as repairs
from rawr_install.cli.base import Command, Outcome, command, group
from rawr_install.cli.progress import Progress
from rawr_install.cli.table import table
from rawr_install.errors import RefusedError
from rawr_install.events import Run
from rawr_install.install_state import Facts, InstallState
from rawr_install.operations.look import Instance, find_instance
from rawr_install.paths import Places
from rawr_install.plugins import Catalog, discover
from rawr_install.repair import Repair
from rawr_install.report import printable
from rawr_install.web import Asked, Switched

LITERAL = "rawr_install.literal"  # in click's ctx.meta: the id came after "--"

_workspace = click.option("--workspace", metavar="PATH", help="The workspace (default: the one you stand in).")
_id = click.argument("plugin_id", metavar="ID")


@group("plugins")
def plugins() -> None:
    """The plugin manager's links to this workspace, and the workspace's web plugins."""


# -- links -------------------------------------------------------------------


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
@_workspace
def status(
    checks: str,
    repair: bool,
    dry_run: bool,
    yes: bool,
    no_fail: bool,
    allow_global_owner_fallback: bool,
    workspace: str | None,
) -> Outcome:
    """Whether the plugin manager's links agree with the workspace; reads only, unless --repair is given."""
    places = _places()
    root = _instance(places, workspace).root
    with Progress("plugins read:") as progress:

        def look() -> Facts:
            return install_state.look(root, None, None, allow_global_owner_fallback, progress)

        done = _repaired(look, places, dry_run) if repair else _assessed(look)
    return _status_outcome(root, checks, repair, done, no_fail)


def _assessed(look: Callable[[], Facts]) -> Repair:
    facts = look()
    report = install_state.report(facts, install_state.judge(facts))
    return Repair("skipped", report, report, "not asked for")


def _repaired(look: Callable[[], Facts], places: Places, dry_run: bool) -> Repair:
    if dry_run:
        return repairs.repair(look, places.machine_lock, dry_run=True)
    with Run("rawr-install plugins status --repair") as record:
        done = repairs.repair(look, places.machine_lock, wait=machine.WAIT)
        record.failure = done.error
        record.unchanged = done.action == "skipped"
    return done


def _status_outcome(root: str, checks: str, asked: bool, done: Repair, no_fail: bool) -> Outcome:
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
    return Outcome(data, list(_status_lines(root, asked, done)), after.get("notes", []), error)


def _repair_data(asked: bool, done: Repair) -> dict[str, object]:
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


def _status_lines(root: str, asked: bool, done: Repair) -> Iterator[str]:
    report = done.after
    yield f"workspace: {printable(root)}"
    if report["canonicalWorkspaceSource"] != "workspace-root":
        yield f"expected: plugins of {printable(report['canonicalWorkspaceRoot'])} (the machine's owner)"
    yield f"manifest: {printable(report['pluginManagerManifestPath'])}"
    summary = report["summary"]
    yield f"install: {report['status']} ({summary['expectedLinkCount']} expected, {summary['actualLinkCount']} linked)"
    if asked:
        yield f"repair: {done.action}{f' ({done.reason})' if done.reason else ''}"
    if done.backup:
        yield f"backup: {printable(done.backup)}"
    yield from _issue_lines(report)
    if done.error:
        yield f"failed: {printable(done.error.message)}"


def _issue_lines(report: InstallState) -> Iterator[str]:
    rows = [
        (str(issue["kind"]), "yes" if issue["autoFixable"] else "no", str(issue["message"]))
        for issue in report["issues"]
    ]
    if rows:
        yield ""
        yield from table(("ISSUE", "FIXABLE", "WHAT"), rows)
    if report["actions"]:
        yield ""
        yield "actions:"
        yield from (f"- {printable(action['command'])} ({action['reason']})" for action in report["actions"])


# -- web plugins -------------------------------------------------------------


@group("web")
def web_group() -> None:
    """Web plugins of the workspace: list them, switch them on (through the security gate) and off."""


plugins.add_command(status)
plugins.add_command(web_group)


@command("list", epilog="rawr-install plugins web list --json")
@_workspace
def web_list(workspace: str | None) -> Outcome:
    """The workspace's web plugins, and whether each is enabled."""
    return _shown(workspace, gone=False)


@command("status", epilog="rawr-install plugins web status")
@_workspace
def web_status(workspace: str | None) -> Outcome:
    """What is enabled, also ids in the state that are no plugin of this workspace any more."""
    return _shown(workspace, gone=True)


class EnableCommand(Command):
    """Remembers a ``--``: after it, ``all`` is a plugin's id."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[LITERAL] = "--" in args
        return super().parse_args(ctx, args)


@command(
    "enable",
    cls=EnableCommand,
    changes=True,
    epilog="""
rawr-install plugins web enable @rawr/plugin-mfe  one plugin, by id or folder name
rawr-install plugins web enable all               every web plugin that exports ./server or ./web
rawr-install plugins web enable -- all            the plugin whose id is "all"
rawr-install plugins web enable all --force       pass over the gate (this is recorded)
""",
)
@_id
@click.option("--risk", type=click.Choice(gate.RISKS), default="balanced", help="What the gate lets pass.")
@click.option("--staged", is_flag=True, help="Have the gate look at what is staged, not at the whole repository.")
@click.option("--force", is_flag=True, help="Enable although the gate says no or is not there; recorded in the events.")
@_workspace
def web_enable(plugin_id: str, workspace: str | None, yes: bool, **asked: Any) -> Outcome:
    """Enable a web plugin once the workspace's own security check allows it."""
    wanted = Asked(**asked)
    places = _places()
    root = _instance(places, workspace).root
    everything = plugin_id == "all" and not click.get_current_context().meta[LITERAL]
    catalog = _catalog(root)
    with Progress(f"waiting for the security check of {printable(root)}") as progress:

        def ask() -> gate.Ruling:
            flags = {"staged": wanted.staged, "dry_run": wanted.dry_run}
            return gate.ask(root, wanted.risk, os.environ, places.trusted_file, waiting=progress, **flags)

        if everything:
            return _all_outcome(web.enable_all(root, catalog, wanted, ask), wanted)
        return _switched("enabled", web.enable(root, catalog, plugin_id, wanted, ask), wanted.dry_run)


@command("disable", changes=True, epilog="rawr-install plugins web disable @rawr/plugin-mfe")
@_id
@_workspace
def web_disable(plugin_id: str, workspace: str | None, yes: bool, dry_run: bool) -> Outcome:
    """Disable a web plugin; nothing is asked for that."""
    root = _instance(_places(), workspace).root
    return _switched("disabled", web.disable(root, _catalog(root), plugin_id, dry_run), dry_run)


for _made in (web_list, web_status, web_enable, web_disable):
    web_group.add_command(_made)


def _shown(workspace: str | None, gone: bool) -> Outcome:
    root = _instance(_places(), workspace).root
    catalog, found = _catalog(root), state.get_repo_state(root)
    rows = web.rows(catalog, found, gone)
    data = {"workspaceRoot": root, "plugins": rows, "state": found}
    broken = [violation.message for violation in catalog.violations if violation.group == "web"]
    if not rows:
        return Outcome(data, ["no web plugins found"], broken)
    return Outcome(data, list(table(("PLUGIN", "STATUS", "RUNTIME"), [_cells(row) for row in rows])), broken)


def _cells(row: Mapping[str, object]) -> tuple[str, str, str]:
    runtime = "no plugin of this workspace" if row["kind"] is None else "yes" if row["runtime"] else web.NO_RUNTIME
    return str(row["id"]), "enabled" if row["enabled"] else "disabled", runtime


def _switched(verb: str, done: Switched, dry_run: bool) -> Outcome:
    name = printable(str(done.data["pluginId"]))
    head = f"forced enable: {name}" if done.forced else f"{verb}: {name}"
    return Outcome(done.data, [head, _persisted(done, dry_run)])


def _all_outcome(done: Switched, asked: Asked) -> Outcome:
    data = done.data
    lines = [f"planned: {data['plannedCount']}", f"skipped: {data['skippedCount']}"]
    if done.forced:
        lines.append(f"forced: {data['plannedCount']}")
    return Outcome(data, [*lines, _persisted(done, asked.dry_run)])


def _persisted(done: Switched, dry_run: bool) -> str:
    if dry_run:
        return "dry-run: no state persisted"
    return "persisted: .rawr/state/state.json" if done.changed else "unchanged: .rawr/state/state.json"


def _catalog(root: str) -> Catalog:
    with Progress("plugins read:") as progress:
        return discover(root, progress)


def _places() -> Places:
    return Places.from_environ(os.environ)


def _instance(places: Places, workspace: str | None) -> Instance:
    return find_instance(places, workspace)
