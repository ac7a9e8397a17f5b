"""``plugins web ...``: the workspace's web plugins, listed and switched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from rawr_install.cli.base import Command, Result, command, group, log, root_to_change, workspace_option
from rawr_install.cli.screen.progress import Progress
from rawr_install.cli.screen.table import table
from rawr_install.cli.screen.terminal import stdout
from rawr_install.dispatch.locate import find_workspace
from rawr_install.plugins import gate, web
from rawr_install.plugins.catalog import Catalog, discover
from rawr_install.plugins.web import DisableResult, EnableOptions, EnableResult
from rawr_install.report import to_json
from rawr_install.state.store import get_repo_state

LITERAL = "rawr_install.literal"  # in click's ctx.meta: the id came after "--"

_id = click.argument("plugin_id", metavar="ID")


@group("web")
def web_group() -> None:
    """Web plugins of the workspace: list them, switch them on (through the security gate) and off."""


@command("list", epilog="rawr-install plugins web list --json")
@workspace_option
def web_list(workspace: str | None) -> Result:
    """The workspace's web plugins, and whether each is enabled."""
    return _shown(workspace, gone=False)


@command("status", epilog="rawr-install plugins web status")
@workspace_option
def web_status(workspace: str | None) -> Result:
    """What is enabled, and the enabled ids that are not plugins of this workspace."""
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
@click.option(
    "--risk",
    type=click.Choice(gate.RISKS),
    help="What the gate lets pass (default: as rawr.config.ts says).",
)
@click.option("--staged", is_flag=True, help="Have the gate look at what is staged, not at the whole repository.")
@click.option("--force", is_flag=True, help="Enable although the gate says no or is not there; recorded in the events.")
@workspace_option
def web_enable(plugin_id: str, workspace: str | None, yes: bool, **asked: Any) -> Result:
    """Enable a web plugin once the workspace's own security check allows it."""
    wanted = EnableOptions(**asked)
    root = root_to_change(workspace)
    everything = plugin_id == "all" and not click.get_current_context().meta[LITERAL]
    catalog = _catalog(root)
    with Progress(f"waiting for the security check of {root}") as progress:

        def ask() -> gate.GateResult:
            flags = {"staged": wanted.staged, "dry_run": wanted.dry_run}
            return gate.run_gate(root, wanted.risk, os.environ, waiting=progress, log=log, **flags)

        if everything:
            return _all_result(web.enable_all(root, catalog, wanted, ask))
        return _switched("enabled", web.enable(root, catalog, plugin_id, wanted, ask))


@command("disable", changes=True, epilog="rawr-install plugins web disable @rawr/plugin-mfe")
@_id
@workspace_option
def web_disable(plugin_id: str, workspace: str | None, yes: bool, dry_run: bool) -> Result:
    """Disable a web plugin; nothing is asked for that."""
    root = root_to_change(workspace)
    return _switched("disabled", web.disable(root, _catalog(root), plugin_id, dry_run))


for _made in (web_list, web_status, web_enable, web_disable):
    web_group.add_command(_made)


def _shown(workspace: str | None, gone: bool) -> Result:
    root = find_workspace(workspace, os.environ)
    catalog, found = _catalog(root), get_repo_state(root)
    rows = web.rows(catalog, found, gone)
    excluded = sum(plugin.kind != "web" for plugin in catalog.plugins)
    data = {"workspaceRoot": root, "plugins": rows, "excludedCount": excluded, "state": found}
    broken = [violation.message for violation in catalog.violations if violation.group == "web"]
    if not rows:
        return Result(data, ["no web plugins found"], broken)
    lines = list(table(("PLUGIN", "STATUS", "RUNTIME"), [_cells(row) for row in rows], stdout().width))
    return Result(data, lines, broken)


def _cells(row: Mapping[str, object]) -> tuple[str, str, str]:
    runtime = "not a plugin of this workspace" if row["kind"] is None else "yes" if row["runtime"] else web.NO_RUNTIME
    return str(row["id"]), "enabled" if row["enabled"] else "disabled", runtime


def _switched(verb: str, done: DisableResult) -> Result:
    forced = isinstance(done, EnableResult) and done.forced
    head = f"forced enable: {done.plugin_id}" if forced else f"{verb}: {done.plugin_id}"
    not_scanned = done.not_scanned if isinstance(done, EnableResult) else ()
    return Result(to_json(done), [head, *_ending(not_scanned, done.dry_run, done.changed)])


def _all_result(done: web.EnableAllResult) -> Result:
    forced = [f"forced: {done.planned_count}"] if done.forced else []
    lines = [f"planned: {done.planned_count}", f"skipped: {done.skipped_count}", *forced]
    return Result(to_json(done), [*lines, *_ending(done.not_scanned, done.dry_run, done.changed)])


def _ending(not_scanned: Sequence[str], dry_run: bool, changed: bool) -> list[str]:
    written = f"{'persisted' if changed else 'unchanged'}: .rawr/state/state.json"
    return [*(f"not scanned: {each}" for each in not_scanned), "dry-run: no state persisted" if dry_run else written]


def _catalog(root: str) -> Catalog:
    with Progress("plugins read:") as progress:
        return discover(root, progress)
