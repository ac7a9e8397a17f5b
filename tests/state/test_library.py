"""The library that other programs import: what it returns, what it refuses, what it leaves alone."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from rawr_install.errors import NestedMutationError, StateCorruptError, StateError, StateVersionError, UsageError
from rawr_install.state import store as state
from rawr_install.state.document import RepoState
from tests.support.peers.actors import Actor, needs_node

FORK = multiprocessing.get_context("fork")


def put(root: Path, content: str | bytes) -> Path:
    path = root / ".rawr/state/state.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_missing_file_reads_as_the_default_state(tmp_path: Path) -> None:
    assert state.get_repo_state(tmp_path) == {
        "version": 1,
        "plugins": {"enabled": [], "lastUpdatedAt": "1970-01-01T00:00:00.000Z"},
    }
    assert not (tmp_path / ".rawr").exists()


def test_a_root_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        state.enable_plugin(tmp_path / "nowhere", "a")
    assert caught.value.code == "STATE_ROOT_MISSING"
    assert not (tmp_path / "nowhere").exists()


def test_enabling_takes_the_plugin_off_the_other_list(tmp_path: Path) -> None:
    state.disable_plugin(tmp_path, "b")
    state.enable_plugin(tmp_path, "a")
    assert state.enable_plugin(tmp_path, " b ")["plugins"]["enabled"] == ["a", "b"]
    assert "disabled" not in state.get_repo_state(tmp_path)["plugins"]


@pytest.mark.contract("C1", "write.only-changes", "a change that changes nothing writes nothing")
def test_a_mutation_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    state.enable_plugin(tmp_path, "a")
    path = Path(state.state_path(tmp_path))
    before = path.stat()
    result = state.mutate_repo_state_atomically(tmp_path, lambda current: current)
    assert not result.changed
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)  # it was read: atime


@pytest.mark.contract("C1", "format.unknown-keys", "unknown keys survive")
def test_unknown_keys_survive_at_every_level(tmp_path: Path) -> None:
    put(tmp_path, '{"x": {"deep": [1, null]}, "version": 1, "plugins": {"enabled": ["a"], "y": 2}}')
    state.enable_plugin(tmp_path, "b")
    document = json.loads(Path(state.state_path(tmp_path)).read_text())
    assert document["x"] == {"deep": [1, None]} and document["plugins"]["y"] == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version":1,"plugins":[]}', '{"version":1,"version":1}'])
def test_a_corrupt_file_is_refused_and_left_untouched(tmp_path: Path, content: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(StateCorruptError):
        state.enable_plugin(tmp_path, "a")
    assert path.read_text() == content
    assert not Path(state.state_lock_path(tmp_path)).exists()


@pytest.mark.contract("C1", "refuse.newer-version", "a state of a newer version is refused and kept")
def test_a_newer_version_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = put(tmp_path, '{"version": 2}')
    with pytest.raises(StateVersionError):
        state.enable_plugin(tmp_path, "a")
    assert path.read_text() == '{"version": 2}'


def test_a_mutator_that_raises_changes_nothing_and_leaves_no_lock(tmp_path: Path) -> None:
    state.enable_plugin(tmp_path, "a")

    def mutator(current: RepoState) -> RepoState:
        current["plugins"]["enabled"].append("b")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        state.mutate_repo_state_atomically(tmp_path, mutator)
    assert state.get_repo_state(tmp_path)["plugins"]["enabled"] == ["a"]
    assert not Path(state.state_lock_path(tmp_path)).exists()


def test_a_mutator_that_returns_nothing_changes_nothing(tmp_path: Path) -> None:
    assert not state.mutate_repo_state_atomically(tmp_path, lambda _current: None).changed


@pytest.mark.parametrize("returned", [1, "x", [], {}, {"version": 1, "plugins": {"enabled": "a"}}])
def test_a_mutator_that_returns_no_state_is_an_error(tmp_path: Path, returned: object) -> None:
    with pytest.raises(StateError) as caught:
        state.mutate_repo_state_atomically(tmp_path, lambda _current: returned)  # type: ignore[arg-type,return-value]
    assert caught.value.code == "NOT_A_STATE"
    assert not Path(state.state_path(tmp_path)).exists()


def test_a_nested_mutation_of_the_same_root_raises(tmp_path: Path) -> None:
    def mutator(current: RepoState) -> RepoState:
        state.enable_plugin(tmp_path, "inner")
        return current

    with pytest.raises(NestedMutationError):
        state.mutate_repo_state_atomically(tmp_path, mutator)
    assert not Path(state.state_lock_path(tmp_path)).exists()
    state.enable_plugin(tmp_path, "after")


def bump(current: RepoState) -> RepoState:
    current["n"] = current.get("n", 0) + 1  # type: ignore[typeddict-unknown-key,operator]
    return current


def bump_often(root: Path, times: int) -> None:
    for _ in range(times):
        state.mutate_repo_state_atomically(root, bump, state.RepoStateMutationOptions(durable=False, lock_timeout=60))


@pytest.mark.contract("C1", "exclusion.crowd", "a crowd of writers loses no update")
def test_eight_processes_lose_no_update(tmp_path: Path) -> None:
    workers = [FORK.Process(target=bump_often, args=(tmp_path, 50)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert state.get_repo_state(tmp_path)["n"] == 400  # type: ignore[typeddict-item]
    assert sorted(os.listdir(tmp_path / ".rawr/state")) == ["state.guard", "state.json", "state.last-good.json"]


def peer_enables(root: Path, name: str) -> None:
    """What `enable` of some TypeScript programs leaves: the id on the one list, and where it stood on the other too."""
    path = root / ".rawr/state/state.json"
    document = json.loads(path.read_text())
    document["plugins"]["enabled"] = sorted({*document["plugins"]["enabled"], name})
    path.write_text(json.dumps(document, indent=2) + "\n")


def lists(document: RepoState) -> tuple[list[str], list[str]]:
    return document["plugins"]["enabled"], document["plugins"].get("disabled", [])


def test_what_a_peer_has_left_on_both_lists_is_read_and_written_as_enabled(tmp_path: Path) -> None:
    state.disable_plugin(tmp_path, "x")
    peer_enables(tmp_path, "x")
    assert lists(state.get_repo_state(tmp_path)) == (["x"], [])
    seen = state.inspect(tmp_path).state
    assert seen and lists(seen) == (["x"], [])
    state.enable_plugin(tmp_path, "x")  # changes nothing but that
    assert lists(json.loads((tmp_path / ".rawr/state/state.json").read_text())) == (["x"], [])
    state.disable_plugin(tmp_path, "x")
    peer_enables(tmp_path, "x")
    state.disable_plugin(tmp_path, "x")
    assert lists(json.loads((tmp_path / ".rawr/state/state.json").read_text())) == ([], ["x"])


def test_set_repo_state_writes_a_time(tmp_path: Path) -> None:
    state.enable_plugin(tmp_path, "x")
    assert state.set_repo_state(tmp_path, state.default_repo_state())["plugins"]["lastUpdatedAt"] > "2020"


def test_the_last_good_copy_holds_what_another_program_wrote_before_the_last_change(tmp_path: Path) -> None:
    state.enable_plugin(tmp_path, "a")
    peer_enables(tmp_path, "b")
    state.enable_plugin(tmp_path, "c")  # within the second in which changes of ours alone are not copied again
    copy = json.loads((tmp_path / ".rawr/state/state.last-good.json").read_text())
    assert copy["plugins"]["enabled"] == ["a", "b", "c"]


@pytest.mark.parametrize(("kind", "copies"), [("python", 1), pytest.param("node", 4, marks=needs_node)])
def test_whoever_waited_for_another_of_ours_copies_no_oftener_than_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, copies: int
) -> None:
    monkeypatch.setattr(state, "LAST_GOOD_EVERY", 60.0)
    written: list[bytes] = []
    monkeypatch.setattr(state, "write_file", lambda _path, data, *_: written.append(data))
    state.enable_plugin(tmp_path, "a")
    with Actor.of(kind) as holder:
        for turn in range(3):
            holder.send("hold", tmp_path, ms=100, ids=[f"held {turn}"])
            holder.expect("held")
            state.enable_plugin(tmp_path, f"mine {turn}")
            assert holder.report()["errors"] == []
    assert len(written) == copies


def test_beside_another_program_that_writes_all_the_time_not_every_change_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LAST_GOOD_EVERY", 60.0)
    monkeypatch.setattr(state, "LAST_GOOD_BESIDE_OTHERS", 3)
    written: list[bytes] = []
    monkeypatch.setattr(state, "write_file", lambda _path, data, *_: written.append(data))
    state.enable_plugin(tmp_path, "a")
    for turn in range(5):
        peer_enables(tmp_path, f"theirs {turn}")
        state.enable_plugin(tmp_path, f"mine {turn}")
    assert len(written) == 3
