"""``doctor --fix``: run the remedies that can be undone, and keep the record of what was done.

A fix is a finding's own remedy: what is printed is what is run. The toolkit's
commands run as processes of their own, so each is one transaction with its
lock, history record and events; ``undo`` is the command that takes a fix back.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from rawr_install.dispatch import program
from rawr_install.doctor.checks.remedies import in_turn, steps
from rawr_install.errors import UsageError
from rawr_install.report import Finding, command_line

SECONDS = 120


@dataclass(frozen=True)
class Fix:
    """One command that mends the findings ``ids``; ``status`` is ``planned``, ``done`` or ``failed``."""

    ids: tuple[str, ...]
    argv: tuple[str, ...]
    undo: tuple[str, ...]
    status: str = "planned"
    exit_code: int | None = None
    output: str = ""

    def lines(self) -> Iterable[str]:
        """What a person reads about it."""
        yield f"{self.status:<8}{', '.join(self.ids)}: {command_line(self.argv)}"
        if self.status == "failed":
            yield from (f"        {line}" for line in self.output.splitlines())
        elif self.undo:
            yield f"        undo: {command_line(self.undo)}"


def found_again(fixes: Iterable[Fix], left: Collection[str]) -> tuple[Fix, ...]:
    """The fixes, of which none is ``done`` whose finding a second look found again (``left``)."""

    def checked(fix: Fix) -> Fix:
        still = [check_id for check_id in fix.ids if check_id in left]
        if fix.status != "done" or not still:
            return fix
        output = f"{fix.output}\nThe command succeeded, but {', '.join(still)} is still found.".strip()
        return replace(fix, status="failed", output=output)

    return tuple(map(checked, fixes))


def plan(findings: Iterable[Finding], wanted: Collection[str] = ()) -> tuple[Fix, ...]:
    """The fixes for the fixable findings among ``wanted`` (all when empty), one for each command.

    Raises UsageError ``NOT_FIXABLE`` for a wanted finding that has no reversible fix.
    """
    commands: dict[tuple[str, ...], list[str]] = {}
    for finding in findings:
        if finding.status in ("ok", "skip") or (wanted and finding.id not in wanted):
            continue
        if finding.fixable and finding.remedy:
            commands.setdefault(finding.remedy.argv, []).append(finding.id)
        elif wanted:
            raise UsageError(
                f"{finding.id} has no fix that could be undone.",
                code="NOT_FIXABLE",
                hint=finding.remedy.text if finding.remedy else "",
            )
    return tuple(Fix(tuple(ids), argv, undo(argv)) for argv, ids in commands.items())


def undo(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that takes ``argv`` back, told before it has run; empty where nothing is lost by it."""
    if argv[:2] in {("rawr-install", name) for name in ("install", "activate", "deactivate")}:
        return ("rawr-install", "rollback")
    if argv == ("rawr-install", "fallback", "disable"):
        return ("rawr-install", "fallback", "enable")
    if argv[0] == "mv":
        return (*argv[:-2], argv[-1], argv[-2])
    if argv[0] == "chmod":
        return in_turn(*(("chmod", f"{os.stat(path).st_mode & 0o7777:04o}", path) for path in argv[2:])).argv
    if len(done := steps(argv)) > 1:
        return in_turn(*filter(None, map(undo, reversed(done)))).argv
    return ()


def execute(fix: Fix, environ: Mapping[str, str]) -> Fix:
    """Run one fix; the answer carries its exit code and output. Never raises on a command's failure."""
    code = 0
    told: list[str] = []
    for argv in steps(fix.argv):
        try:
            code, output = _run(argv, environ)
        except (OSError, subprocess.SubprocessError) as error:
            return replace(fix, status="failed", output="\n".join([*told, str(error)]))
        told += [output] if output else []
        if code:
            break
    return replace(fix, status="failed" if code else "done", exit_code=code, output="\n".join(told))


def _run(argv: tuple[str, ...], environ: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        _runnable(argv, environ.get("PATH")),
        cwd=None if argv[0] == "rawr-install" else os.sep,
        env=program.environment(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout.decode("utf-8", "backslashreplace").strip()


def _runnable(argv: tuple[str, ...], path: str | None) -> list[str]:
    """The command by absolute names; raises FileNotFoundError.

    The toolkit's own are run with this interpreter: the one on PATH may be what is broken. -P: with -m, Python would
    first import from the current folder. Not -I, which would miss a toolkit in the user's site-packages.
    """
    if argv[0] == "rawr-install":
        return [sys.executable, "-P", "-m", "rawr_install", *argv[1:]]
    found = program.resolve(argv[0], path)
    if found is None:
        raise FileNotFoundError(f"no {argv[0]} of yours or root's in an absolute folder on PATH")
    return [found, *argv[1:]]
