"""Mutual exclusion and order (cases 1-9): nobody loses an update, nobody starves, nobody waits for himself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rawr_install.errors import LockTimeoutError, NestedMutationError
from rawr_install.state import RepoState, store as state
from tests.state.conftest import add, enabled, lease_of, leave_lock, leftovers, lock_file, mutate, once_at
from tests.support.peers.actors import Actor, crowd, needs_node, together

FORK = multiprocessing.get_context("fork")


def sign_often(root: Path, name: int, times: int, ready: threading.Barrier) -> None:
    def sign(found: RepoState) -> RepoState:
        found.setdefault("order", []).append(name)  # type: ignore[typeddict-item]
        return found

    ready.wait()
    for _ in range(times):
        mutate(root, sign, lock_timeout=60, durable=False)


def race(root: Path, processes: int, times: int) -> list[int]:
    """Processes that sign the state in turn, started together; who signed, in order."""
    ready = FORK.Barrier(processes)
    workers = [FORK.Process(target=sign_often, args=(root, name, times, ready)) for name in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * processes
    return list(state.get_repo_state(root)["order"])  # type: ignore[typeddict-item]


def jain(order: list[int], processes: int) -> float:
    """Jain's fairness index of the first half of the race."""
    counts = [order[: len(order) // 2].count(name) for name in range(processes)]
    return sum(counts) ** 2 / (processes * sum(count**2 for count in counts))


def longest_run(order: list[int]) -> int:
    longest = run = 1
    for before, after in pairwise(order):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    return longest


@pytest.mark.slow
def test_case_1_and_5_eight_processes_lose_nothing_share_fairly_and_do_not_barge(
    root: Path, alone: None, count: Callable[[int, int], int]
) -> None:
    times = count(60, 200)
    order = race(root, 8, times)
    assert len(order) == 8 * times
    # The benchmark shows more (0.99, 6); a machine that is busy with other things must not fail the test.
    # Without the fair lock it is 0.8 and runs of a hundred.
    assert jain(order, 8) > 0.9
    assert longest_run(order[len(order) // 8 : len(order) // 2]) <= 24
    assert leftovers(root) == []


def test_case_2_thirty_two_processes_lose_nothing(root: Path, count: Callable[[int, int], int]) -> None:
    times = count(8, 50)
    assert len(race(root, 32, times)) == 32 * times


@pytest.mark.slow
@needs_node
def test_case_3_python_and_node_flat_out_lose_nothing_on_either_side(
    root: Path, count: Callable[[int, int], int]
) -> None:
    with crowd(*["python"] * 4, *["node"] * 4) as actors:
        seconds = count(2, 10)
        commands = [{"verb": "count", "slot": f"s{number}", "seconds": seconds} for number in range(8)]
        reports = together(actors, root, commands)
    assert [report["errors"] for report in reports] == [[]] * 8
    assert [report["lost"] for report in reports] == [0] * 8
    assert all(report["final"] for report in reports)
    assert sorted(enabled(root)) == sorted(f"s{number}-{report['final']}" for number, report in enumerate(reports))


@pytest.mark.slow
def test_case_4_threads_of_one_process_lose_nothing(root: Path) -> None:
    ready = threading.Barrier(8)
    threads = [threading.Thread(target=sign_often, args=(root, name, 50, ready)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.get_repo_state(root)["order"]) == 400  # type: ignore[typeddict-item]


@pytest.mark.slow
@needs_node
def test_case_6_a_node_peer_is_not_starved_by_saturated_python_on_a_slow_disk(root: Path) -> None:
    stop = FORK.Event()

    def saturate() -> None:
        while not stop.is_set():
            mutate(root, lambda found: time.sleep(0.005) or add(f"p{time.monotonic_ns() % 9}")(found), lock_timeout=60)

    workers = [FORK.Process(target=saturate) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        with Actor.node() as node:
            report = node.do("count", root, slot="node", times=15)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert report["errors"] == [] and len(report["acked"]) == 15  # its own timeout is 5 s


@pytest.mark.contract("C1", "mutator.nested", "a change inside a change is an error")
def test_case_7_a_mutation_inside_a_mutation_raises_and_leaves_nothing(root: Path) -> None:
    with pytest.raises(NestedMutationError):
        mutate(root, lambda found: mutate(root) and found)
    assert leftovers(root) == [] and not Path(state.state_path(root)).exists()


@pytest.mark.contract("C1", "root.real-path", "two names of one root are one root")
def test_case_8_the_same_root_by_another_name_is_the_same_root(root: Path) -> None:
    alias = root.parent / f"{root.name}-alias"
    alias.symlink_to(root)
    with pytest.raises(NestedMutationError):
        mutate(root, lambda found: mutate(alias) and found)
    assert mutate(alias).changed


def test_case_9_giving_up_in_the_queue_leaves_no_residue_and_the_others_their_places(root: Path) -> None:
    with crowd("python", "python", "python") as (holder, head, later):
        holder.send("hold", root, ms=1500, ids=["held"])
        holder.expect("held")
        head.send("enable", root, ids=["head"])
        time.sleep(0.2)
        with pytest.raises(LockTimeoutError) as caught:
            mutate(root, lock_timeout=0.3)
        later.send("enable", root, ids=["later"])
        assert [actor.report()["errors"] for actor in (holder, head, later)] == [[], [], []]
    assert caught.value.details is not None and caught.value.details["holder"]
    assert mutate(root, add("after")).changed
    assert enabled(root) == ["after", "head", "held", "later"]
    assert leftovers(root) == []


def test_a_rival_thread_inside_the_change_waits_its_turn(root: Path) -> None:
    rival = threading.Thread(target=lambda: mutate(root, add("rival")))

    def change(found: RepoState) -> RepoState:
        rival.start()
        rival.join(0.2)
        assert rival.is_alive()
        return add("first")(found)

    mutate(root, change)
    rival.join()
    assert enabled(root) == ["first", "rival"]


@pytest.mark.contract("C1", "exclusion.rival-inside", "a rival that comes inside a change waits its turn")
@pytest.mark.parametrize("kind", ["python", pytest.param("node", marks=needs_node)])
def test_a_rival_process_inside_the_change_waits_its_turn(root: Path, kind: str) -> None:
    with Actor.of(kind) as rival:

        def change(found: RepoState) -> RepoState:
            rival.send("enable", root, ids=["rival"])
            time.sleep(0.2)
            assert enabled(root) == []
            return add("first")(found)

        mutate(root, change)
        assert rival.report()["errors"] == []
    assert enabled(root) == ["first", "rival"]


def test_a_wait_and_a_takeover_are_told_in_the_result(root: Path) -> None:
    leave_lock(root, lease_of(4_194_297))
    made = mutate(root)
    assert (made.contended, made.takeover, made.attempts) == (True, "its process is dead", 1)
    assert made.previous_holder == {
        "pid": 4_194_297,
        "kind": "peer",
        "acquiredAt": "2026-01-01T00:00:00.000Z",
    }
    calm = mutate(root, add("again"))
    assert (calm.contended, calm.takeover, calm.previous_holder, calm.durable) == (False, "", None, True)


def test_without_a_rival_the_points_come_in_the_order_of_the_manual(root: Path) -> None:
    met = once_at("never", lambda: None)
    mutate(root)
    assert met == (
        "entered prepared turn leased read mutated staged checked committed confirmed released synced".split()  # noqa: SIM905
    )
    assert not lock_file(root).exists()


def test_without_a_thread_to_be_had_the_turn_is_polled_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Actor.python() as head:
        head.send("enable", root, ids=["head"], stop="turn")
        head.expect("stopped")
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert mutate(root, lock_timeout=1.0).degraded == ("the head of the queue does not move",)
        monkeypatch.undo()
        head.signal(signal.SIGCONT)
        assert head.report()["errors"] == []
    assert enabled(root) == ["head", "mine"]


def test_a_timeout_of_zero_tries_once(root: Path) -> None:
    assert mutate(root, lock_timeout=0).changed
    leave_lock(root, lease_of(os.getpid()))
    with pytest.raises(LockTimeoutError):
        mutate(root, add("other"), lock_timeout=0)
