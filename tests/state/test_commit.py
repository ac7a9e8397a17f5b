"""The commit under attack, signals, stops and forks (cases 28-38)."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rawr_install.errors import LeaseLostError, LockTimeoutError, StateError
from rawr_install.state import RepoState, failpoints, store as state
from rawr_install.state.failpoints import FAILPOINTS
from tests.state.conftest import (
    DEAD_PID,
    add,
    enabled,
    folder,
    lease_of,
    leave_lock,
    leftovers,
    lock_file,
    mutate,
    once_at,
    program,
)
from tests.support.masked import needs_proc
from tests.support.peers.actors import Actor, crowd


@pytest.mark.contract("C1", "lost.done-again", "a change under a broken lock is done again, once")
@pytest.mark.parametrize(("case", "point"), [(28, "staged"), (28, "mutated"), (29, "checked"), (30, "committed")])
def test_cases_28_to_30_a_lease_deleted_by_hand_is_noticed_and_the_change_done_again_once(
    root: Path, case: int, point: str
) -> None:
    met = once_at(point, lock_file(root).unlink)
    assert mutate(root).attempts == 2
    assert enabled(root) == ["mine"] and leftovers(root) == []
    assert met.count("leased") == 2


@pytest.mark.contract("C1", "lost.at-the-rename", "a rival that enters through a broken lock loses nothing")
def test_a_rival_that_enters_through_a_deleted_lease_loses_nothing_either(root: Path) -> None:
    with Actor.python() as rival:

        def let_in() -> None:
            lock_file(root).unlink()
            assert rival.do("enable", root, ids=["rival"])["errors"] == []

        once_at("checked", let_in)
        made = mutate(root)
    # Our rename hid the rival's commit; the second check saw that, and the rival's own was still to come or is lost
    # to the one who deleted the lock by hand: what counts is that ours is there and was acknowledged last.
    assert made.attempts == 2 and "mine" in enabled(root)


def test_a_rival_that_commits_before_the_first_check_is_built_upon(root: Path) -> None:
    with Actor.python() as rival:

        def let_in() -> None:
            lock_file(root).unlink()
            assert rival.do("enable", root, ids=["rival"])["errors"] == []

        once_at("staged", let_in)
        assert mutate(root).attempts == 2
    assert enabled(root) == ["mine", "rival"]


def test_case_31_a_state_file_replaced_under_us_is_read_again(root: Path) -> None:
    mutate(root, add("old"))

    def replace() -> None:
        path = folder(root) / "state.json"
        (folder(root) / "new").write_bytes(path.read_bytes().replace(b"old", b"new"))
        (folder(root) / "new").rename(path)

    once_at("mutated", replace)
    assert mutate(root).attempts == 2
    assert enabled(root) == ["mine", "new"]


def test_a_state_file_edited_in_place_under_us_is_read_again(root: Path) -> None:
    mutate(root, add("old"))
    path = folder(root) / "state.json"
    once_at("mutated", lambda: path.write_text(path.read_text().replace("old", "edited")))
    assert mutate(root).attempts == 2
    assert enabled(root) == ["edited", "mine"]


@pytest.mark.contract("C1", "lost.not-acknowledged", "a change under a broken lock is not acknowledged")
def test_a_lease_that_is_lost_every_time_is_an_error_and_nothing_is_acknowledged(root: Path) -> None:
    def lose(point: str) -> None:
        if point == "staged":
            lock_file(root).unlink()

    failpoints.handler = lose
    with pytest.raises(LeaseLostError):
        mutate(root)
    failpoints.handler = None
    assert not (folder(root) / "state.json").exists() and leftovers(root) == []
    assert mutate(root).changed


def test_case_32_a_stopped_holder_is_named_not_robbed_and_its_commit_is_whole(root: Path) -> None:
    with Actor.python() as holder:
        holder.send("enable", root, ids=["stopped"], stop="checked")
        holder.expect("stopped")
        holder.wait_stopped()
        old = time.time() - 3600
        os.utime(lock_file(root), (old, old))
        with pytest.raises(LockTimeoutError) as caught:
            mutate(root, lock_timeout=0.5)
        assert f"process {holder.pid}" in caught.value.message and "stopped" in caught.value.message
        holder.signal(signal.SIGCONT)
        assert holder.report()["errors"] == []
    assert mutate(root).attempts == 1
    assert enabled(root) == ["mine", "stopped"]


def test_case_33_a_stopped_queue_head_is_passed_by_and_the_result_says_so(root: Path) -> None:
    with Actor.python() as head:
        head.send("enable", root, ids=["head"], stop="turn")
        head.expect("stopped")
        before = waiting()
        made = mutate(root, lock_timeout=1.0)
        assert made.degraded == ("the head of the queue does not move",)
        # The second wait keeps the place in the kernel's queue that the first one took.
        assert mutate(root, add("again"), lock_timeout=1.0).degraded == made.degraded
        assert waiting() == before + 1
        head.signal(signal.SIGCONT)
        assert head.report()["errors"] == []
    assert mutate(root, add("after")).degraded == ()
    assert enabled(root) == ["after", "again", "head", "mine"]


def waiting() -> int:
    return sum("rawr-guard" in thread.name for thread in threading.enumerate())


class Interrupted(KeyboardInterrupt):
    """Ours, so that a real Ctrl+C during the tests is not mistaken for it."""


def interrupt() -> None:
    raise Interrupted


@pytest.mark.parametrize("point", FAILPOINTS)
def test_case_34_an_interrupt_at_any_point_leaves_no_lock_and_a_lock_that_works(root: Path, point: str) -> None:
    arrange_for(point, root)
    once_at(point, interrupt)
    with guard_taken(root) if point == "queued" else nothing(), pytest.raises(Interrupted):
        mutate(root)
    failpoints.handler = None
    with (folder(root) / "state.guard").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as another process would
    assert mutate(root, add("after"), lock_timeout=1.0).degraded == ()
    assert set(enabled(root)) >= {"after"}
    assert not lock_file(root).exists()
    if point != "renamed":  # then our own file lies aside until we end
        assert leftovers(root) == []


def arrange_for(point: str, root: Path) -> None:
    if point in ("busy", "fencing", "proven", "fenced", "matched", "renamed", "taken"):
        leave_lock(root, lease_of(DEAD_PID), age=120 if point == "fencing" else 0)


class nothing:  # noqa: N801 - reads as a phrase
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class guard_taken(nothing):  # noqa: N801
    """The fair lock is taken by someone else."""

    def __init__(self, root: Path) -> None:
        self.path = folder(root) / "state.guard"

    def __enter__(self) -> None:
        self.file = self.path.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


@needs_proc
@pytest.mark.parametrize("waits_for", ["the turn", "the lease"])
def test_control_c_while_waiting_leaves_nothing_and_loses_no_place(root: Path, waits_for: str) -> None:
    with crowd("python", "python") as (holder, head):
        holder.send("hold", root, ms=1200, ids=["held"])
        holder.expect("held")
        if waits_for == "the turn":
            head.send("enable", root, ids=["head"])
            time.sleep(0.2)
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            mutate(root)
        timer.join()
        assert holder.report()["errors"] == []
    assert mutate(root, lock_timeout=1.0).degraded == ()
    assert leftovers(root) == []


@needs_proc
def test_an_interpreter_that_exits_while_a_thread_waits_leaves_nothing_behind(root: Path) -> None:
    with Actor.python() as holder:
        holder.send("hold", root, ms=1000, ids=["held"])
        holder.expect("held")
        ran = program(f"""
            import threading, time
            from rawr_install.state import store as state
            for name in "ab":
                threading.Thread(target=state.enable_plugin, args=({str(root)!r}, name), daemon=True).start()
            time.sleep(0.3)
        """)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert holder.report()["errors"] == []
    assert mutate(root, lock_timeout=1.0).changed
    assert leftovers(root) == []


def fork(child: Callable[[], object]) -> int:
    """Run ``child`` in a forked process that never returns to the test."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(0)
    return pid


def test_case_35_a_forked_child_that_exits_leaves_the_parents_lease_alone(root: Path) -> None:
    def change(found: RepoState) -> RepoState:
        before = lock_file(root).stat().st_ino
        os.waitpid(fork(lambda: None), 0)
        assert lock_file(root).stat().st_ino == before
        assert state.inspect(root).lock_status == "held"
        return add("mine")(found)

    assert mutate(root, change).attempts == 1


def test_a_child_forked_inside_the_change_gets_an_error_and_changes_nothing(root: Path) -> None:
    parent, said = os.getpid(), root / "said"

    def change(found: RepoState) -> RepoState:
        if (child := os.fork()) == 0:
            return add("child")(found)
        os.waitpid(child, 0)
        assert lock_file(root).exists()
        return add("parent")(found)

    try:
        mutate(root, change)
    except StateError as error:
        said.write_text(error.code)
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert said.read_text() == "FORKED_INSIDE_MUTATION"
    assert enabled(root) == ["parent"] and leftovers(root) == []


def test_a_forked_child_takes_the_lock_like_any_other_process(root: Path) -> None:
    mutate(root)
    os.waitpid(fork(lambda: mutate(root, add("child"))), 0)
    mutate(root, add("after"))
    assert enabled(root) == ["after", "child", "mine"]


def test_case_36_a_forked_child_does_not_keep_its_killed_parents_beacon_alight(root: Path) -> None:
    code = f"""
import os, signal, time
from rawr_install.state import store as state
def change(found):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
state.mutate_repo_state_atomically({str(root)!r}, change)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.wait()
        assert mutate(root, lock_timeout=1.0).takeover == "its liveness lock is free"
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def _held_by(child: int, root: Path) -> list[str]:
    """The lock files that a process has open; "#": a file without a name."""
    names = []
    for entry in os.scandir(f"/proc/{child}/fd"):
        with suppress(FileNotFoundError):  # it closes them while we look
            names.append(os.readlink(entry.path).removeprefix(f"{folder(root)}/"))
    return [name for name in names if name.startswith(("state.lock", "state.guard", "#"))]


@needs_proc
def test_threads_that_mutate_while_others_fork_leave_no_lock_to_the_children(root: Path) -> None:
    children, stop = [], threading.Event()

    def fork_often() -> None:
        while not stop.is_set():
            children.append(fork(lambda: time.sleep(30)))
            time.sleep(0.002)

    forker = threading.Thread(target=fork_often)
    forker.start()
    try:
        for number in range(100):
            mutate(root, add(f"n{number}"), durable=False)
        stop.set()
        forker.join()
        # The youngest child may not have run yet: it closes what it must not keep as its first act.
        deadline = time.monotonic() + 20
        while (held := [_held_by(child, root) for child in children]) and any(held) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(held), held
    finally:
        stop.set()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert len(enabled(root)) == 100


@needs_proc
def test_case_37_a_program_started_inside_the_change_inherits_no_descriptor(root: Path) -> None:
    listed: list[str] = []

    def change(found: RepoState) -> RepoState:
        ran = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True)
        listed.append(ran.stdout)
        return add("mine")(found)

    mutate(root, change)
    assert "->" in listed[0] and str(root) not in listed[0]


@pytest.mark.contract("C1", "mutator.raises", "a mutator that raises changes nothing")
@pytest.mark.parametrize("error", [ValueError, OSError, SystemExit, MemoryError])
def test_case_38_a_mutator_that_raises_changes_nothing_and_frees_the_lock(
    root: Path, error: type[BaseException]
) -> None:
    def change(_found: RepoState) -> RepoState:
        raise error("mine")

    mutate(root, add("old"))
    with pytest.raises(error, match="mine"):
        mutate(root, change)
    assert enabled(root) == ["old"] and leftovers(root) == []
    assert mutate(root).attempts == 1
