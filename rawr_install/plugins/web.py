"""Web plugins of a workspace, switched on and off in its state; switching on passes the security gate.

One gate and one mutation a command, however many plugins. ``force`` passes over
a gate that says no, or that is not there, and leaves an event
(``plugins.gate.forced``) that says so. A dry run asks the gate and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rawr_install.encoding import shown
from rawr_install.errors import RawrError, RefusedError, UsageError
from rawr_install.events import log as events
from rawr_install.plugins.catalog import Catalog, Plugin
from rawr_install.plugins.gate import DEFAULT_RISK, GateResult
from rawr_install.state import store as state
from rawr_install.state.document import RepoState

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
class EnableResult:
    """What a change came to: the data for programs, whether the gate was passed over, what it could not look at."""

    data: dict[str, object]
    forced: bool
    changed: bool
    not_scanned: Sequence[str] = ()


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
    broken = next((found for found in catalog.violations if wanted in (found.id, _folder(found.path))), None)
    why = f"; there is a folder of that name, but: {broken.message}" if broken else ""
    return UsageError(
        f"Unknown plugin: {wanted}{why}.",
        code="PLUGIN_NOT_FOUND",
        remedy=("rawr-install", "plugins", "web", "list"),
        details={"pluginId": wanted, "knownPluginIds": [plugin.id for plugin in catalog.plugins]},
    )


def _folder(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


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
    result = gate()
    _require(result, asked, root, [plugin.id], {"pluginId": plugin.id})
    after, changed = _mutate(root, [plugin.id], on=True, dry_run=asked.dry_run)
    forced = result.outcome != "allowed"
    evaluation = {**result.evaluation(), "riskTolerance": result.risk, "mode": asked.mode}
    done: dict[str, object] = {"workspaceRoot": root, "pluginId": plugin.id, "forced": forced, "dryRun": asked.dry_run}
    data = {**done, "changed": changed, "evaluation": evaluation, "state": after}
    return EnableResult(data, forced, changed, result.not_scanned)


def disable(root: str, catalog: Catalog, wanted: str, dry_run: bool = False) -> EnableResult:
    """Switch one web plugin off; one that is gone from the workspace but still in the state can be, too."""
    plugin_id = wanted if _gone_but_listed(root, catalog, wanted) else find(catalog, wanted).id
    after, changed = _mutate(root, [plugin_id], on=False, dry_run=dry_run)
    data = {"workspaceRoot": root, "pluginId": plugin_id, "dryRun": dry_run, "changed": changed, "state": after}
    return EnableResult(data, forced=False, changed=changed)


def _gone_but_listed(root: str, catalog: Catalog, wanted: str) -> bool:
    return catalog.find(wanted) is None and wanted in state.get_repo_state(root)["plugins"]["enabled"]


def enable_all(root: str, catalog: Catalog, asked: EnableOptions, gate: Gate) -> EnableResult:
    """Switch on every web plugin with something to run, all in one mutation.

    Raises RefusedError ``SECURITY_GATE_BLOCKED`` with the whole data as details,
    UsageError ``NOT_IMPLEMENTED`` where there is no gate. A state that cannot be
    written is told in each attempt.
    """
    planned = [plugin.id for plugin in catalog.plugins if plugin.runtime_web]
    if not planned:
        nothing = _summary(root, catalog, asked, asked.risk or DEFAULT_RISK, [])
        return EnableResult({**nothing, "changed": False}, forced=False, changed=False)
    result = gate()
    forced = asked.force and result.outcome != "allowed"

    def summary(persisted: bool, error: RawrError | None = None) -> dict[str, object]:
        attempts = [_attempt(name, result, forced, persisted, error) for name in planned]
        return _summary(root, catalog, asked, result.risk, attempts)

    _require(result, asked, root, planned, summary(persisted=False))
    try:
        _, changed = _mutate(root, planned, on=True, dry_run=asked.dry_run)
    except RawrError as error:
        error.details = summary(persisted=False, error=error) | (error.details or {})
        raise
    data = {**summary(persisted=not asked.dry_run), "changed": changed}
    return EnableResult(data, forced, changed, result.not_scanned)


def _attempt(
    name: str, result: GateResult, forced: bool, persisted: bool, error: RawrError | None = None
) -> dict[str, object]:
    made: dict[str, object] = {
        "pluginId": name,
        "allowed": result.outcome == "allowed",
        "forced": forced,
        "persisted": persisted,
    }
    return {**made, "error": {"message": error.message, "code": error.code}} if error else made


def _summary(
    root: str, catalog: Catalog, asked: EnableOptions, risk: str, attempts: Sequence[dict[str, object]]
) -> dict[str, object]:
    skipped = _skipped(catalog)
    return {
        "workspaceRoot": root,
        "mode": asked.mode,
        "riskTolerance": risk,
        "dryRun": asked.dry_run,
        "plannedCount": len(attempts),
        "skippedCount": len(skipped),
        "blockedCount": sum(not attempt["allowed"] and not attempt["forced"] for attempt in attempts),
        "errorCount": sum("error" in attempt for attempt in attempts),
        "attempts": list(attempts),
        "skipped": skipped,
    }


def _skipped(catalog: Catalog) -> list[dict[str, str]]:
    idle = [plugin.id for plugin in catalog.plugins if plugin.kind == "web" and not plugin.runtime_web]
    return [
        *({"pluginId": name, "reason": NO_RUNTIME} for name in idle),
        *({"pluginId": found.id, "reason": found.message} for found in catalog.violations if found.group == "web"),
    ]


def _require(
    result: GateResult, asked: EnableOptions, root: str, names: Sequence[str], details: dict[str, object]
) -> None:
    """Let an allowed or forced change through, with an event for the forced one; raises otherwise."""
    if result.outcome == "allowed":
        return
    if not asked.force:
        raise (_blocked if result.outcome == "blocked" else _no_gate)(result, root, details)
    if not asked.dry_run:
        said = {"outcome": result.outcome, "reason": result.reason}
        events.emit("plugins.gate.forced", root=shown(root), pluginIds=list(names), gate=said)


def _blocked(result: GateResult, root: str, details: dict[str, object]) -> RefusedError:
    return RefusedError(
        f"Enabling was blocked by the security gate of {root}: {result.reason}.",
        code="SECURITY_GATE_BLOCKED",
        hint="see the gate's report: rawr security check; --risk sets the tolerance, --force passes over the gate",
        details={**details, "evaluation": result.evaluation()},
    )


def _no_gate(result: GateResult, root: str, details: dict[str, object]) -> UsageError:
    return UsageError(
        f"The workspace CLI of {root} cannot be asked for a security check: {result.reason}.",
        code="NOT_IMPLEMENTED",
        hint="give it what is missing, or pass --force (which is recorded)"
        + (", or --risk" if "rawr.config.ts" in result.reason else ""),
        details={**details, "evaluation": result.evaluation()},
    )


def _mutate(root: str, names: list[str], on: bool, dry_run: bool) -> tuple[RepoState, bool]:
    """The state after the one mutation, and whether it differs; a dry run applies it to a copy."""
    switch = state.switch(names, on)
    if dry_run:
        return state.preview(root, switch)
    done = state.mutate_repo_state_atomically(root, switch)
    return done.state, done.changed
