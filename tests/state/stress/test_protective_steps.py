"""Each step of the protocol that no other test here would miss, met by the one thing that it protects against."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawr_install.state import failpoints, store as state
from tests.support.peers.actors import Actor, needs_node

NOT_DURABLE = state.RepoStateMutationOptions(durable=False, lock_timeout=30)
DEAD_PID = 2**30


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / ".rawr/state/state.lock"
    path.parent.mkdir(parents=True)
    return path


def leave(lock: Path, age: float) -> None:
    lock.write_text(json.dumps({"pid": DEAD_PID, "acquiredAt": ""}))
    os.utime(lock, (time.time() - age,) * 2)


def mutate(root: Path, pause: float = 0) -> state.RepoStateMutationResult:
    def mutator(found: state.RepoState) -> state.RepoState:
        time.sleep(pause)
        found["plugins"]["enabled"].append("mine")
        return found

    return state.mutate_repo_state_atomically(root, mutator, NOT_DURABLE)


def enabled(root: Path) -> list[str]:
    return state.get_repo_state(root)["plugins"]["enabled"]


@contextmanager
def hooked(**actions: object) -> Iterator[None]:
    """Call ``action()`` at the first visit of each named point."""
    left = dict(actions)

    def hook(point: str) -> None:
        action = left.pop(point, None)
        if callable(action):
            action()

    failpoints.handler = hook
    try:
        yield
    finally:
        failpoints.handler = None


def test_the_second_waiter_queues_at_the_fair_lock_and_leaves_the_lease_to_the_first(tmp_path: Path) -> None:
    with Actor.python() as holder, Actor.python() as first, Actor.python() as second:
        holder.send("hold", tmp_path, ms=3_600_000)
        holder.expect("held")
        first.send("enable", tmp_path, ids=["first"], stop="busy")
        assert first.expect("stopped")["point"] == "busy"
        first.wait_stopped()
        second.send("enable", tmp_path, ids=["second"], timeout=60_000, stop="queued")
        assert second.expect("stopped")["point"] == "queued"
        second.wait_stopped()
        second.signal(signal.SIGCONT)
        holder.kill()
        assert second.is_quiet(0.2), "the second overtook the first"
        first.signal(signal.SIGCONT)
        assert first.report()["acked"] == ["first"] and second.report()["acked"] == ["second"]


@needs_node
def test_a_peers_removal_under_way_gets_the_time_to_finish_before_we_take_an_old_lock(
    tmp_path: Path, lock: Path
) -> None:
    leave(lock, age=120)
    with Actor.node() as peer:
        peer.send("enable", tmp_path, ids=["peer"], stop="judged")
        assert peer.expect("stopped")["point"] == "judged"
        peer.wait_stopped()
        go_on = {point: lambda: peer.signal(signal.SIGCONT) for point in ("fencing", "leased")}
        with hooked(**go_on):
            result = mutate(tmp_path, pause=0.3)
        assert peer.report()["acked"] == ["peer"]
    assert result.attempts == 1, "the peer removed our lease"
    assert enabled(tmp_path) == ["mine", "peer"]


@needs_node
@pytest.mark.slow
def test_a_living_lease_caught_by_a_takeover_is_restored(tmp_path: Path, lock: Path) -> None:
    leave(lock, age=0)
    with Actor.node() as peer:

        def revive() -> None:
            lock.unlink()
            peer.send("hold", tmp_path, ms=600, ids=["peer"])
            peer.expect("held")

        with hooked(matched=revive):
            result = mutate(tmp_path)
        assert peer.report()["acked"] == ["peer"]
    assert result.attempts == 1
    assert enabled(tmp_path) == ["mine", "peer"]


@needs_node
@pytest.mark.slow
def test_a_lease_that_changed_after_the_proof_is_not_even_moved(tmp_path: Path, lock: Path) -> None:
    leave(lock, age=0)
    moved: list[str] = []
    with Actor.node() as peer:

        def revive() -> None:
            lock.unlink()
            peer.send("hold", tmp_path, ms=300, ids=["peer"])
            peer.expect("held")

        with hooked(fenced=revive, renamed=lambda: moved.append("renamed")):
            mutate(tmp_path)
        assert peer.report()["acked"] == ["peer"]
    assert not moved and enabled(tmp_path) == ["mine", "peer"]


@needs_node
def test_a_release_frees_only_our_own_lease(tmp_path: Path, lock: Path) -> None:
    with Actor.node() as peer:

        def pass_on() -> None:
            lock.unlink()
            peer.send("hold", tmp_path, ms=1000)
            peer.expect("held")

        with hooked(confirmed=pass_on):
            mutate(tmp_path)
        assert json.loads(lock.read_text())["pid"] == peer.pid
        peer.report()
    assert enabled(tmp_path) == ["mine"]


@needs_node
def test_a_peer_of_any_age_that_lives_is_waited_for(tmp_path: Path, lock: Path) -> None:
    with Actor.node() as peer:
        peer.send("hold", tmp_path, ms=400, ids=["peer"])
        peer.expect("held")
        os.utime(lock, (time.time() - 7200,) * 2)
        mutate(tmp_path)
        assert peer.report()["acked"] == ["peer"]
    assert enabled(tmp_path) == ["mine", "peer"]
