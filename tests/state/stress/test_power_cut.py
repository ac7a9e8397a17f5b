"""A recorded run of mutations, replayed as every power cut: each prefix, with and without un-synced writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawr_install.state import store as state
from tests.state.stress.powercut import Disk, Model
from tests.state.stress.tracing import NOISE, Call, Victims, calls, mark_of, needs_strace

pytestmark = [needs_strace, pytest.mark.slow]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    made = Victims()
    yield made
    made.close()


def recorded(victims: Victims, root: Path, durable: bool) -> tuple[Model, list[Call]]:
    """The disk before, and every call of three mutations."""
    before = Model.of(root)
    ended = victims.run(root, ["one", "two", "three"], "-e", f"trace={NOISE}", durable=durable)
    assert ended.acked == ["one", "two", "three"], ended
    return before, calls(ended.trace)


def cuts(model: Model, trace: list[Call]) -> Iterator[tuple[list[str], Disk]]:
    """What was acknowledged by then, and a disk that may be found, for every instant of the trace; each disk once."""
    acked: list[str] = []
    seen: set[tuple[int, frozenset[tuple[str, bytes]]]] = set()
    for call in trace:
        model.apply(call)
        if mark_of(call).startswith("ack/"):
            acked.append(mark_of(call).removeprefix("ack/"))
        for disk in model.disks():
            key = len(acked), frozenset(disk.items())
            if key not in seen:
                seen.add(key)
                yield list(acked), disk


def mount(disk: Disk, root: Path, place: Path) -> Path:
    """The disk as a workspace that a program finds after the power is back."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path, data in disk.items():
        target = place / Path(path).relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return place


def workspace(root: Path) -> Path:
    (root / ".rawr/state").mkdir(parents=True)
    (root / ".rawr/state/state.json").write_bytes(b'{"version":1,"plugins":{"enabled":["old"]},"kept":[1]}\n')
    return root


def test_whenever_the_power_fails_all_acknowledged_changes_are_there_and_the_state_is_whole(
    victims: Victims, tmp_path: Path
) -> None:
    root = workspace(tmp_path / "workspace")
    model, trace = recorded(victims, root, durable=True)
    instants = 0
    for acked, disk in cuts(model, trace):
        found = state.get_repo_state(mount(disk, root, tmp_path / "after"))
        assert {"old", *acked} <= set(found["plugins"]["enabled"]) <= {"old", "one", "two", "three"}
        assert found["kept"] == [1]  # type: ignore[typeddict-item]
        instants += 1
    assert instants > 20


def test_the_first_mutation_of_a_workspace_survives_with_the_folders_it_made(victims: Victims, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    root.mkdir()
    model, trace = recorded(victims, root, durable=True)
    for acked, disk in cuts(model, trace):
        found = state.get_repo_state(mount(disk, root, tmp_path / "after"))
        assert set(acked) <= set(found["plugins"]["enabled"]), (acked, sorted(disk))


def test_whatever_lock_and_litter_the_cut_leaves_the_next_mutation_goes_through(
    victims: Victims, tmp_path: Path
) -> None:
    root = workspace(tmp_path / "workspace")
    model, trace = recorded(victims, root, durable=True)
    options = state.RepoStateMutationOptions(durable=False)
    seen = set()
    for _, disk in cuts(model, trace):
        names = {Path(path).name for path in disk}
        lock = [data[:1] for path, data in disk.items() if path.endswith("state.lock")]
        kinds = (bool(lock), b"" in lock, any("tmp" in name for name in names), "state.json" in names)
        if kinds in seen:
            continue
        seen.add(kinds)
        after = mount(disk, root, tmp_path / "after")
        enable_next(after, options)
        assert "next" in json.loads((after / ".rawr/state/state.json").read_text())["plugins"]["enabled"]
    assert len(seen) > 2


def enable_next(root: Path, options: state.RepoStateMutationOptions) -> None:
    def mutator(found: state.RepoState) -> state.RepoState:
        found["plugins"]["enabled"].append("next")
        return found

    state.mutate_repo_state_atomically(root, mutator, options)


def test_without_durability_the_same_replay_finds_losses_so_it_can_fail(victims: Victims, tmp_path: Path) -> None:
    root = workspace(tmp_path / "workspace")
    model, trace = recorded(victims, root, durable=False)
    lost = torn = 0
    for acked, disk in cuts(model, trace):
        after = mount(disk, root, tmp_path / "after")
        text = (after / ".rawr/state/state.json").read_bytes()
        torn += not text
        lost += bool(text) and not set(acked) <= set(json.loads(text)["plugins"]["enabled"])
    assert lost and torn
