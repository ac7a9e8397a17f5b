"""Every mutating system call of a command: recorded with strace, then made to kill the process or to fail.

The list of steps is never written by hand: :func:`record` runs the command once and
keeps the calls that create, write, sync, rename or remove something in the machine's folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Machine, Ran

MUTATING = (
    "openat,write,pwrite64,fsync,fdatasync,fchmod,chmod,fchmodat,ftruncate,truncate,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,utimensat"
)
ERRNOS = ("ENOSPC", "EACCES", "EIO", "EROFS")
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\S+)", re.MULTILINE)
_RANDOM = re.compile(r"\d+\.[0-9a-f]{8}\.tmp")


def need_strace() -> None:
    """Skip, by name, where strace is missing or may not trace (a container without ptrace)."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here (ptrace is not permitted)")


@dataclass(frozen=True)
class Step:
    """One mutating call: the ``number``-th call of ``name`` in the process; ``shown`` is for messages."""

    name: str
    number: int
    shown: str


def strace(machine: Machine, words: tuple[str, ...], *options: str) -> tuple[Ran, str]:
    """Run ``rawr-install`` under strace; returns how it ended and the log."""
    log = machine.folder / "strace.log"
    argv = ["strace", "-f", "-qq", "-y", "-s", "64", "-e", "signal=none", "-o", str(log), *options]
    program = (sys.executable, "-m", "rawr_install", *words, "--json", "--yes")
    ran = machine.run(*argv, *program, env={"RAWR_EVENTS": "off", "PYTHONDONTWRITEBYTECODE": "1"})
    return ran, log.read_text(errors="replace")


def record(machine: Machine, words: tuple[str, ...]) -> list[Step]:
    """The mutating steps of one run that succeeds."""
    ran, log = strace(machine, words, "--seccomp-bpf", "-e", f"trace={MUTATING}")
    assert ran.code == 0, ran
    return list(_steps(log, machine.home))


def _steps(log: str, home: Path) -> Iterator[Step]:
    seen: Counter[str] = Counter()
    for name, arguments, result in _CALL.findall(log):
        seen[name] += 1
        writes = name != "openat" or "O_CREAT" in arguments or "O_TRUNC" in arguments
        if writes and str(home) in arguments and not result.startswith("-"):
            yield Step(name, seen[name], f"{name}({_RANDOM.sub('TMP', arguments).replace(str(home), '~')[:110]})")


def kill_at(machine: Machine, words: tuple[str, ...], step: Step) -> Ran:
    """Run the command; SIGKILL arrives on entering the step, so the call itself is not made."""
    rule = f"inject={step.name}:signal=SIGKILL:when={step.number}"
    ran, _log = strace(machine, words, "-e", f"trace={step.name}", "-e", rule)
    assert ran.code == -9, (step, ran)
    return ran


def fail_at(machine: Machine, words: tuple[str, ...], step: Step, errno: str) -> Ran:
    """Run the command; the step's system call is not made and answers ``errno``."""
    rule = f"inject={step.name}:error={errno}:when={step.number}"
    ran, log = strace(machine, words, "--seccomp-bpf", "-e", f"trace={step.name}", "-e", rule)
    assert "(INJECTED)" in log, (step, ran)
    return ran
