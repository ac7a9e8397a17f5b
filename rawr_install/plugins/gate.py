"""The security gate: the workspace CLI's own ``security check``, asked once and judged here.

EnableOptions as ``<workspace CLI> security check --json [--staged] [--dry-run]`` in the
workspace's root, whatever the current folder is, with ``RAWR_WORKSPACE_ROOT``
set to that root, and PATH without its relative elements. Its stdout is the usual
envelope with ``data.report.{ok, findings[{severity}]}``; its stderr goes to ours.

========================  =====================================================
what happens              result
========================  =====================================================
exit 0                    allowed, unless the report says ``ok: false``
exit 1, or ``ok: false``  the findings against the risk tolerance; without
                          findings that can be read, blocked (but not at ``off``)
exit 2, 126, 127          no gate: the command is unknown or not implemented
cannot be started         no gate
error code NOT_IMPLE-     no gate, whatever the exit code
MENTED, UNKNOWN_COMMAND,
COMMAND_NOT_FOUND
anything else             blocked: a gate that crashed or timed out has not said yes
========================  =====================================================

Tolerance: ``strict`` allows no finding, ``balanced`` up to medium, ``permissive`` up
to high, ``off`` all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rawr_install.dispatch import program
from rawr_install.dispatch.workspace import cli_path
from rawr_install.report import to_json

RISKS = ("strict", "balanced", "permissive", "off")
TIMEOUT = 600.0  # seconds
_TICK = 0.25  # seconds between two signs of life
_SEVERITIES = ("info", "low", "medium", "high", "critical")
_ALLOWED_UP_TO = {"strict": -1, "balanced": 2, "permissive": 3, "off": 4}
_NO_GATE_EXITS = (2, 126, 127)
_NO_GATE_CODES = ("NOT_IMPLEMENTED", "UNKNOWN_COMMAND", "COMMAND_NOT_FOUND")


@dataclass(frozen=True)
class GateResult:
    """What the gate said: ``outcome`` is ``allowed``, ``blocked`` or ``absent``; ``report`` is its own, if any."""

    outcome: str
    reason: str
    exit_code: int | None = None
    report: Mapping[str, Any] | None = None

    def evaluation(self) -> dict[str, object]:
        """The result as the wire's documents carry it."""
        return {"allowed": self.outcome == "allowed", **to_json(self)}


def interpret(exit_code: int, output: bytes, risk: str) -> GateResult:
    """Judge a gate that ended with ``exit_code`` (negative: the signal that ended it) and printed ``output``. Pure."""
    document = _document(output)
    error = document.get("error")
    if exit_code in _NO_GATE_EXITS or (isinstance(error, dict) and error.get("code") in _NO_GATE_CODES):
        return GateResult("absent", f"it has no working `security check` (exit {exit_code})", exit_code)
    if exit_code not in (0, 1):
        return GateResult("blocked", f"the gate itself failed (exit {exit_code})", exit_code)
    report = _report(document)
    if exit_code == 0 and (report is None or report.get("ok") is not False):
        return GateResult("allowed", "the gate found nothing", exit_code, report)
    return _compare_severity(exit_code, report, risk)


def _compare_severity(exit_code: int, report: Mapping[str, Any] | None, risk: str) -> GateResult:
    worst = max((_rank(finding) for finding in _findings(report)), default=None)
    if worst is None:
        outcome = "allowed" if risk == "off" else "blocked"
        return GateResult(outcome, "the gate said no and named no finding", exit_code, report)
    outcome = "allowed" if worst <= _ALLOWED_UP_TO[risk] else "blocked"
    return GateResult(outcome, f"the worst finding is {_SEVERITIES[worst]}, the tolerance {risk}", exit_code, report)


def _document(output: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _report(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    data = document.get("data")
    report = data.get("report") if isinstance(data, dict) else None
    return report if isinstance(report, dict) else None


def _findings(report: Mapping[str, Any] | None) -> list[Any]:
    found = report.get("findings") if report else None
    return found if isinstance(found, list) else []


def _rank(finding: object) -> int:
    severity = finding.get("severity") if isinstance(finding, dict) else None
    # A severity that nobody knows is not taken lightly.
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES) - 1


def run_gate(
    root: str,
    risk: str,
    environ: Mapping[str, str],
    *,
    staged: bool = False,
    dry_run: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> GateResult:
    """Run the gate of the workspace ``root`` and judge it; ``waiting`` is called now and then meanwhile.

    It is the workspace's code: the caller has asked :func:`rawr_install.install.policy.require_trust`.
    """
    if not os.path.isfile(cli_path(root)):
        return GateResult("absent", f"there is no workspace CLI at {cli_path(root)}")
    argv = [cli_path(root), "security", "check", "--json"]
    argv += ["--staged"] * staged + ["--dry-run"] * dry_run
    try:
        exit_code, output = _run(argv, root, {**program.environment(environ), "RAWR_WORKSPACE_ROOT": root}, waiting)
    except TimeoutError:  # before OSError, whose kind it is
        return GateResult("blocked", f"the gate did not answer within {TIMEOUT:g} s")
    except OSError as error:
        return GateResult("absent", f"{argv[0]} cannot be started ({error.strerror})")
    return interpret(exit_code, output, risk)


def _run(argv: list[str], cwd: str, environ: Mapping[str, str], waiting: Callable[[], None]) -> tuple[int, bytes]:
    """Exit code and stdout; raises OSError when it cannot start, TimeoutError after :data:`TIMEOUT` seconds."""
    import subprocess
    import time

    deadline = time.monotonic() + TIMEOUT
    with subprocess.Popen(argv, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as gate:
        while True:
            try:
                output, _ = gate.communicate(timeout=_TICK)
                return gate.returncode, output
            except subprocess.TimeoutExpired:
                waiting()
                if time.monotonic() > deadline:
                    gate.kill()
                    raise TimeoutError from None
