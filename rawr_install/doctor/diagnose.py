"""Facts → report: the wire's fields, the findings, the verdict. Pure.

One list of findings feeds both the text and the JSON document. A check that
crashes becomes a finding of its own and hides no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from rawr_install.dispatch.workspace import seam_status
from rawr_install.doctor.checks import CHECKS, reason
from rawr_install.errors import RawrError, UsageError, os_error_in_words
from rawr_install.machine.entry import LINK, SHIM
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, to_json

FOLLOWS = "rawr runs the workspace you are in."
HEALTHY = "Global rawr is configured for Bun-global execution."
FAILED = "Global rawr check failed."
MESSAGE = "Global rawr is not configured for Bun-global execution"
RANK = {status: rank for rank, status in enumerate(("crash", "fail", "warn", "info", "skip", "ok"))}


class Report(NamedTuple):
    """A diagnosis. ``findings`` holds what was found, worst first; ``all_findings`` every check's answer."""

    reason: str
    wire: Mapping[str, object]
    all_findings: tuple[Finding, ...]
    shim_runs: bool = False

    @property
    def healthy(self) -> bool:
        return not self.reason

    @property
    def headline(self) -> str:
        """The first line for a person: the verdict, by the kind of entry that runs."""
        if not self.healthy:
            return FAILED
        return FOLLOWS if self.shim_runs else HEALTHY

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.all_findings if finding.status not in ("ok", "skip"))

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(finding.summary for finding in self.all_findings if finding.status in ("warn", "crash"))

    def data(self, verbose: bool = False) -> dict[str, object]:
        """The document's fields in the contract's order."""
        shown = self.all_findings if verbose else self.findings
        return {**self.wire, "findings": [to_json(finding) for finding in shown]}

    def error(self, strict: bool = False, verbose: bool = False) -> RawrError | None:
        """The error to end with, or None: the unhealthy verdict, or with ``strict`` any warning."""
        if not self.healthy:
            return RawrError(MESSAGE, code="GLOBAL_RAWR_MISCONFIGURED", details=self.data(verbose))
        if strict and self.warnings:
            message = f"Global rawr is configured, with {len(self.warnings)} warning(s), and --strict counts them"
            return RawrError(message, code="GLOBAL_RAWR_WARNINGS", details=self.data(verbose))
        return None


def diagnose(facts: Facts, only: Collection[str] = ()) -> Report:
    """Judge the facts; ``only`` narrows the findings to some checks, never the verdict. Raises UsageError."""
    unknown = sorted(set(only) - set(CHECKS))
    if unknown:
        raise UsageError(
            f"No such check: {', '.join(unknown)}.",
            code="UNKNOWN_CHECK",
            remedy=("rawr-install", "doctor", "global", "--list-checks"),
        )
    findings = [_judge(check_id, facts) for check_id in CHECKS if not only or check_id in only]
    shim = facts.command is not None and facts.command.kind == "shim"
    return Report(reason(facts), wire(facts), tuple(sorted(findings, key=lambda finding: RANK[finding.status])), shim)


def _judge(check_id: str, facts: Facts) -> Finding:
    check = CHECKS[check_id]
    try:
        found = check.judge(facts)
        excuse = "" if found else check.excuse(facts)
        return found or Finding(check_id, "skip" if excuse else "ok", excuse or check.title)
    except Exception as error:
        why = os_error_in_words(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return Finding(check_id, "crash", f"The check {check_id} could not be made: {why}")


def wire(facts: Facts) -> dict[str, object]:
    """The wire's fields in their order, then ours (without the findings)."""
    return {**_of_entry(facts), **_of_instance(facts), **_of_owner(facts), **_constant(), **_ours(facts)}


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
    set_at_all = owner.exists and owner.status not in ("empty", "unreadable")
    return {
        "ownerFilePath": facts.owner_file,
        "ownerFileExists": owner.exists,
        "ownerWorkspacePath": owner.path,
        "ownerWorkspaceReal": owner.real,
        "ownerMatchesCurrentInstanceByRealpath": (owner.real is not None and owner.real == current)
        if set_at_all
        else None,
        "aliasInstanceSeamStatus": seam_status(owner, current),
    }


def _constant() -> dict[str, object]:
    surfaces = {"externalCliPlugins": "rawr plugins ...", "workspaceRuntimePlugins": "rawr plugins web ..."}
    return {"commandSurfaces": surfaces, "recommendedMode": LINK}


def _ours(facts: Facts) -> dict[str, object]:
    return {
        "ownerFileStatus": facts.owner.status,
        "ownerIsWorkspace": facts.owner.status == "valid",
        "installedMode": facts.installed_mode,
        "defaultMode": SHIM,
        "entries": [_entry(facts, index) for index in range(len(facts.entries))],
        "fallbackEnabled": facts.environment.fallback,
        "workspaceTrusted": facts.instance.trusted if facts.instance else None,
        "state": _state(facts),
        **({"shells": [shell._asdict() for shell in facts.shells]} if facts.shells else {}),
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
