"""Web plugins of a workspace, switched on and off in its state; switching on passes the security gate.

One gate and one mutation a command, however many plugins. ``force`` passes over
a gate that says no, or that is not there, and leaves an event
(``plugins.gate.forced``) that says so. A dry run asks the gate and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os.path import basename

from rawr_install.encoding import shown
from rawr_install.errors import RawrError, RefusedError, UsageError
from rawr_install.events.log import emit
from rawr_install.plugins.catalog import Catalog, Plugin
from rawr_install.plugins.gate import DEFAULT_RISK, GateResult
from rawr_install.report import to_json
from rawr_install.state.document import RepoState
from rawr_install.state.store import get_repo_state, mutate_repo_state_atomically, preview, switch

NO_RUNTIME = "exports neither ./server nor ./web"


@dataclass(frozen=True)
class EnableOptions:
    """What the command line asks for."""

    risk: str | None = None
    staged: bool = False
    force: bool = False
    dry_run: bool = False

    @property
    def mode(self) -> str:
        return "staged" if self.staged else "repo"


@dataclass(frozen=True)
class DisableResult:
    """What a change of one plugin came to."""

    workspace_root: str
    plugin_id: str
    dry_run: bool
    changed: bool
    state: RepoState


@dataclass(frozen=True)
class EnableResult(DisableResult):
    """The same, and what the gate said; ``forced``: it was passed over."""

    forced: bool
    evaluation: dict[str, object]
    not_scanned: Sequence[str]


@dataclass(frozen=True)
class EnableAllResult:
    """What a change of all came to, a row for each plugin."""

    workspace_root: str
    mode: str
    risk_tolerance: str
    dry_run: bool
    planned_count: int
    skipped_count: int
    blocked_count: int
    error_count: int
    attempts: Sequence[dict[str, object]]
    skipped: Sequence[dict[str, str]]
    changed: bool
    forced: bool
    not_scanned: Sequence[str]


Gate = Callable[[], GateResult]


def find(catalog: Catalog, wanted: str) -> Plugin:
    """The web plugin named; raises UsageError ``PLUGIN_NOT_FOUND`` or ``PLUGIN_KIND_MISMATCH``."""
    plugin = catalog.find(wanted)
    if plugin is None:
        raise _unknown(catalog, wanted)
    if plugin.kind != "web":
        raise UsageError(
            f"Plugin {plugin.id} is of kind {plugin.kind}; only web plugins are switched on and off here.",
            code="PLUGIN_KIND_MISMATCH",
            remedy=("rawr-install", "plugins", "web", "list"),
            details={"pluginId": plugin.id, "kind": plugin.kind, "requiredKind": "web"},
        )
    return plugin


def _unknown(catalog: Catalog, wanted: str) -> UsageError:
    broken = next((found for found in catalog.violations if wanted in (found.id, basename(found.path))), None)
    why = f"; there is a folder of that name, but: {broken.message}" if broken else ""
    return UsageError(
        f"Unknown plugin: {wanted}{why}.",
        code="PLUGIN_NOT_FOUND",
        remedy=("rawr-install", "plugins", "web", "list"),
        details={"pluginId": wanted, "knownPluginIds": [plugin.id for plugin in catalog.plugins]},
    )


def rows(catalog: Catalog, found: RepoState, gone: bool = False) -> list[dict[str, object]]:
    """The web plugins and whether each is enabled; ``gone`` adds enabled ids that are no plugin here."""
    enabled = found["plugins"]["enabled"]
    made: list[dict[str, object]] = [
        {
            "id": plugin.id,
            **({"name": plugin.name} if plugin.name else {}),
            "dirName": plugin.folder,
            "absPath": plugin.path,
            "kind": plugin.kind,
            "capability": plugin.capability,
            "runtime": plugin.runtime_web,
            "enabled": plugin.id in enabled,
        }
        for plugin in catalog.plugins
        if plugin.kind == "web"
    ]
    known = {plugin.id for plugin in catalog.plugins}
    lost = [name for name in enabled if gone and name not in known]
    made.extend({"id": name, "kind": None, "runtime": False, "enabled": True} for name in lost)
    return made


def enable(root: str, catalog: Catalog, wanted: str, asked: EnableOptions, gate: Gate) -> EnableResult:
    """Switch one web plugin on; raises what :func:`find`, the gate and the state raise."""
    plugin = find(catalog, wanted)
    said = gate()
    _require(said, asked, root, [plugin.id], {"pluginId": plugin.id})
    state, changed = _mutate(root, [plugin.id], on=True, dry_run=asked.dry_run)
    evaluation = {**said.evaluation(), "mode": asked.mode}
    forced = not said.allowed
    return EnableResult(root, plugin.id, asked.dry_run, changed, state, forced, evaluation, said.not_scanned)


def disable(root: str, catalog: Catalog, wanted: str, dry_run: bool = False) -> DisableResult:
    """Switch one web plugin off; one that is gone from the workspace but still in the state can be, too."""
    gone = catalog.find(wanted) is None and wanted in get_repo_state(root)["plugins"]["enabled"]
    plugin_id = wanted if gone else find(catalog, wanted).id
    state, changed = _mutate(root, [plugin_id], on=False, dry_run=dry_run)
    return DisableResult(root, plugin_id, dry_run, changed, state)


def enable_all(root: str, catalog: Catalog, asked: EnableOptions, gate: Gate) -> EnableAllResult:
    """Switch on every web plugin with something to run, all in one mutation.

    Raises RefusedError ``SECURITY_GATE_BLOCKED`` with the whole result as details,
    UsageError ``NOT_IMPLEMENTED`` where there is no gate. A state that cannot be
    written is told in each attempt.
    """
    planned = [plugin.id for plugin in catalog.plugins if plugin.runtime_web]
    said = gate() if planned else GateResult("allowed", "no plugin", risk_tolerance=asked.risk or DEFAULT_RISK)
    forced = asked.force and not said.allowed
    rows = [{"pluginId": name, "allowed": said.allowed, "forced": forced, "persisted": False} for name in planned]
    skipped = _skipped(catalog)
    result = EnableAllResult(
        workspace_root=root,
        mode=asked.mode,
        risk_tolerance=said.risk_tolerance,
        dry_run=asked.dry_run,
        planned_count=len(planned),
        skipped_count=len(skipped),
        blocked_count=0 if said.allowed or forced else len(planned),
        error_count=0,
        attempts=rows,
        skipped=skipped,
        changed=False,
        forced=forced,
        not_scanned=said.not_scanned,
    )
    if not planned:
        return result
    _require(said, asked, root, planned, to_json(result))
    try:
        _, changed = _mutate(root, planned, on=True, dry_run=asked.dry_run)
    except RawrError as error:
        told = {"message": error.message, "code": error.code}
        failed = replace(result, error_count=len(planned), attempts=[{**row, "error": told} for row in rows])
        error.details = to_json(failed) | (error.details or {})
        raise
    return replace(result, changed=changed, attempts=[{**row, "persisted": not asked.dry_run} for row in rows])


def _skipped(catalog: Catalog) -> list[dict[str, str]]:
    idle = [plugin.id for plugin in catalog.plugins if plugin.kind == "web" and not plugin.runtime_web]
    broken = [found for found in catalog.violations if found.group == "web"]
    return [
        *({"pluginId": name, "reason": NO_RUNTIME} for name in idle),
        *({"pluginId": found.id, "reason": found.message} for found in broken),
    ]


def _require(
    said: GateResult, asked: EnableOptions, root: str, names: Sequence[str], details: dict[str, object]
) -> None:
    """Let an allowed or forced change through, with an event for the forced one; raises otherwise."""
    if said.allowed:
        return
    if not asked.force:
        details = {**details, "evaluation": said.evaluation()}
        raise (_blocked if said.outcome == "blocked" else _no_gate)(said.reason, root, details)
    if not asked.dry_run:
        gate = {"outcome": said.outcome, "reason": said.reason}
        emit("plugins.gate.forced", root=shown(root), pluginIds=list(names), gate=gate)


def _blocked(reason: str, root: str, details: dict[str, object]) -> RefusedError:
    return RefusedError(
        f"Enabling was blocked by the security gate of {root}: {reason}.",
        code="SECURITY_GATE_BLOCKED",
        hint="see the gate's report: rawr security check; --risk sets the tolerance, --force passes over the gate",
        details=details,
    )


def _no_gate(reason: str, root: str, details: dict[str, object]) -> UsageError:
    return UsageError(
        f"The workspace CLI of {root} cannot be asked for a security check: {reason}.",
        code="NOT_IMPLEMENTED",
        hint="give it what is missing, or pass --force (which is recorded)"
        + (", or --risk" if "rawr.config.ts" in reason else ""),
        details=details,
    )


def _mutate(root: str, names: list[str], on: bool, dry_run: bool) -> tuple[RepoState, bool]:
    """The state after the one mutation, and whether it differs; a dry run applies it to a copy."""
    mutator = switch(names, on)
    if dry_run:
        return preview(root, mutator)
    done = mutate_repo_state_atomically(root, mutator)
    return done.state, done.changed
