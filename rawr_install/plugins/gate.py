"""The security gate: the workspace CLI's own ``security check``, asked once and judged here.

Asked as ``<workspace CLI> security check --json [--staged] [--dry-run]`` in the
workspace's root, whatever the current folder is, with ``RAWR_WORKSPACE_ROOT``
set to that root, and PATH without its relative elements. Its stdout is the usual
envelope with ``data.report.{ok, findings[{severity}]}``; its stderr is shown,
but not that of a CLI without a gate: a missing command ends in a stack trace.

========================  =====================================================
what happens              result
========================  =====================================================
exit 0, report ``ok``     allowed
exit 1, or ``ok: false``  the findings against the risk tolerance; without
                          findings that can be read, blocked (but not at ``off``)
exit 0 or 1, and neither  no gate: the command, or a module of it, is missing
a report nor an error
exit 2, 126, 127          no gate: the command is unknown or not implemented
cannot be started         no gate
an error code of          no gate, whatever the exit code
:data:`_NO_GATE_CODES`
anything else             blocked: a gate that crashed or timed out has not said yes
========================  =====================================================

Tolerance: ``strict`` allows no finding, ``balanced`` up to medium, ``permissive`` up
to high, ``off`` all. Where none is given, it is ``plugins.defaultRiskTolerance`` of the
workspace's ``rawr.config.ts``, which only the workspace CLI can read (``config show
--json``: ``data.config``); without that file or key it is ``balanced``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rawr_install.dispatch import program
from rawr_install.dispatch.workspace import cli_path
from rawr_install.errors import os_error_reason
from rawr_install.events.log import for_child
from rawr_install.report import to_json

RISKS = ("strict", "balanced", "permissive", "off")
DEFAULT_RISK = "balanced"
TIMEOUT = 600.0  # seconds
_TICK = 0.25  # seconds between two signs of life
_SEVERITIES = ("info", "low", "medium", "high", "critical")
_ALLOWED_UP_TO = {"strict": -1, "balanced": 2, "permissive": 3, "off": 4}
_NO_GATE_EXITS = (2, 126, 127)
_NO_GATE_CODES = (
    *("NOT_IMPLEMENTED", "UNKNOWN_COMMAND", "COMMAND_NOT_FOUND"),
    *("MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"),  # Node's and Bun's
)


@dataclass(frozen=True)
class GateResult:
    """What the gate said: ``outcome`` is ``allowed``, ``blocked`` or ``absent``; ``report`` is its own, if any.

    The findings were compared with ``risk_tolerance``.
    """

    outcome: str
    reason: str
    exit_code: int | None = None
    report: Mapping[str, Any] | None = None
    risk_tolerance: str = DEFAULT_RISK

    @property
    def allowed(self) -> bool:
        return self.outcome == "allowed"

    @property
    def not_scanned(self) -> list[str]:
        """What the gate could not look at: its findings that a tool failed."""
        failed = (each for each in _findings(self.report) if isinstance(each, dict) and each.get("kind") == "toolError")
        return [f"{each.get('tool', 'a tool')}: {each.get('message', 'it failed')}" for each in failed]

    def evaluation(self) -> dict[str, object]:
        """The result as the wire's documents carry it."""
        return {"allowed": self.allowed, **to_json(self), "notScanned": self.not_scanned}


def interpret(exit_code: int, output: bytes, risk: str) -> GateResult:
    """Judge a gate that ended with ``exit_code`` (negative: the signal that ended it) and printed ``output``. Pure."""
    document = _document(output)
    error, report = document.get("error"), _object(document.get("data")).get("report")
    report = report if isinstance(report, dict) else None
    silent = exit_code in (0, 1) and report is None and (error is None or exit_code == 0)
    if silent or exit_code in _NO_GATE_EXITS or _object(error).get("code") in _NO_GATE_CODES:
        outcome, reason = "absent", f"it has no working `security check` (exit {exit_code})"
    elif exit_code not in (0, 1):
        outcome, reason = "blocked", f"the gate itself failed (exit {exit_code})"
    elif exit_code == 0 and report and report.get("ok") is not False:
        outcome, reason = "allowed", "the gate found nothing"
    else:
        outcome, reason = _compare_severity(report, risk)
    return GateResult(outcome, reason, exit_code, report, risk)


def _compare_severity(report: Mapping[str, Any] | None, risk: str) -> tuple[str, str]:
    worst = max(map(_rank, _findings(report)), default=None)
    if worst is None:
        return "allowed" if risk == "off" else "blocked", "the gate said no and named no finding"
    outcome = "allowed" if worst <= _ALLOWED_UP_TO[risk] else "blocked"
    return outcome, f"the worst finding is {_SEVERITIES[worst]}, the tolerance {risk}"


def _document(output: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(output))
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> dict[str, Any]:
    """``value`` where it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def _findings(report: Mapping[str, Any] | None) -> list[Any]:
    found = report.get("findings") if report else None
    return found if isinstance(found, list) else []


def _rank(finding: object) -> int:
    severity = finding.get("severity") if isinstance(finding, dict) else None
    # A severity that nobody knows is not taken lightly.
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES) - 1


def run_gate(
    root: str,
    risk: str | None,
    environ: Mapping[str, str],
    *,
    staged: bool = False,
    dry_run: bool = False,
    waiting: Callable[[], None] = lambda: None,
    log: Callable[[str], None] = lambda _line: None,
) -> GateResult:
    """Run the gate of the workspace ``root`` and judge it against ``risk`` (None: the workspace's own tolerance).

    ``waiting`` is called now and then meanwhile, ``log`` with each line of the gate's stderr. It is the workspace's
    code: the caller has asked :func:`rawr_install.install.policy.require_trust`.
    """
    cli = _Cli(root, environ, waiting)
    risk = risk or cli.configured_risk()
    if risk is None:
        return GateResult("absent", "it cannot tell the risk tolerance of rawr.config.ts (`config show --json`)")
    try:
        words = ["--staged"] * staged + ["--dry-run"] * dry_run
        exit_code, output, errors = cli.ask("security", "check", "--json", *words)
    except TimeoutError:  # before OSError, whose kind it is
        return GateResult("blocked", f"the gate did not answer within {TIMEOUT:g} s", risk_tolerance=risk)
    except OSError as error:
        return GateResult("absent", f"{cli.path} cannot be started: {os_error_reason(error)}", risk_tolerance=risk)
    found = interpret(exit_code, output, risk)
    if found.outcome != "absent":
        for line in errors.decode("utf-8", "replace").splitlines():
            log(line)
    return found


class _Cli:
    """The workspace CLI, to be asked."""

    def __init__(self, root: str, environ: Mapping[str, str], waiting: Callable[[], None]) -> None:
        self.root, self.path, self.waiting = root, cli_path(root), waiting
        self.environ = {**for_child(program.environment(environ)), "RAWR_WORKSPACE_ROOT": root}

    def configured_risk(self) -> str | None:
        """The tolerance that ``rawr.config.ts`` names, the default where it names none; None: that is not known."""
        if not os.path.isfile(os.path.join(self.root, "rawr.config.ts")):
            return DEFAULT_RISK
        try:
            exit_code, output, _ = self.ask("config", "show", "--json")
        except OSError:  # TimeoutError is one
            return None
        data = _object(_document(output).get("data"))
        if exit_code != 0 or "config" not in data:
            return None
        named = _object(_object(data["config"]).get("plugins")).get("defaultRiskTolerance", DEFAULT_RISK)
        return named if named in RISKS else None

    def ask(self, *words: str) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr; raises OSError if it cannot start, TimeoutError after :data:`TIMEOUT` seconds."""
        import subprocess
        import time

        deadline = time.monotonic() + TIMEOUT
        with subprocess.Popen(
            [self.path, *words],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as asked:
            while True:
                try:
                    output, errors = asked.communicate(timeout=_TICK)
                    return asked.returncode, output, errors
                except subprocess.TimeoutExpired:
                    self.waiting()
                    if time.monotonic() > deadline:
                        asked.kill()
                        raise TimeoutError from None
