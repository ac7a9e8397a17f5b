"""Every mutating system call of a command: recorded with strace, then made to kill the process or to fail.

The list of steps is never written by hand: :func:`record` runs the command once and
keeps the calls that create, write, sync, rename or remove something in the machine's folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import forked
from tests.support.machine import Machine, Ran

MUTATING = (
    "openat,write,pwrite64,fsync,fdatasync,fchmod,chmod,fchmodat,ftruncate,truncate,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,utimensat"
)
ERRNOS = ("ENOSPC", "EACCES", "EIO", "EROFS")
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\S+)", re.MULTILINE)
_RANDOM = re.compile(r"\d+\.[0-9a-f]{8}\.tmp")


def need_strace() -> None:
    """Skip, by name, where strace is missing, may not trace (a container without ptrace) or cannot name files."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here (ptrace is not permitted)")
    if not os.path.isdir("/proc/self"):
        pytest.skip("strace cannot name files here (needs /proc)")


@dataclass(frozen=True)
class Step:
    """One mutating call: the ``number``-th call of ``name`` in the process; ``shown`` is for messages."""

    name: str
    number: int
    shown: str


def strace(machine: Machine, words: tuple[str, ...], *options: str) -> tuple[Ran, str]:
    """Run a changing ``rawr-install`` under strace, from its first line on; returns how it ended and the log."""
    return trace([*words, "--json", "--yes"], machine.folder, {**machine.env, "RAWR_EVENTS": "off"}, *options)


def trace(words: Sequence[str], cwd: Path, env: Mapping[str, str], *options: str) -> tuple[Ran, str]:
    """Run ``rawr-install WORDS`` under strace, whose log is then beside ``cwd``."""
    log = cwd.with_name(f"{cwd.name}.strace")  # several commands are traced at once
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = forked.server().start(words, cwd, env, out, err, stopped=True)
        argv = ["strace", "-p", str(command.pid), "-f", "-y", "-s", "64", "-e", "signal=none", "-o", str(log)]
        with subprocess.Popen([*argv, *options], stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr
            said = tracer.stderr.readline()
            os.kill(command.pid, signal.SIGCONT)
            code = command.wait()
        assert "attached" in said, said
        return Ran(code, *(forked.text_of(file) for file in (out, err))), log.read_text(errors="replace")


def record(machine: Machine, words: tuple[str, ...]) -> list[Step]:
    """The mutating steps of one run that succeeds."""
    ran, log = strace(machine, words, "-e", f"trace={MUTATING}")
    assert ran.code == 0, ran
    return list(steps_of(log, machine.home))


def steps_of(log: str, home: Path) -> Iterator[Step]:
    """The steps of a strace log (``-y``) that change something under ``home``, which is shown as ``~``."""
    seen: Counter[str] = Counter()
    for name, arguments, result in _CALL.findall(log):
        seen[name] += 1
        writes = name != "openat" or "O_CREAT" in arguments or "O_TRUNC" in arguments
        if writes and str(home) in arguments and not result.startswith("-"):
            yield Step(name, seen[name], f"{name}({_RANDOM.sub('TMP', arguments).replace(str(home), '~')[:160]})")


def lost_in_a_power_cut(steps: list[Step]) -> list[str]:
    """What a power cut could undo or empty, a sentence each; nothing when every name and byte is synced in time.

    POSIX promises a file's bytes from its own fsync on, and a name from the fsync of its folder on. A name must be on
    the disk before one in another folder changes (the journal before what it tells of), and before the process ends.
    """
    wrong: list[str] = []
    bytes_in_flight: set[str] = set()
    names_in_flight: dict[str, str] = {}
    for step in steps:
        paths = re.findall(r'["<](~[^">]*)[">]', step.shown)
        folder = os.path.dirname(paths[-1])
        if step.name in ("write", "pwrite64"):
            bytes_in_flight.add(paths[0])
        elif step.name in ("fsync", "fdatasync"):
            bytes_in_flight.discard(paths[0])
            names_in_flight = {name: of for name, of in names_in_flight.items() if of != paths[0]}
        elif step.name in ("rename", "link", "linkat", "unlink"):
            if step.name == "rename" and paths[0] in bytes_in_flight:
                wrong.append(f"{paths[1]} got its name before its content was on the disk: a power cut leaves it empty")
            wrong += [_undone(name, before=paths[-1]) for name, of in names_in_flight.items() if of != folder]
            names_in_flight = {name: of for name, of in names_in_flight.items() if of == folder} | {paths[-1]: folder}
    return wrong + [_undone(name, before="the end") for name in names_in_flight]


def _undone(name: str, before: str) -> str:
    return f"the folder of {name} was not synced before {before}: a power cut brings back what stood there"


def kill_at(machine: Machine, words: tuple[str, ...], step: Step) -> Ran:
    """Run the command; SIGKILL arrives on entering the step, so the call itself is not made."""
    rule = f"inject={step.name}:signal=SIGKILL:when={step.number}"
    ran, _log = strace(machine, words, "-e", f"trace={step.name}", "-e", rule)
    assert ran.code == -9, (step, ran)
    return ran


def skip_at(machine: Machine, words: tuple[str, ...], step: Step) -> Ran:
    """Run the command; the step's system call is not made, and says that it was: a file system that lies."""
    rule = f"inject={step.name}:retval=0:when={step.number}"
    ran, log = strace(machine, words, "-e", f"trace={step.name}", "-e", rule)
    assert "(INJECTED)" in log, (step, ran)
    return ran


def fail_at(machine: Machine, words: tuple[str, ...], step: Step, errno: str) -> Ran:
    """Run the command; the step's system call is not made and answers ``errno``."""
    rule = f"inject={step.name}:error={errno}:when={step.number}"
    ran, log = strace(machine, words, "-e", f"trace={step.name}", "-e", rule)
    assert "(INJECTED)" in log, (step, ran)
    return ran
