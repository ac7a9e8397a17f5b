"""Processes that write one state file, ours and the Node peer, driven by JSON lines.

``Actor.python()`` runs ``writer.py`` beside this file, ``Actor.node()`` runs ``peer.mjs``; both take the same commands
(see the head of ``peer.mjs``) and give the same report, so a test says who writes and never how.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node")
PATIENCE = 60.0  # seconds; only a hang meets it

# A pid namespace with its own /proc. A shell is its first process: that one would ignore its own SIGSTOP.
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")


def can_contain() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run([*CONTAINER, "true"], capture_output=True).returncode


needs_containers = pytest.mark.skipif(not can_contain(), reason="needs unshare --pid (root)")


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def _has_stopped(child: int) -> bool:
    """Whether a process of ours has stopped since it was asked last; needs no ``/proc``."""
    pid, status = os.waitpid(child, os.WUNTRACED | os.WNOHANG)
    return pid == child and os.WIFSTOPPED(status)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


class Actor:
    """One serving process; a context manager that leaves no process behind."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, bufsize=0
        )
        self._lines = b""
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    @classmethod
    def python(cls, env: Mapping[str, str] | None = None, within: Sequence[str] = ()) -> Actor:
        """``within``: the words of a program that starts another (``CONTAINER``)."""
        return cls([*within, sys.executable, str(HERE / "writer.py"), "serve"], env)

    @classmethod
    def node(cls, within: Sequence[str] = ()) -> Actor:
        if NODE is None:
            pytest.skip("needs node")
        return cls([*within, NODE, str(HERE / "peer.mjs"), "serve"])

    @classmethod
    def of(cls, kind: str) -> Actor:
        return cls.node() if kind == "node" else cls.python()

    def __enter__(self) -> Actor:
        self.expect("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, verb: str, root: Path | str, **options: Any) -> None:
        """Give one command; its report is fetched by ``report``."""
        assert self._process.stdin is not None
        command = {"verb": verb, "root": str(root), **options}
        self._process.stdin.write((json.dumps(command) + "\n").encode())

    def read(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next event; fails when none comes within ``patience`` seconds or the process has ended."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._lines:
            assert self._selector.select(max(0.0, deadline - time.monotonic())), f"no word from {self._process.args!r}"
            assert self._process.stdout is not None
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            assert chunk, f"{self._process.args!r} ended with {self._process.wait()}"
            self._lines += chunk
        line, _, self._lines = self._lines.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing is said for this long."""
        return not self._lines and not self._selector.select(seconds)

    def expect(self, event: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The next event, which must be ``event``."""
        found = self.read(patience)
        assert found["event"] == event, found
        return found

    def report(self, patience: float = PATIENCE) -> dict[str, Any]:
        return self.expect("done", patience)

    def do(self, verb: str, root: Path | str, **options: Any) -> dict[str, Any]:
        """One command and its report."""
        self.send(verb, root, **options)
        return self.report()

    def signal(self, number: int) -> None:
        os.kill(self.innermost, number)

    def wait_stopped(self) -> None:
        """Return once the process is stopped by a signal."""
        deadline, pid = time.monotonic() + PATIENCE, self.innermost
        while not (_has_stopped(pid) if pid == self.pid else _is_stopped(pid)):
            assert time.monotonic() < deadline, f"{self._process.args!r} does not stop"
            time.sleep(0.002)

    @property
    def innermost(self) -> int:
        """The pid, as seen from here, of the program itself, at the end of those that it was started within."""
        pid = self.pid
        while children := children_of(pid):
            pid = children[0]
        return pid

    def wait_dead(self) -> int:
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL, reap, close the pipes."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._selector.close()


@contextmanager
def crowd(*kinds: str) -> Iterator[list[Actor]]:
    """Actors of these kinds (``"python"``, ``"node"``), all ready."""
    with ExitStack() as stack:
        yield [stack.enter_context(actor) for actor in [Actor.of(kind) for kind in kinds]]


def together(actors: Sequence[Actor], root: Path, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each actor its command, to begin at one instant of the monotonic clock; their reports in order."""
    at = time.monotonic() + 0.02
    for actor, command in zip(actors, commands, strict=True):
        actor.send(**{"at": at, "root": root, **command})
    return [actor.report() for actor in actors]
