"""A rival inside the change: not a race that may or may not happen, but one that always does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawr_install.state import failpoints, store as state
from tests.support.peers.actors import Actor, needs_node

pytestmark = pytest.mark.slow

NOT_DURABLE = state.RepoStateMutationOptions(durable=False, lock_timeout=30)
LOOK = 0.15  # seconds a rival is watched while it must not get in


def enable(name: str, before: Callable[[], None] = lambda: None) -> state.RepoStateMutator:
    def mutator(found: state.RepoState) -> state.RepoState:
        before()
        found["plugins"]["enabled"].append(name)
        return found

    return mutator


def enabled(root: Path) -> list[str]:
    return state.get_repo_state(root)["plugins"]["enabled"]


@contextmanager
def at(point: str, action: Callable[[], None]) -> Iterator[None]:
    """Do ``action`` once, when the lock reaches ``point``."""
    done: list[str] = []

    def hook(reached: str) -> None:
        if reached == point and not done:
            done.append(point)
            action()

    failpoints.handler = hook
    try:
        yield
    finally:
        failpoints.handler = None
    assert done, f"{point} was never reached"


@pytest.mark.parametrize("kind", ["python", pytest.param("node", marks=needs_node)])
def test_a_rival_process_that_comes_inside_the_change_waits_and_nothing_is_lost(tmp_path: Path, kind: str) -> None:
    with Actor.of(kind) as rival:

        def let_in() -> None:
            rival.send("enable", tmp_path, ids=["rival"])
            assert rival.is_quiet(LOOK), "the rival was let in"

        state.mutate_repo_state_atomically(tmp_path, enable("mine", let_in), NOT_DURABLE)
        assert rival.report()["acked"] == ["rival"]
    assert enabled(tmp_path) == ["mine", "rival"]


def test_a_rival_thread_that_comes_inside_the_change_waits_and_nothing_is_lost(tmp_path: Path) -> None:
    rival = threading.Thread(target=state.mutate_repo_state_atomically, args=(tmp_path, enable("rival"), NOT_DURABLE))

    def let_in() -> None:
        rival.start()
        rival.join(LOOK)
        assert rival.is_alive(), "the rival was let in"

    state.mutate_repo_state_atomically(tmp_path, enable("mine", let_in), NOT_DURABLE)
    rival.join()
    assert enabled(tmp_path) == ["mine", "rival"]


@pytest.mark.contract("C1", "peer.respected", "a peer inside its change is waited for")
@needs_node
def test_we_wait_for_a_peer_inside_its_change_and_nothing_is_lost(tmp_path: Path) -> None:
    with Actor.node() as peer:
        peer.send("hold", tmp_path, ms=200, ids=["peer"])
        peer.expect("held")
        result = state.mutate_repo_state_atomically(tmp_path, enable("mine"), NOT_DURABLE)
        peer.report()
    assert result.contended and enabled(tmp_path) == ["mine", "peer"]


@needs_node
@pytest.mark.parametrize("point", ["leased", "read", "mutated", "staged", "committed"])
def test_a_peer_that_breaks_the_lock_and_changes_the_state_costs_neither_change(tmp_path: Path, point: str) -> None:
    state.mutate_repo_state_atomically(tmp_path, enable("old"), NOT_DURABLE)
    with Actor.node() as peer:

        def break_in() -> None:
            (tmp_path / ".rawr/state/state.lock").unlink()
            assert peer.do("enable", tmp_path, ids=["peer"])["acked"] == ["peer"]

        with at(point, break_in):
            result = state.mutate_repo_state_atomically(tmp_path, enable("mine"), NOT_DURABLE)
    assert result.attempts == 2
    assert enabled(tmp_path) == ["mine", "old", "peer"]


@needs_node
@pytest.mark.parametrize("point", ["leased", "read", "mutated", "staged", "checked", "committed", "confirmed"])
def test_a_lock_that_passed_to_a_peer_is_not_taken_from_it_on_release(tmp_path: Path, point: str) -> None:
    with Actor.node() as peer:

        def pass_on() -> None:
            (tmp_path / ".rawr/state/state.lock").unlink()
            peer.send("hold", tmp_path, ms=LOOK * 1000, ids=["peer"])
            peer.expect("held")

        with at(point, pass_on):
            state.mutate_repo_state_atomically(tmp_path, enable("mine"), NOT_DURABLE)
        assert peer.report()["errors"] == []
    # Only the peer may lose: it replaces the file by what it read. We, acknowledged last, may not.
    assert "mine" in enabled(tmp_path) or point == "confirmed"
    assert not (tmp_path / ".rawr/state/state.lock").exists()
