"""Abandoned locks and those that only look so (cases 10-27)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.errors import LockTimeoutError
from rawr_install.state import RepoState, store as state
from tests.state.conftest import (
    DEAD_PID,
    add,
    age_leftovers,
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
    now,
    once_at,
    ours,
    sleeper,
)
from tests.support.masked import needs_proc
from tests.support.peers.actors import CONTAINER, Actor, crowd, needs_containers, needs_node

SOON = 3.0  # seconds that a dead peer may block; a timeout, not a measurement


@pytest.mark.contract("C1", "lock.dead-holder", "a dead holder blocks nobody")
def test_case_10_a_killed_python_holder_blocks_nobody(root: Path) -> None:
    killed_holder(root)
    assert lock_file(root).exists()
    assert mutate(root, lock_timeout=1.0).takeover == "its liveness lock is free"


@pytest.mark.contract("C1", "lock.dead-peer", "a dead peer blocks nobody for longer than three seconds")
@needs_node
def test_case_11_a_killed_node_holder_blocks_nobody(root: Path) -> None:
    with Actor.node() as holder:
        holder.send("hold", root, crash="read")
        holder.wait_dead()
    assert lock_file(root).exists()
    assert mutate(root, lock_timeout=SOON).takeover == "its process is dead"


@pytest.mark.contract("C1", "write.atomic", "a writer killed at any point leaves the old content or the new")
@needs_proc
def test_case_12_a_writer_killed_at_any_point_leaves_old_or_new_and_no_litter(root: Path) -> None:
    mutate(root, add("old"))
    for number, point in enumerate(["prepared", "turn", "leased", "staged", "checked", "committed", "released"]):
        with Actor.python() as writer:
            writer.send("enable", root, ids=[f"new{number}"], crash=point)
            assert writer.wait_dead() == -signal.SIGKILL
        age_leftovers(root)
        made = mutate(root, add(f"next{number}"), lock_timeout=1.0)
        written = point in ("committed", "released")
        assert (f"new{number}" in made.state["plugins"]["enabled"]) is written, point
        assert leftovers(root) == [], point


@needs_proc
def test_case_13_a_peers_pid_that_was_used_again_is_found_out_after_two_seconds(root: Path) -> None:
    with sleeper() as pid:
        leave_lock(root, lease_of(pid))
        began = time.monotonic()
        assert mutate(root, grace_period=2.0).takeover == "its process id was used again"
        assert time.monotonic() - began >= 2.0  # a lower bound: the proof needs it


@needs_proc
def test_case_14_a_zombie_is_dead(root: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    leave_lock(root, lease_of(process.pid))
    assert mutate(root, lock_timeout=SOON).takeover == "its process is dead"
    process.wait()


def test_case_15_an_empty_lease_that_nobody_has_open_is_taken_after_two_seconds(root: Path) -> None:
    leave_lock(root, "")
    began = time.monotonic()
    assert mutate(root, grace_period=2.0).takeover == "unreadable, and nobody has it open"
    assert time.monotonic() - began >= 2.0


@pytest.mark.parametrize("age", [0.0, 3600.0])
def test_case_16_an_empty_lease_whose_creator_has_it_open_is_not_touched(root: Path, age: float) -> None:
    with leave_lock(root, "", age).open("ab"):
        assert is_refused(root)


@pytest.mark.parametrize(
    "content",
    [
        *(b"garbage", b"x" * 100_000, b'{"pid":1' + b" " * 5000 + b"}", b"\xff\xfe\x00", b"[1]", b"[" * 4000),
        *(f'{{"pid":{pid}}}'.encode() for pid in ("-1", "0", "true", '"1"', "1.5", "9" * 20)),
    ],
)
@pytest.mark.slow
def test_case_17_an_unreadable_lease_is_treated_as_an_empty_one(root: Path, content: bytes) -> None:
    with leave_lock(root, content).open("ab"):
        assert is_refused(root, 0.4)
    assert mutate(root).takeover == "unreadable, and nobody has it open"


@pytest.mark.contract("C1", "peer.old-and-alive", "a living holder is never evicted, whatever its age")
@needs_node
def test_case_18_a_living_peers_lease_is_never_taken_whatever_its_age(root: Path) -> None:
    with Actor.node() as holder:
        holder.send("hold", root, ms=1500, ids=["held"])
        holder.expect("held")
        os.utime(lock_file(root), (1, 1))
        assert is_refused(root, 1.0)
        assert holder.report()["acked"] == ["held"]
    assert enabled(root) == ["held"]


@needs_node
def test_case_19_a_living_python_lease_of_any_age_makes_the_peer_wait_and_commits(root: Path) -> None:
    with Actor.node() as peer:

        def change(found: RepoState) -> RepoState:
            old = time.time() - 120
            os.utime(lock_file(root), (old, old))
            assert "Timed out" in peer.do("enable", root, ids=["peer"], timeout=300)["errors"][0]["message"]
            return add("mine")(found)

        assert mutate(root, change).attempts == 1
    assert enabled(root) == ["mine"]


@pytest.mark.slow
def test_case_20_of_two_takers_of_one_lease_one_takes_it_and_both_commit(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    with Actor.python() as rival:

        def let_in() -> None:
            (folder(root) / "state.guard").unlink()  # or the rival would queue behind us
            assert rival.do("enable", root, ids=["rival"])["errors"] == []

        met = once_at("proven", let_in)
        made = mutate(root)
    assert enabled(root) == ["mine", "rival"]
    assert "renamed" not in met and made.takeover == ""  # the lease judged had gone: nothing was taken twice


def test_case_21_a_lease_that_came_alive_after_the_proof_is_restored(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    with Actor.python() as successor:

        def replace() -> None:
            lock_file(root).unlink()
            (folder(root) / "state.guard").unlink()
            successor.send("hold", root, ms=700, ids=["successor"])
            successor.expect("held")

        met = once_at("matched", replace)
        made = mutate(root)
        report = successor.report()
    assert "renamed" in met and "taken" not in met  # caught by the rename, recognised, put back
    assert report["errors"] == [] and made.takeover == ""
    assert enabled(root) == ["mine", "successor"]
    assert leftovers(root) == []


@needs_node
@pytest.mark.slow
def test_case_22_an_old_lease_met_by_peers_and_us_at_once_costs_no_update(
    root: Path, count: Callable[[int, int], int]
) -> None:
    with crowd(*["python"] * 4, *["node"] * 4) as actors:
        for number in range(count(4, 50)):
            leave_lock(root, lease_of(DEAD_PID), age=120)
            commands = [{"verb": "enable", "ids": [f"{number}-{slot}"]} for slot in range(8)]
            # The peers come while we stand back. Were they first, they would race for
            # the old lease among themselves, and lose updates without our help.
            at = time.monotonic() + 0.02
            for slot, (actor, command) in enumerate(zip(actors, commands, strict=True)):
                actor.send(root=root, at=at + (0.03 if slot >= 4 else 0), **command)
            assert [actor.report()["errors"] for actor in actors] == [[]] * 8
            assert {f"{number}-{slot}" for slot in range(8)} <= set(enabled(root))


def test_case_23_a_stale_inode_cannot_come_back_as_another_lease(root: Path) -> None:
    judged = inode(leave_lock(root, lease_of(DEAD_PID)))
    with sleeper() as pid:

        def try_hard() -> None:
            for _ in range(200):
                lock_file(root).unlink()
                leave_lock(root, lease_of(pid))
                assert inode(lock_file(root)) != judged

        once_at("proven", try_hard)
        with pytest.raises(LockTimeoutError):
            mutate(root, lock_timeout=0.35)
    assert json.loads(lock_file(root).read_text())["pid"] == pid


def test_case_24_a_lease_from_before_the_reboot_is_taken_at_once_though_its_pid_lives(root: Path) -> None:
    leave_lock(root, ours(os.getpid(), boot="another boot"))
    assert mutate(root, lock_timeout=1.0).takeover == "left by an earlier boot of this machine"


@pytest.mark.parametrize("made", [{"host": "another host"}, {"acquired_at": now()}])
def test_case_24_another_boot_is_an_earlier_one_only_by_our_name_and_a_time_before_our_boot(
    root: Path, made: dict[str, str]
) -> None:
    leave_lock(root, ours(DEAD_PID, boot="another boot", **made))
    assert is_refused(root)


@pytest.mark.parametrize("shift", [3600, -3600])
def test_case_25_a_clock_that_was_set_makes_no_living_lease_stale_and_no_dead_one_live(root: Path, shift: int) -> None:
    with Actor.python() as holder:
        holder.send("hold", root, ms=1200, ids=["held"])
        holder.expect("held")
        moment = time.time() + shift
        os.utime(lock_file(root), (moment, moment))
        assert is_refused(root)
        assert holder.report()["errors"] == []
    leave_lock(root, lease_of(DEAD_PID), age=-shift)
    assert mutate(root, lock_timeout=SOON).takeover == "its process is dead"


@needs_containers
def test_case_26_a_python_holder_in_another_pid_namespace_is_waited_for(root: Path) -> None:
    with Actor.python(within=CONTAINER) as holder:
        holder.send("hold", root, ms=1000, ids=["held"])
        inner = holder.expect("held")["pid"]
        assert json.loads(lock_file(root).read_text())["pid"] == inner < 100
        assert is_refused(root)
        assert holder.report()["errors"] == []
    assert mutate(root).changed
    assert enabled(root) == ["held", "mine"]


@needs_proc
@needs_containers
def test_a_python_holder_killed_in_another_pid_namespace_blocks_nobody(root: Path) -> None:
    with Actor.python(within=CONTAINER) as holder:
        holder.send("hold", root)
        holder.expect("held")
        holder.signal(signal.SIGKILL)
        holder.wait_dead()
    assert mutate(root, lock_timeout=1.0).takeover == "its liveness lock is free"


@needs_containers
@needs_node
def test_case_27_a_peer_elsewhere_that_steals_an_old_living_lease_is_noticed_and_the_change_done_again(
    root: Path,
) -> None:
    with Actor.node(within=CONTAINER) as thief:
        runs = []

        def change(found: RepoState) -> RepoState:
            if not runs:
                old = time.time() - 120
                os.utime(lock_file(root), (old, old))
                assert thief.do("enable", root, ids=["thief"])["errors"] == []
            runs.append(1)
            return add("mine")(found)

        assert mutate(root, change).attempts == 2
    assert enabled(root) == ["mine", "thief"]


@needs_root
def test_case_54_another_users_lease_that_cannot_be_read_is_treated_as_living(open_root: Path) -> None:
    leave_lock(open_root, lease_of(DEAD_PID)).chmod(0o600)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            mutate(open_root, lock_timeout=0.6)
        except LockTimeoutError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lock_file(open_root).exists()


@needs_proc
def test_an_abandoned_lease_in_our_own_name_is_no_lease_of_ours(root: Path) -> None:
    leave_lock(root, lease_of(os.getpid()))
    assert mutate(root).takeover == "its process id was used again"


def test_inspecting_a_dead_lease_leaves_it_there(root: Path) -> None:
    leave_lock(root, ours(os.getpid(), boot="another boot"))
    seen = state.inspect(root)
    assert (seen.lock_status, seen.proof) == ("abandoned", "left by an earlier boot of this machine")
    assert lock_file(root).exists()


def test_without_a_fair_lock_a_living_python_lease_is_not_taken_however_old(root: Path) -> None:
    (folder(root) / "state.guard").mkdir()
    with Actor.python() as holder:
        holder.send("hold", root, ms=1000, ids=["held"])
        holder.expect("held")
        text = lock_file(root).read_text()  # in place: as if its process could not be seen from here
        lock_file(root).write_text(text.replace(f'"pid":{holder.pid}', f'"pid":{DEAD_PID}'))
        os.utime(lock_file(root), (1, 1))
        with pytest.raises(LockTimeoutError):
            mutate(root, lock_timeout=0.7)
        assert holder.report()["errors"] == []
    assert enabled(root) == ["held"]
