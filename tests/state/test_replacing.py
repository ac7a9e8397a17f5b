"""``set_repo_state``: the whole state replaced by another, under the same lock and the same rules as every change."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from rawr_install import set_repo_state
from rawr_install.errors import StateCorruptError, StateError, StateVersionError
from rawr_install.state import RepoState, store as state
from tests.state.conftest import add, enabled, folder, lock_file, mutate


def a_state(*enabled: str, **more: Any) -> RepoState:
    return {"version": 1, "plugins": {"enabled": [*enabled], **more}}


def test_what_stood_there_is_gone_and_what_was_given_stands_tidy(root: Path) -> None:
    (folder(root) / "state.json").write_text('{"version":1,"plugins":{"enabled":["old"],"disabled":["off"]},"kept":1}')
    returned = set_repo_state(root, a_state(" b ", "a", "b", "", disabled=["c", "a"], mine=2))
    written = json.loads((folder(root) / "state.json").read_text())
    assert written == returned == state.get_repo_state(root), "what is returned is not what was written"
    assert "kept" not in written, "a key of the old state survived a replacement"
    assert written["plugins"].pop("lastUpdatedAt") > "2020", "the change has no time of its own"
    assert written["plugins"] == {"enabled": ["a", "b"], "disabled": ["c"], "mine": 2}, (
        "the lists are not trimmed, unique, sorted, and without an id in both"
    )


def test_the_same_state_again_writes_nothing(root: Path) -> None:
    given = set_repo_state(root, a_state("a"))
    before = (folder(root) / "state.json").stat()
    assert set_repo_state(root, given) == given
    after = (folder(root) / "state.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "the same state was written anew"


def test_the_first_state_of_a_workspace_can_be_set(tmp_path: Path) -> None:
    assert set_repo_state(tmp_path, a_state("a"))["plugins"]["enabled"] == enabled(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("content", "error"), [("{", StateCorruptError), ("", StateCorruptError), ('{"version":2}', StateVersionError)]
)
def test_a_file_that_cannot_be_read_is_not_overwritten(root: Path, content: str, error: type[Exception]) -> None:
    path = folder(root) / "state.json"
    path.write_text(content)
    with pytest.raises(error):
        set_repo_state(root, a_state("a"))
    assert path.read_text() == content, "a state that nobody could read was overwritten"
    assert not lock_file(root).exists()


@pytest.mark.parametrize("given", [None, {}, {"version": 1, "plugins": {"enabled": "a"}}, {"version": 1, "x": {1, 2}}])
def test_what_is_no_state_is_refused_and_the_old_one_stays(root: Path, given: Any) -> None:
    mutate(root, add("old"))
    with pytest.raises(StateError) as caught:  # also for None, which from a mutator means "leave it"
        set_repo_state(root, given)
    assert caught.value.code == "NOT_A_STATE"
    assert enabled(root) == ["old"] and not lock_file(root).exists()


def test_a_replacement_waits_for_whoever_is_inside_a_change(root: Path) -> None:
    replacing = threading.Thread(target=set_repo_state, args=(root, a_state("whole")))

    def change(found: RepoState) -> RepoState:
        replacing.start()
        replacing.join(0.2)
        assert replacing.is_alive(), "the state was replaced inside another one's change"
        return add("before")(found)

    mutate(root, change)
    replacing.join()
    assert enabled(root) == ["whole"]
