"""Taking over with a stopped process in the way, beside other takers, and through file systems that know less."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rawr_install.errors import LockTimeoutError, RefusedError
from rawr_install.state import failpoints, guard, takeover
from rawr_install.state.directory import Directory
from rawr_install.state.lease import Lease
from rawr_install.state.recovery import unlock
from rawr_install.state.system import Filesystem
from tests.state.conftest import (
    DEAD_PID,
    add,
    enabled,
    folder,
    inode,
    is_refused,
    killed_holder,
    lease_of,
    leave_lock,
    leftovers,
    lock_file,
    mutate,
    needs_root,
    needs_strace,
    now,
    once_at,
    ours,
)
from tests.state.test_filesystem import under_fault
from tests.support.masked import needs_proc
from tests.support.peers.actors import Actor, crowd, needs_node, together

pytestmark = needs_proc


def stopped_head(root: Path, head: Actor) -> None:
    """Another process has the turn, and is stopped."""
    head.send("enable", root, ids=["head"], stop="turn")
    head.expect("stopped")
    head.wait_stopped()


# -- a stopped process in the queue ----------------------------------------------------


@pytest.mark.slow
def test_a_stopped_head_and_a_dead_holder_block_nobody(root: Path) -> None:
    with Actor.python() as head:
        stopped_head(root, head)
        killed_holder(root)
        made = mutate(root, lock_timeout=1.5)
        assert (made.takeover, made.degraded) == ("its liveness lock is free", ("the head of the queue does not move",))
        head.signal(signal.SIGCONT)
        assert head.report()["errors"] == []
    assert enabled(root) == ["head", "mine"]


@pytest.mark.slow
def test_a_stopped_head_and_a_dead_peer_block_nobody_for_a_whole_timeout(root: Path) -> None:
    with Actor.python() as head, crowd(*["python"] * 8) as others:
        stopped_head(root, head)
        leave_lock(root, lease_of(DEAD_PID))
        # Two seconds of watching, and three of the queue: one after the other they would be the five of the timeout.
        reports = together(others, root, [{"verb": "enable", "ids": [f"n{number}"]} for number in range(8)])
        assert [report["errors"] for report in reports] == [[]] * 8
    assert len(enabled(root)) == 8


def test_a_timeout_calls_no_dead_process_the_holder(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    with pytest.raises(LockTimeoutError) as caught:
        mutate(root, lock_timeout=0.3, grace_period=2.0)
    assert f"held by process {DEAD_PID}" not in caught.value.message
    assert f"process {DEAD_PID}, which does not run here" in caught.value.message


@pytest.mark.slow
def test_of_two_takers_one_waits_until_the_other_is_done(root: Path) -> None:
    # Were both let on, the rename of the one stopped here would catch the next holder's lease, and its put-back give
    # that one a second life beside a third holder.
    leave_lock(root, lease_of(DEAD_PID))
    with Actor.python() as taker:
        taker.send("enable", root, ids=["taker"], stop="matched")
        taker.expect("stopped")
        taker.wait_stopped()
        (folder(root) / "state.guard").unlink()  # which takes the turn from it
        assert is_refused(root)
        taker.signal(signal.SIGCONT)
        assert taker.report()["takeovers"] == ["its process is dead"]
    assert mutate(root).changed
    assert enabled(root) == ["mine", "taker"]


@pytest.mark.slow
def test_with_the_guard_deleted_all_the_time_and_holders_killed_nothing_is_lost_and_nobody_who_lives_is_evicted(
    root: Path,
) -> None:
    over, killed = threading.Event(), []

    def delete() -> None:
        while not over.wait(0.005):
            (folder(root) / "state.guard").unlink(missing_ok=True)

    def kill() -> None:
        while not over.wait(0.3):
            with Actor.python() as victim:
                victim.send("enable", root, ids=["never"], crash="staged")
                killed.append(victim.wait_dead())

    threads = [threading.Thread(target=act) for act in (delete, kill)]
    with crowd(*["python"] * 4) as actors:
        for thread in threads:
            thread.start()
        commands = [{"verb": "count", "slot": f"s{number}", "seconds": 4, "timeout": 20_000} for number in range(4)]
        reports = together(actors, root, commands)
        over.set()
        for thread in threads:
            thread.join()
    assert [(report["lost"], report["errors"]) for report in reports] == [(0, [])] * 4
    assert 0 < sum(len(report["takeovers"]) for report in reports) <= len(killed)


def test_an_old_lock_that_somebody_has_just_touched_gets_the_time_to_settle_from_whoever_takes_it(root: Path) -> None:
    # A peer may be about to remove it, and whoever touched it may have died since.
    leave_lock(root, ours(DEAD_PID))
    judged: list[float] = []
    once_at("proven", lambda: judged.append(time.monotonic()))
    began = time.monotonic()
    assert mutate(root).takeover
    assert judged[0] - began >= takeover.SETTLE


@needs_node
def test_whoever_touched_an_old_lock_and_died_leaves_a_peers_removal_the_time_to_end(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID), age=120)
    with Actor.node() as peer, Actor.python() as toucher:
        peer.send("enable", root, ids=["peer"], stop="judged")
        peer.expect("stopped")
        peer.wait_stopped()
        toucher.send("enable", root, ids=["never"], crash="fencing")
        toucher.wait_dead()
        assert time.time() - lock_file(root).stat().st_mtime < 30  # young again, and no sign of who made it so
        reached: dict[str, float] = {}

        removal = threading.Timer(takeover.SETTLE / 2, lambda: peer.signal(signal.SIGCONT))

        def note(point: str) -> None:
            reached.setdefault(point, time.monotonic())
            if point == "busy":
                removal.start()
            if point == "proven":  # the machine was slow
                removal.join()

        failpoints.handler = note
        assert mutate(root).changed
        assert peer.report()["errors"] == []
    assert enabled(root) == ["mine", "peer"]
    assert "proven" not in reached or reached["proven"] - reached["busy"] >= takeover.SETTLE


def test_a_lease_caught_by_mistake_whose_owner_has_gone_is_not_restored(root: Path) -> None:
    killed_holder(root)
    with Actor.python() as successor:

        def replace() -> None:
            lock_file(root).unlink()
            (folder(root) / "state.guard").unlink()
            successor.send("hold", root)
            successor.expect("held")

        def kill() -> None:
            successor.signal(signal.SIGKILL)
            successor.wait_dead()

        acts, met = {"matched": replace, "renamed": kill}, []

        def reached(point: str) -> None:
            met.append(point)
            acts.pop(point, lambda: None)()

        failpoints.handler = reached
        assert mutate(root).changed
    assert met.count("proven") == 1  # put back, it would have been judged once more
    assert leftovers(root) == []


def test_a_lease_of_an_attempt_that_this_process_gave_up_is_taken_away(root: Path) -> None:
    leave_lock(root, ours(os.getpid(), now(), beacon=False, token="of no lease that we have"))
    assert mutate(root, lock_timeout=1.0).takeover == "left behind by this very process"


def test_a_lease_that_this_process_has_is_not_taken_away(root: Path) -> None:
    mine = Lease(Directory(str(folder(root)), Filesystem()))
    mine.prepare()
    leave_lock(root, ours(os.getpid(), now(), beacon=False, token=mine.token))
    assert is_refused(root)
    mine.close()


# -- unlock -------------------------------------------------------------------------


def test_unlock_puts_back_a_lock_that_came_where_something_else_was(root: Path) -> None:
    with leave_lock(root, lease_of(os.getpid(), now())).open("ab"):
        before = inode(lock_file(root))
        assert not takeover.move_away(Directory(str(folder(root)), Filesystem()))
        assert inode(lock_file(root)) == before and leftovers(root) == ["state.lock"]


@pytest.mark.slow
def test_unlock_does_nothing_without_the_turn(root: Path) -> None:
    with Actor.python() as head:
        stopped_head(root, head)
        lock_file(root).mkdir()
        with pytest.raises(RefusedError) as caught:
            unlock(root)
        assert "first in the queue" in caught.value.message
        assert lock_file(root).is_dir()


def test_unlock_takes_a_lock_that_cannot_be_judged_only_by_force(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID, now(), host="a laptop", boot="another boot"))
    with pytest.raises(RefusedError) as caught:
        unlock(root)
    assert f"held on another host (a laptop) by process {DEAD_PID} since " in caught.value.message
    assert "check on a laptop" in caught.value.hint and "--force" in caught.value.hint
    assert unlock(root, dry_run=True, force=True).proof and lock_file(root).exists()
    made = unlock(root, force=True)
    assert (made.holder["host"], made.proof) == ("a laptop", "forced: its holder cannot be judged from here")
    assert not lock_file(root).exists()


@pytest.mark.parametrize("kind", ["python", pytest.param("node", marks=needs_node)])
@pytest.mark.slow
def test_unlock_takes_no_lock_of_a_living_process_not_even_by_force(root: Path, kind: str) -> None:
    with Actor.of(kind) as holder:
        holder.send("hold", root, ms=600, ids=["held"])
        holder.expect("held")
        with pytest.raises(RefusedError):
            unlock(root, force=True)
        assert holder.report()["errors"] == []
    assert enabled(root) == ["held"]


# -- names that others may have, too ---------------------------------------------------


def test_whoever_finds_its_temporary_name_taken_leaves_the_file_to_its_owner(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two containers may have the same pid, and here even the same random numbers.
    monkeypatch.setattr(os, "urandom", lambda length: b"7" * length)
    directory = Directory(str(folder(root)), Filesystem(), unnamed=False)
    one, other = Lease(directory), Lease(directory)
    one.prepare()
    with pytest.raises(FileExistsError):
        other.prepare()
    other.close()
    assert one.publish()
    one.withdraw()
    one.close()


@needs_strace
def test_a_lock_that_was_taken_from_us_at_the_release_is_a_lost_lock_not_a_bad_disk(root: Path) -> None:
    assert under_fault(root, "unlink:error=ENOENT:when=1")[0] == "done"


@needs_root
@pytest.mark.parametrize(("mode", "made"), [(0o755, 0o600), (0o775, 0o644)])
def test_what_is_made_is_for_those_who_may_change_the_folder_and_its_owners(root: Path, mode: int, made: int) -> None:
    folder(root).chmod(mode)
    os.chown(folder(root), 12345, 12345)
    seen: list[os.stat_result] = []
    once_at("leased", lambda: seen.extend((lock_file(root).stat(), (folder(root) / "state.guard").stat())))
    mutate(root)
    assert [(info.st_mode & 0o777, info.st_uid, info.st_gid) for info in seen] == [(made, 12345, 12345)] * 2


def test_a_guard_that_an_older_version_made_for_everybody_is_tightened(root: Path) -> None:
    guard_file = folder(root) / "state.guard"
    guard_file.touch()
    for mode, made in ((0o775, 0o644), (0o755, 0o600)):
        guard_file.chmod(0o666)
        folder(root).chmod(mode)
        guard.guard_of(str(folder(root))).close()
        mutate(root, add(f"{mode:o}"))
        assert guard_file.stat().st_mode & 0o777 == made


@needs_proc
def test_a_timeout_names_the_process_that_keeps_a_dead_ones_lock_alive(root: Path) -> None:
    left = leave_lock(root, ours(DEAD_PID, now()))
    hold = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(left)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None and stranger.stdout.readline()
        with pytest.raises(LockTimeoutError) as caught:
            mutate(root, lock_timeout=0.3)
        stranger.kill()
    said = f"left behind by process {DEAD_PID}, which is gone, but process {stranger.pid} holds a kernel lock on it"
    assert said in caught.value.message and caught.value.details["holder"]["lockedBy"] == stranger.pid
