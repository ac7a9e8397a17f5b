"""Signals, interpreter exit and forks while waiting or holding: nobody else notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawr_install.state import store as state
from tests.support.masked import needs_proc
from tests.support.peers.actors import Actor

ROOT = Path(__file__).parents[3]
PATIENCE = 60
SOON = state.RepoStateMutationOptions(durable=False, lock_timeout=4)
START = """
import os, signal, sys, threading, time
from rawr_install.state import failpoints, store as state
from rawr_install.errors import RawrError
root = sys.argv[1]
LONG = state.RepoStateMutationOptions(lock_timeout=600, durable=False)
SHORT = state.RepoStateMutationOptions(lock_timeout=0.3, durable=False)

def add(name, inside=lambda: None):
    def mutator(found):
        inside()
        found["plugins"]["enabled"].append(name)
        return found
    return mutator

def say(word):
    os.write(1, f"{word}\\n".encode())
"""
WAIT = """
failpoints.handler = lambda point: say("waiting") if point == "busy" else None
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Actor]:
    with Actor.python() as actor:
        actor.send("hold", tmp_path, ms=3_600_000)
        actor.expect("held")
        yield actor


@contextmanager
def program(code: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of its own; errors go where the test's go. It never outlives the block."""
    words = [sys.executable, "-c", START + code, str(root)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out.strip()


def add_last(root: Path) -> list[str]:
    """Another mutation, which must not have to wait long; what is enabled then."""

    def mutator(found: state.RepoState) -> state.RepoState:
        found["plugins"]["enabled"].append("last")
        return found

    enabled = state.mutate_repo_state_atomically(root, mutator, SOON).state["plugins"]["enabled"]
    files = set(os.listdir(root / ".rawr/state"))
    assert files <= {"state.json", "state.guard", "state.last-good.json"}, files
    return enabled


@needs_proc
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_a_waiter_at_once_and_nobody_waits_for_it(
    tmp_path: Path, holder: Actor, number: int, code: int
) -> None:
    quiet = "sys.excepthook = lambda *_: None\n" if number == signal.SIGINT else ""
    with program(quiet + WAIT + "state.mutate_repo_state_atomically(root, add('x'), LONG)", tmp_path) as waiter:
        assert line(waiter) == "waiting"
        waiter.send_signal(number)
        assert ended(waiter)[0] == code
    holder.kill()
    assert add_last(tmp_path) == ["last"]


@needs_proc
def test_a_signal_handler_that_raises_ends_the_wait_and_the_lock_can_be_used_again(
    tmp_path: Path, holder: Actor
) -> None:
    code = (
        "def give_up(*_): raise RuntimeError('enough')\n"
        "signal.signal(signal.SIGUSR1, give_up)\n" + WAIT + "try:\n"
        "    state.mutate_repo_state_atomically(root, add('x'), LONG)\n"
        "except RuntimeError as error:\n    say(error)\n"
        "failpoints.handler = None\nsys.stdin.readline()\n"
        "say(state.mutate_repo_state_atomically(root, add('again'), LONG).attempts)"
    )
    with program(code, tmp_path) as waiter:
        assert line(waiter) == "waiting"
        waiter.send_signal(signal.SIGUSR1)
        assert line(waiter) == "enough"
        holder.kill()
        assert waiter.stdin is not None
        waiter.stdin.write("\n")
        waiter.stdin.flush()
        assert ended(waiter) == (0, "1")
    assert add_last(tmp_path) == ["again", "last"]


@needs_proc
@pytest.mark.parametrize("point", ["busy", "queued"])
def test_the_interpreter_exits_while_a_thread_waits(tmp_path: Path, holder: Actor, point: str) -> None:
    code = (
        f"here = threading.Event()\nfailpoints.handler = lambda point: here.set() if point == {point!r} else None\n"
        "wait = lambda: state.mutate_repo_state_atomically(root, add('x'), LONG)\n"
        "threading.Thread(target=wait, daemon=True).start()\n"
        "here.wait(); time.sleep(0.05); say('leaving')"
    )
    with Actor.python() as head:
        if point == "queued":  # somebody else polls for the lease, the thread waits in the kernel's queue
            head.send("enable", tmp_path, ids=["head"], timeout=600_000)
            assert head.is_quiet(0.3)
        with program(code, tmp_path) as waiter:
            assert ended(waiter) == (0, "leaving")
        holder.kill()
        if point == "queued":
            assert head.report()["acked"] == ["head"]
    assert "x" not in add_last(tmp_path)


def test_a_child_forked_while_a_thread_holds_the_lock_can_neither_enter_nor_free_it(tmp_path: Path) -> None:
    code = """
entered, leave = threading.Event(), threading.Event()
def inside(): entered.set(); leave.wait()
thread = threading.Thread(target=state.mutate_repo_state_atomically, args=(root, add("thread", inside), LONG))
thread.start(); entered.wait()
child = os.fork()
if child == 0:
    try:
        state.mutate_repo_state_atomically(root, add("child"), SHORT)
    except RawrError as error:
        say(error.code)
    os._exit(0)
os.waitpid(child, 0)
say(os.path.exists(root + "/.rawr/state/state.lock"))
leave.set(); thread.join()
"""
    with program(code, tmp_path) as process:
        assert ended(process) == (0, "LOCK_TIMEOUT\nTrue")
    assert add_last(tmp_path) == ["last", "thread"]


@needs_proc
def test_a_child_forked_inside_the_change_does_not_keep_its_killed_parents_lock_alive(tmp_path: Path) -> None:
    code = """
def inside():
    if os.fork() == 0:
        say(os.getpid()); time.sleep(600); os._exit(0)
    say("parent"); time.sleep(600)
state.mutate_repo_state_atomically(root, add("x", inside), LONG)
"""
    with program(code, tmp_path) as process:
        child = next(int(word) for word in (line(process), line(process)) if word != "parent")
        process.kill()
        process.wait()
        try:
            assert add_last(tmp_path) == ["last"]
        finally:
            os.kill(child, signal.SIGKILL)
