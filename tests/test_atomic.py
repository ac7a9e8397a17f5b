"""The one way to write a file, with real files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rawr_install import atomic as durable
from tests.state.conftest import needs_root
from tests.support.steps import MUTATING, lost_in_a_power_cut, need_strace, steps_of


def test_a_write_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = path.stat().st_ino
    durable.write_file(str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_call_returns(tmp_path: Path) -> None:
    need_strace()
    folder, log = tmp_path / "folder", tmp_path / "strace.log"
    folder.mkdir()
    code = f"""
from rawr_install import atomic as durable
durable.write_file({str(folder / "file")!r}, b"new")
durable.commit(durable.stage_link({str(folder / "link")!r}, "/target"), {str(folder / "link")!r})
"""
    traced = ("strace", "-f", "-qq", "-y", "-o", log, "-e", f"trace={MUTATING}")
    subprocess.run([*traced, sys.executable, "-c", code], check=True, timeout=60)
    steps = list(steps_of(log.read_text(), folder))
    assert [step.name for step in steps if step.name in ("write", "symlink", "rename")] == [
        *("write", "rename"),
        *("symlink", "rename"),
    ]
    lost = lost_in_a_power_cut(steps)
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize(("asked", "mode"), [((), 0o644), ((0o664,), 0o664)])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(asked: tuple[int, ...], mode: int, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        durable.write_file(str(tmp_path / "file"), b"", *asked)
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "kept").write_text("x")
    with pytest.raises(OSError):
        durable.write_file(str(target), b"data")
    with pytest.raises(OSError):
        durable.commit(durable.stage_link(str(target), "/somewhere"), str(target))
    assert (target / "kept").exists()
    assert os.listdir(tmp_path) == ["folder"]


def test_a_link_swap_is_never_seen_absent(tmp_path: Path) -> None:
    link = tmp_path / "link"
    durable.commit(durable.stage_link(str(link), "/one"), str(link), durable=False)
    done = threading.Event()
    missed: list[FileNotFoundError] = []

    def poll() -> None:
        while not done.is_set():
            try:
                os.readlink(link)
            except FileNotFoundError as error:
                missed.append(error)

    reader = threading.Thread(target=poll)
    reader.start()
    for turn in range(500):
        durable.commit(durable.stage_link(str(link), ("/one", "/two")[turn % 2]), str(link), durable=False)
    done.set()
    reader.join()
    assert not missed


def test_every_byte_is_written_where_write_takes_only_some(tmp_path: Path) -> None:
    # A pipe takes 64 KiB at a time: a single write(2) of 1 MiB comes back short.
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, True)
    received = bytearray()

    def drain() -> None:
        while chunk := os.read(read_end, 4096):
            received.extend(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    data = os.urandom(1 << 20)
    durable.write_all(write_end, data)
    os.close(write_end)
    reader.join()
    os.close(read_end)
    assert bytes(received) == data


@pytest.mark.parametrize("umask", [0, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_while_it_is_written_a_file_is_for_those_who_may_read_it_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, mode: int
) -> None:
    seen, look = [], os.fstat
    monkeypatch.setattr(os, "fstat", lambda fd: seen.append(look(fd).st_mode & 0o777) or look(fd))
    old = os.umask(umask)
    try:
        durable.write_file(str(tmp_path / "file"), b"secret", mode)
    finally:
        os.umask(old)
    assert seen == [mode & ~umask]
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


@needs_root
@pytest.mark.parametrize(("mode", "first"), [(0o660, 0o600), (0o4775, 0o755), (0o604, 0o604)])
def test_until_it_is_given_to_another_the_group_has_no_more_than_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, first: int
) -> None:
    seen, give = [], os.fchown

    def watched(fd: int, user: int, group: int) -> None:
        seen.append(os.fstat(fd).st_mode & 0o7777)
        give(fd, user, group)

    monkeypatch.setattr(os, "fchown", watched)
    staged = Path(durable.stage_file(str(tmp_path / "file"), b"secret", mode, owner=(12345, 12346)))
    info = staged.stat()
    assert (seen, info.st_mode & 0o7777, info.st_uid, info.st_gid) == ([first], mode, 12345, 12346)


def test_what_somebody_put_at_the_temporary_name_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "theirs").write_text("kept")
    planted = Path(durable.temporary_name(str(tmp_path / "file")))
    planted.symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        durable.write_file(str(tmp_path / "file"), b"ours")
    assert (tmp_path / "theirs").read_text() == "kept" and planted.is_symlink()


def test_a_write_that_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            durable.write_file(str(tmp_path / "file"), bytes(1 << 21))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


def test_what_is_gone_is_discarded_already(tmp_path: Path) -> None:
    durable.discard(str(tmp_path / "gone"))
    assert os.listdir(tmp_path) == []


def test_only_a_folder_is_synced_as_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        durable.sync_folder(str(tmp_path / "file"))


def test_folders_are_made_with_their_modes_whatever_the_umask_lets_through(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        durable.make_folder(str(tmp_path / "one/two"))
        durable.make_folder(str(tmp_path / "one/three"), 0o700)
    finally:
        os.umask(old)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("one", "one/two", "one/three")]
    assert modes == [0o755, 0o755, 0o700]


@pytest.mark.parametrize("rival", ["mkdir", "touch"])
def test_a_folder_that_another_process_made_first_is_taken_and_a_file_is_not(
    rival: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mkdir = tmp_path / "wanted", os.mkdir

    def late(name: str, mode: int) -> None:
        subprocess.run([rival, name], check=True)
        mkdir(name, mode)

    monkeypatch.setattr(os, "mkdir", late)
    if rival == "mkdir":
        durable.make_folder(str(path))
    else:
        with pytest.raises(FileExistsError):
            durable.make_folder(str(path))
    assert path.is_dir() == (rival == "mkdir")


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    old = os.umask(0o002)
    try:
        durable.write_file(str(tmp_path / "one"), b"", None)
        os.umask(0)
        durable.write_file(str(tmp_path / "two"), b"", None)
    finally:
        os.umask(old)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("one", "two")] == [0o664, 0o666]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_owner_is_kept_with_all_bits_of_the_mode(tmp_path: Path) -> None:
    name = durable.stage_file(str(tmp_path / "file"), b"", 0o6755, owner=(65534, 65533))
    info = os.stat(name)
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (65534, 65533, 0o6755)


@pytest.mark.parametrize("call", ["fchown", "fchmod"])
def test_what_a_file_system_does_not_keep_is_done_without(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, call, refuse)
    durable.commit(durable.stage_file(str(tmp_path / "file"), b"data", 0o644, owner=(1, 1)), str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == b"data" and os.listdir(tmp_path) == ["file"]
