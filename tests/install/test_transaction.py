"""The executor by itself: all changes or none, whatever fails and whoever else is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.errors import RawrError, RefusedError
from rawr_install.install import transaction
from rawr_install.install.transaction import execute, put_back, recover, remove
from rawr_install.machine import records
from rawr_install.machine.change import ABSENT, Change, file_with, link_to
from rawr_install.paths import Paths


class Desk:
    """A home with two names that a transaction changes: a file that is there, and a link that is not."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths = Paths.from_environ({"HOME": str(home)})
        self.owner, self.entry = Path(self.paths.owner_file), home / "bin/rawr"
        self.owner.parent.mkdir()
        self.owner.write_text("old\n")
        self.entry.parent.mkdir()
        Path(self.paths.history_file).parent.mkdir(parents=True)
        self.changes = (
            Change("owner", str(self.owner), file_with(b"old\n"), file_with(b"new\n")),
            Change("entry", str(self.entry), ABSENT, link_to("/cli")),
        )

    def run(self, changes: tuple[Change, ...] | None = None, rewound: int | None = None) -> records.Record:
        return execute(self.paths, self.history(), "activate", changes or self.changes, rewound)

    def fails(self, kind: type[BaseException] = RawrError) -> BaseException:
        with pytest.raises(kind) as raised:
            self.run()
        return raised.value

    def history(self) -> list[records.Record]:
        return records.read_history(self.paths.history_file)

    @property
    def statuses(self) -> list[str]:
        return [record.status for record in self.history()]

    @property
    def now(self) -> tuple[str, str | None]:
        return self.owner.read_text(), os.readlink(self.entry) if self.entry.is_symlink() else None

    def leftovers(self) -> list[str]:
        return [path.name for path in self.home.rglob("*.tmp")]


OLD, NEW = ("old\n", None), ("new\n", "/cli")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAWR_EVENTS", "off")
    return Desk(tmp_path)


def on(
    monkeypatch: pytest.MonkeyPatch, call: str, path: object, act: Callable[[], object], after: bool = False
) -> None:
    """Let ``act`` happen at a system call that is about to make ``path``, or just after it."""
    real = getattr(os, call)

    def wrapped(*words: object, **more: object) -> object:
        meant = str(words[-1]) == str(path)
        if meant and not after:
            act()
        answer = real(*words, **more)
        if meant and after:
            act()
        return answer

    monkeypatch.setattr(os, call, wrapped)


def fail(number: int, *name: str) -> Callable[[], object]:
    def raising() -> None:
        raise OSError(number, os.strerror(number), *name)

    return raising


def test_all_changes_are_made_and_recorded(desk: Desk) -> None:
    desk.run()
    assert desk.now == NEW and desk.statuses == ["done"] and not desk.leftovers()
    back = tuple(change.inverse for change in desk.changes[::-1])
    record = desk.run(back, 1)
    assert desk.now == OLD and not desk.leftovers()
    assert (record.command, record.changes, record.rewound, record.id) == ("activate", back, 1, 2)
    assert desk.history()[1] == record._replace(status="done")


def test_what_cannot_be_staged_changes_nothing(desk: Desk) -> None:
    desk.entry.parent.rmdir()
    desk.entry.parent.write_text("a file")
    error = desk.fails()
    assert isinstance(error, RawrError) and error.message.startswith("activate failed: ")
    assert error.message.endswith(" Everything was put back.") and error.details["path"] == str(desk.entry.parent)
    assert desk.now == OLD and desk.statuses == ["undone"] and not desk.leftovers()


def test_a_rename_that_fails_puts_back_what_was_changed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "replace", desk.entry, fail(errno.ENOSPC, "/x/.rawr.1.tmp"))
    error = desk.fails()
    assert isinstance(error, RawrError)
    assert (error.code, error.details) == ("DISK_FULL", {"errno": "ENOSPC", "path": str(desk.entry)})
    assert error.hint and error.message.endswith(" Everything was put back.")
    assert desk.now == OLD and desk.statuses == ["undone"] and not desk.leftovers()


def test_of_several_records_the_newest_is_undone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run()
    on(monkeypatch, "replace", desk.owner, fail(errno.EIO))
    with pytest.raises(RawrError, match=r"Everything was put back\."):
        desk.run(tuple(change.inverse for change in desk.changes[::-1]))
    assert desk.now == NEW and desk.statuses == ["done", "undone"]


def test_a_failure_without_a_code_of_its_own_is_a_failed_write(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "replace", desk.entry, fail(errno.EIO))
    error = desk.fails()
    assert isinstance(error, RawrError)
    assert (error.code, error.details) == ("WRITE_FAILED", {"errno": "EIO", "path": str(desk.entry)})


def test_a_history_that_cannot_be_begun_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "replace", desk.paths.history_file, fail(errno.EACCES))
    error = desk.fails()
    assert isinstance(error, RawrError) and error.message.endswith(" Nothing was changed.")
    assert (error.code, error.details["path"]) == ("PERMISSION_DENIED", desk.paths.history_file)
    assert desk.now == OLD and desk.statuses == []


def test_a_history_that_cannot_be_closed_is_a_failure_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Neither "done" nor "undone" can be written once the entry is there.
    on(
        monkeypatch,
        "replace",
        desk.entry,
        lambda: on(monkeypatch, "replace", desk.paths.history_file, fail(errno.EIO)),
        True,
    )
    error = desk.fails()
    assert isinstance(error, RawrError) and error.message.endswith(" Everything was put back.")
    assert error.details["path"] == desk.paths.history_file
    monkeypatch.undo()
    assert desk.now == OLD and desk.statuses == ["pending"]
    history, said = recover(desk.paths, desk.history())
    assert desk.statuses == ["undone"] == [record.status for record in history]
    assert said == (f"An interrupted activate of {history[0].at} was undone.",)


def test_a_refusal_keeps_its_kind_and_code_and_says_that_all_was_put_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "replace", desk.owner, lambda: desk.entry.write_text("theirs"), True)
    error = desk.fails(RefusedError)
    assert isinstance(error, RefusedError)
    assert (error.code, error.hint) == ("CHANGED_MEANWHILE", "run the command again")
    assert error.message == (
        f"{desk.entry} was changed by another program meanwhile. Changed by another program and left: {desk.entry}."
    )
    assert desk.now == OLD and desk.entry.read_text() == "theirs"


def test_what_does_not_hold_afterwards_is_no_success(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "replace", desk.entry, lambda: desk.owner.write_text("theirs"), True)
    error = desk.fails()
    assert isinstance(error, RawrError) and error.code == "CHANGED_MEANWHILE"
    assert error.message.startswith(f"{desk.owner} does not hold what was just put there. ")
    assert desk.now == ("theirs", None)


def test_an_interrupt_passes_through_with_all_put_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    on(monkeypatch, "replace", desk.entry, interrupt)
    assert isinstance(desk.fails(KeyboardInterrupt), KeyboardInterrupt)
    assert desk.now == OLD and desk.statuses == ["undone"] and not desk.leftovers()


def test_where_putting_back_fails_too_the_next_command_mends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more() -> None:
        on(monkeypatch, "replace", desk.owner, fail(errno.EROFS))
        fail(errno.EIO)()

    on(monkeypatch, "replace", desk.entry, no_more)
    error = desk.fails()
    assert isinstance(error, RawrError) and error.code == "WRITE_FAILED"
    assert "Putting things back failed too (" in error.message
    assert error.message.endswith("the next changing command mends it.")
    assert desk.now == ("new\n", None) and desk.statuses == ["pending"]
    monkeypatch.undo()
    assert recover(desk.paths, desk.history())[0][0].status == "undone"
    assert desk.now == OLD


def test_one_name_that_cannot_be_put_back_does_not_keep_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run()
    on(monkeypatch, "unlink", desk.entry, fail(errno.EROFS))  # put back first, being last
    with pytest.raises(OSError, match="Read-only") as raised:
        put_back(desk.changes)
    assert raised.value.filename == str(desk.entry)
    assert desk.now == ("old\n", "/cli")


def test_of_two_that_cannot_be_put_back_the_first_failure_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run()
    on(monkeypatch, "unlink", desk.entry, fail(errno.EROFS))
    on(monkeypatch, "replace", desk.owner, fail(errno.ENOSPC))
    with pytest.raises(OSError, match="Read-only"):
        put_back(desk.changes)


def test_what_was_not_reached_is_not_touched(desk: Desk) -> None:
    before = desk.owner.stat()
    assert put_back(desk.changes) == []
    assert desk.owner.stat() == before and desk.now == OLD


@pytest.mark.parametrize(("made", "status", "word"), [(True, "done", "finished"), (False, "undone", "undone")])
def test_what_a_killed_process_began_is_ended(made: bool, status: str, word: str, desk: Desk) -> None:
    history = records.begin(desk.paths.history_file, [], "activate", desk.changes)
    desk.owner.write_text("new\n")
    if made:
        desk.entry.symlink_to("/cli")
    for path in (desk.owner, desk.entry, Path(desk.paths.history_file)):
        path.with_name(f".{path.name}.12.0123abcd.tmp").write_text("")
    ended, said = recover(desk.paths, history)
    assert said == (f"An interrupted activate of {history[0].at} was {word}.",)
    assert desk.statuses == [status] == [record.status for record in ended]
    assert desk.now == (NEW if made else OLD) and not desk.leftovers()
    assert recover(desk.paths, ended) == (ended, ())


def test_every_pending_record_is_ended_and_the_others_are_left(desk: Desk) -> None:
    desk.run()
    back = tuple(change.inverse for change in desk.changes[::-1])
    history = records.begin(desk.paths.history_file, desk.history(), "rollback", back)
    history = records.begin(desk.paths.history_file, history, "deactivate", desk.changes[:1])
    ended, said = recover(desk.paths, history)
    assert len(said) == 2 and [record.status for record in ended] == ["done", "undone", "done"]
    assert desk.history() == list(ended)


def test_what_another_program_changed_since_is_left_and_said(desk: Desk) -> None:
    history = records.begin(desk.paths.history_file, [], "activate", desk.changes)
    desk.owner.write_text("new\n")
    desk.entry.write_text("theirs")
    _, (said,) = recover(desk.paths, history)
    assert said.endswith(f"was undone. {desk.entry} was changed by another program and left alone.")
    assert desk.owner.read_text() == "old\n" and desk.entry.read_text() == "theirs"


def test_a_mending_that_fails_says_what_is_not_mended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    history = records.begin(desk.paths.history_file, [], "activate", desk.changes)
    desk.owner.write_text("new\n")
    on(monkeypatch, "replace", desk.owner, fail(errno.EIO))
    with pytest.raises(RawrError) as raised:
        recover(desk.paths, history)
    assert raised.value.message.startswith("mending it failed: ")
    assert raised.value.message.endswith(f" The activate of {history[0].at} was interrupted and is not mended yet.")
    assert desk.statuses == ["pending"]


def test_a_record_that_names_another_owner_file_is_not_obeyed(desk: Desk) -> None:
    elsewhere = Change("owner", str(desk.home / "elsewhere"), ABSENT, file_with(b"x"))
    history = records.begin(desk.paths.history_file, [], "activate", [elsewhere])
    with pytest.raises(RawrError) as raised:
        recover(desk.paths, history)
    assert raised.value.code == "HISTORY_UNREADABLE"


def test_files_are_removed_though_some_are_gone_already(desk: Desk) -> None:
    remove([str(desk.home / "gone"), str(desk.owner)])
    assert not desk.owner.exists()
    with pytest.raises(RawrError) as raised:
        remove([str(desk.entry.parent)])
    assert raised.value.message.startswith("removing the toolkit's own files failed: ")
    assert raised.value.message.endswith(" The rest is still there.")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError(5, "x"), "/path"),
        (OSError(5, "x", "/a", None, "/b"), "/path"),
        (OSError(5, "x", "/dir/.a.1.tmp"), "/path"),
        (OSError(5, "x", "/a"), "/a"),
    ],
)
def test_an_error_speaks_of_the_name_that_was_meant(error: OSError, named: str) -> None:
    with pytest.raises(OSError) as raised, transaction._about("/path"):
        raise error
    assert raised.value.filename == named
