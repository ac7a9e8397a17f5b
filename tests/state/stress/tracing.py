"""Run a mutation under strace: record its system calls, or fail or kill it at one of them.

The list of calls is always the recording's; nothing about the lock is written down here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

STRACE = shutil.which("strace")
# The interpreter's own memory, signals and clock: not calls of a mutation.
NOISE = (
    "!mmap,munmap,mremap,brk,madvise,mprotect,futex,rt_sigaction,rt_sigprocmask,rt_sigreturn,sched_yield,clock_gettime"
)
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\w+)(?P<rest>.*)$")


@dataclass(frozen=True)
class Call:
    """One recorded system call; ``nth`` counts the calls of this name from the start, as strace's ``when=`` does."""

    name: str
    nth: int
    arguments: str
    result: int
    rest: str

    def __str__(self) -> str:
        return f"{self.name}#{self.nth}({self.arguments[:80]})"


@dataclass(frozen=True)
class Ended:
    """How a victim ended: exit code (negative signal), what it acknowledged, its error, what strace wrote."""

    code: int
    acked: list[str]
    error: dict[str, str] | None
    trace: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Victims:
    """The forking process, and strace beside it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("victim.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the victims' parent ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def _write(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def run(self, root: Path, ids: list[str], *strace: str, durable: bool = True) -> Ended:
        """Enable ``ids`` in a child under ``strace`` with these further options."""
        self._write({"root": str(root), "ids": ids, "durable": durable})
        pid = int(self._read()["pid"])
        with attached(pid, *strace) as trace:
            os.kill(pid, signal.SIGCONT)
            found = self._read()
        said = found["said"] or {"acked": [], "error": None}
        return Ended(found["status"], said["acked"], said["error"], trace.text)


@dataclass
class Trace:
    """What strace wrote; complete once the process has ended."""

    text: str = ""


@contextmanager
def attached(pid: int, *options: str) -> Iterator[Trace]:
    """strace on a stopped process, until that ends."""
    assert STRACE is not None
    trace = Trace()
    with tempfile.NamedTemporaryFile("r", prefix="rawr-strace-") as output:
        words = [STRACE, "-p", str(pid), "-f", "-y", "-xx", "-s", "65536", "-o", output.name, *options]
        tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        try:
            assert "attached" in said, said
            yield trace
            tracer.communicate(timeout=60)
            trace.text = output.read()
        finally:
            tracer.kill()
            tracer.communicate()


@cache
def can_trace() -> bool:
    """Whether strace is here and may attach to a process of ours."""
    if STRACE is None:
        return False
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with attached(sleeper.pid, "-e", "trace=none"):
            sleeper.kill()
        return True
    except AssertionError:
        return False
    finally:
        sleeper.kill()
        sleeper.wait()


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace with the right to attach")


def text(argument: str) -> str:
    r"""strace's ``"\x61\x62"`` (and ``<\x2f...>``) as text."""
    return bytes.fromhex(argument.replace("\\x", "")).decode("utf-8", "surrogateescape")


def calls(trace: str) -> list[Call]:
    """The calls of a trace in order, the marks included, up to the end mark."""
    seen: Counter[str] = Counter()
    found = []
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            assert "<unfinished" not in line or "exit" in line or "SIGCONT" in line, f"interleaved trace: {line}"
            continue
        seen[match["name"]] += 1
        result = int(match["result"], 0) if match["result"].lstrip("-").isdigit() else 0
        call = Call(match["name"], seen[match["name"]], match["arguments"], result, match["rest"])
        if mark_of(call) == "end":
            break
        found.append(call)
    return found


def mark_of(call: Call) -> str:
    """The name of a victim's mark, or nothing."""
    quoted = re.search(r'"((?:\\x[0-9a-f]{2})+)"', call.arguments)
    path = text(quoted[1]) if quoted and "stat" in call.name else ""
    return path.removeprefix("/mark/") if path.startswith("/mark/") else ""
