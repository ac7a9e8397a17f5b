"""Changes of one name, and what a transaction does when even putting back fails."""

from __future__ import annotations

import os
import signal
from itertools import permutations
from pathlib import Path

import pytest

from rawr_install.errors import RefusedError
from rawr_install.machine import change as changes
from rawr_install.machine.change import ABSENT, FOREIGN, Change, PathState, file_with, link_to, read_path
from tests.conftest import LINK, Machine
from tests.support.steps import MUTATING, fail_at, need_strace, record, skip_at, strace

OURS = link_to("/w/apps/cli/bin/run.js")
OTHER = file_with(b"\xff not UTF-8 \r\n", 0o640)


def put(path: str, value: PathState) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    if value.kind == "link":
        os.symlink(value.target, path)
    elif value.kind == "file":
        Path(path).write_bytes(value.data)
        os.chmod(path, value.mode)


def carry_out(change: Change) -> None:
    changes.apply(change, changes.stage(change))


@pytest.mark.parametrize(
    ("before", "after"), list(permutations([ABSENT, OURS, OTHER], 2)), ids=lambda value: getattr(value, "kind", None)
)
def test_a_change_and_its_inverse_lead_there_and_back(tmp_path: Path, before: PathState, after: PathState) -> None:
    change = Change("entry", str(tmp_path / "rawr"), before, after)
    put(change.path, before)
    carry_out(change)
    assert (read_path(change.path), changes.progress(change)) == (after, "after")
    carry_out(change.inverse)
    assert read_path(change.path) == before and len(os.listdir(tmp_path)) == (before != ABSENT)


def test_what_somebody_else_put_there_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    change = Change("entry", str(tmp_path / "rawr"), OURS, OTHER)
    put(change.path, link_to("/elsewhere"))
    with pytest.raises(RefusedError, match="changed by another program meanwhile"):
        carry_out(change)
    assert os.readlink(change.path) == "/elsewhere"


def test_a_command_looks_at_what_it_renamed_before_it_says_that_it_is_done(machine: Machine) -> None:
    need_strace()
    a, b = (str(machine.workspace(name)) for name in "ab")
    machine.rawr_install("activate", a, "--mode", "bun-symlink")
    steps = record(machine, ("activate", b))
    before = machine.owner_file.read_text(), os.readlink(machine.entry)
    for path in (machine.owner_file, machine.entry):
        renaming = next(step for step in steps if step.name == "rename" and f'/{path.name}")' in step.shown)
        ran = skip_at(machine, ("activate", a), renaming)
        said = ran.json.get("error", {}).get("code", "that it is done")
        assert said == "CHANGED_MEANWHILE", f"{path} was not replaced, and activate said {said}"
        assert (machine.owner_file.read_text(), os.readlink(machine.entry)) == before, "it was not put back"


@pytest.fixture
def aside(tmp_path: Path) -> Change:
    """A foreign file at the entry's place, and the change that sets it aside."""
    path = str(tmp_path / "rawr")
    Path(path).write_text("foreign")
    return Change("entry", path, FOREIGN, OURS, path + ".aside")


def test_setting_aside_goes_on_from_where_it_was_interrupted(aside: Change) -> None:
    assert aside.backup and changes.progress(aside) == "before"
    os.link(aside.path, aside.backup)
    assert changes.progress(aside) == "between"
    carry_out(aside)
    assert changes.progress(aside) == "after" and Path(aside.backup).read_text() == "foreign"
    carry_out(aside)  # once more changes nothing
    assert changes.progress(aside) == "after"


@pytest.mark.parametrize("stop", ["two names", "moved", "done"])
def test_setting_aside_is_undone_from_wherever_it_was_interrupted(aside: Change, stop: str) -> None:
    assert aside.backup
    if stop == "two names":
        os.link(aside.path, aside.backup)
    elif stop == "moved":
        os.rename(aside.path, aside.backup)
    else:
        carry_out(aside)
    carry_out(aside.inverse)
    assert Path(aside.path).read_text() == "foreign" and not os.path.lexists(aside.backup)


def test_without_the_foreign_file_nothing_of_somebody_elses_is_touched(aside: Change) -> None:
    assert aside.backup
    os.rename(aside.path, aside.backup)
    Path(aside.path).write_text("newer")
    for change in (aside, aside.inverse):
        assert changes.progress(change) == "other"
        with pytest.raises(RefusedError):
            carry_out(change)
    assert Path(aside.path).read_text() == "newer" and Path(aside.backup).read_text() == "foreign"


def test_sweep_removes_temporary_files_of_that_name_only(tmp_path: Path) -> None:
    ours, others = ".rawr.12.0123abcd.tmp", [".rawr.tmp", ".rawr.x.0123abcd.tmp", ".rawr2.12.0123abcd.tmp", "rawr"]
    for name in (ours, *others):
        (tmp_path / name).touch()
    changes.sweep(str(tmp_path / "rawr"))
    assert sorted(os.listdir(tmp_path)) == sorted(others)


# -- with the system calls that do it ------------------------------------------------


@pytest.fixture
def occupied(machine: Machine) -> Machine:
    need_strace()
    machine.bun_bin.mkdir(parents=True)
    machine.entry.write_text("#!/bin/sh\n")
    return machine


@pytest.mark.parametrize("errno", ["EPERM", "EOPNOTSUPP", "EMLINK"])
def test_where_hard_links_are_not_possible_the_foreign_file_is_renamed(occupied: Machine, errno: str) -> None:
    words = ("install", "--workspace", str(occupied.workspace("a")), "--force")
    step = next(step for step in record(occupied, words) if step.name.startswith("link"))
    occupied.rawr_install("uninstall", "--yes")
    assert fail_at(occupied, words, step, errno).code == 0
    assert (occupied.bun_bin / "rawr.before-rawr-install").read_text() == "#!/bin/sh\n"


def test_when_putting_back_fails_too_the_next_command_mends_it(machine: Machine) -> None:
    need_strace()
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    # Renames: the pending record, the owner file, then everything fails: the entry, and the owner file on its way back.
    rule = "inject=rename:error=EIO:when=3+"
    ran, _log = strace(machine, ("activate", str(b)), "-e", f"trace={MUTATING}", "-e", rule)
    error = ran.json["error"]
    assert (ran.code, error["code"]) == (1, "WRITE_FAILED")
    assert "EIO" in error["message"] and "the next changing command mends it" in error["message"]
    assert machine.owner_file.read_text() == f"{b}\n" and os.readlink(machine.entry).startswith(str(a))
    planned = machine.rawr_install("activate", b, "--dry-run", "--json").json
    assert "still to be mended" in planned["warnings"][0]
    mended = machine.rawr_install("install", "--workspace", a, "--json").json
    assert "interrupted activate" in mended["warnings"][0] and "undone" in mended["warnings"][0]
    assert machine.owner_file.read_text() == f"{a}\n" and os.readlink(machine.entry).startswith(str(a))


def test_one_name_that_cannot_be_put_back_does_not_keep_the_others_changed(machine: Machine) -> None:
    need_strace()
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    # Renames: the pending record, owner, entry, receipt; closing the record fails, and so does the receipt's way back.
    rule = "inject=rename:error=EIO:when=5..6"
    ran, _log = strace(machine, ("activate", str(b)), "-e", f"trace={MUTATING}", "-e", rule)
    assert "Putting things back failed too" in ran.json["error"]["message"], ran
    assert machine.owner_file.read_text() == f"{a}\n" and os.readlink(machine.entry).startswith(str(a))
    assert str(b) in (machine.home / ".local/state/rawr/receipt.json").read_text()
    assert machine.rawr_install("deactivate").code == 0
    assert str(b) not in (machine.home / ".local/state/rawr/receipt.json").read_text()


def test_an_interrupt_from_the_keyboard_puts_everything_back(machine: Machine) -> None:
    need_strace()
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    rule = "inject=rename:signal=SIGINT:when=3"
    ran, _log = strace(machine, ("activate", str(b)), "-e", "trace=rename", "-e", rule)
    assert (ran.code, ran.json["error"]["code"]) == (-signal.SIGINT, "INTERRUPTED"), ran
    assert machine.owner_file.read_text() == f"{a}\n" and os.readlink(machine.entry).startswith(str(a))
    assert machine.rawr_install("activate", a, "--json").json["data"]["changed"] is False
