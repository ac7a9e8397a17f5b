"""A report for programs: the wire's fields in their order, then ours. Pure."""

from __future__ import annotations

from rawr_install.dispatch.workspace import seam_status
from rawr_install.doctor.diagnose import Report
from rawr_install.errors import RawrError
from rawr_install.machine.entry import LINK, SHIM
from rawr_install.machine.facts import Facts
from rawr_install.report import to_json

MESSAGE = "Global rawr is not configured for Bun-global execution"


def document(report: Report, every: bool = False) -> dict[str, object]:
    """The document's fields in the contract's order; ``every``: with the checks that found nothing."""
    facts = report.facts
    findings = report.answers if every else report.findings
    return {
        **_of_entry(facts),
        **_of_instance(facts),
        **_of_owner(facts),
        **_ours(facts),
        "findings": to_json(findings),
    }


def error(report: Report, strict: bool) -> RawrError | None:
    """The error to end with, or None: the unhealthy verdict, or with ``strict`` any warning."""
    if not report.healthy:
        return RawrError(MESSAGE, code="GLOBAL_RAWR_MISCONFIGURED")
    if strict and report.warnings:
        message = f"Global rawr is configured, with {len(report.warnings)} warning(s), and --strict counts them"
        return RawrError(message, code="GLOBAL_RAWR_WARNINGS")
    return None


def _of_entry(facts: Facts) -> dict[str, object]:
    first = facts.command
    return {
        "commandPath": first.path if first else None,
        "commandPathReal": first.real if first else None,
        "bunGlobalBinDir": facts.bun_bin_dir,
        "bunGlobalRawrPath": facts.bun_entry.path,
        "bunGlobalRawrReal": facts.bun_entry.real,
    }


def _of_instance(facts: Facts) -> dict[str, object]:
    instance = facts.instance
    return {
        "cliBinPath": instance.cli.path if instance else None,
        "cliBinReal": instance.cli.real if instance else None,
        "pnpmRawrShimPath": facts.pnpm_wire,
        "pnpmRawrShimExists": facts.pnpm_wire in facts.environment.pnpm_shims,
        "pnpmBeforeBunInPath": facts.path.pnpm_first_wire,
        "workspaceDependencyCount": instance.dependency_count if instance else 0,
        "currentInstanceRoot": instance.root if instance else None,
        "currentInstanceRootReal": instance.root if instance else None,
    }


def _of_owner(facts: Facts) -> dict[str, object]:
    owner = facts.owner
    current = facts.instance.root if facts.instance else None
    is_set = owner.exists and owner.status not in ("empty", "unreadable")
    return {
        "ownerFilePath": facts.owner_file,
        "ownerFileExists": owner.exists,
        "ownerWorkspacePath": owner.path,
        "ownerWorkspaceReal": owner.real,
        "ownerMatchesCurrentInstanceByRealpath": (owner.real is not None and owner.real == current) if is_set else None,
        "aliasInstanceSeamStatus": seam_status(owner, current),
        "commandSurfaces": {
            "externalCliPlugins": "rawr plugins ...",
            "workspaceRuntimePlugins": "rawr plugins web ...",
        },
        "recommendedMode": LINK,
    }


def _ours(facts: Facts) -> dict[str, object]:
    return {
        "ownerFileStatus": facts.owner.status,
        "ownerIsWorkspace": facts.owner.status == "valid",
        "installedMode": facts.installed_mode,
        "defaultMode": SHIM,
        "entries": [_entry(facts, index) for index in range(len(facts.entries))],
        "fallbackEnabled": bool(facts.environment.fallback),
        "workspaceTrusted": facts.instance.trusted if facts.instance else None,
        "state": _state(facts),
        **({"shells": to_json(facts.shells)} if facts.shells else {}),
    }


def _state(facts: Facts) -> dict[str, object] | None:
    state = facts.instance.state if facts.instance else None
    if state is None:
        return None
    lock = {"status": state.lock_status, "holder": dict(state.holder) or None, "heldForSeconds": state.held_for}
    return {"path": state.path, "fileStatus": state.file_status, "lock": lock}


def _entry(facts: Facts, index: int) -> dict[str, object]:
    entry = facts.entries[index]
    return {
        "path": entry.path,
        "real": entry.real,
        "kind": entry.kind,
        "installer": entry.installer,
        "ours": entry.ours,
        "executable": entry.executable,
        "instance": entry.instance,
        "version": facts.path.versions.get(entry.path),
        "alsoAt": list(facts.path.also_at.get(entry.path, ())),
    }
