"""Remedies that are true on disks that can hold, start or protect nothing: real mounts, so only for root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.security.test_changes import Somebody
from tests.support.machine import Machine, make_workspace
from tests.support.machines import MARK, Lab, document
from tests.support.masked import needs_proc

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system in memory with these options and gives its folder."""
    place = tmp_path / "disk"
    place.mkdir()

    def made(options: str) -> Path:
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place]).returncode:
            pytest.skip("mounting a file system is not permitted here")
        return place

    yield made
    subprocess.run(["umount", "-l", place], stderr=subprocess.DEVNULL)


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    """A machine of a user who is not root; not in ``tmp_path``: pytest's folders let nobody else in."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Somebody(Path(os.path.realpath(folder)), 65534)


def nothing_more(disk: Path) -> None:
    with open(disk / "fill", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass


def no_more_names(disk: Path) -> None:
    try:
        for number in range(10_000):
            (disk / f"{number}").touch()
    except OSError:
        pass


def read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


DISKS = {
    "full": ("size=256k", nothing_more, "is full", "DISK_FULL"),
    "without inodes": ("size=1m,nr_inodes=64", no_more_names, "without a free inode", "DISK_FULL"),
    "read-only": ("size=1m", read_only, "mounted read-only", "READ_ONLY_FILE_SYSTEM"),
}


@pytest.mark.parametrize("disk", DISKS)
def test_a_home_that_cannot_be_written_is_told_and_no_command_is_promised_there(mount: Mount, disk: str) -> None:
    options, spoil, said, code = DISKS[disk]
    lab = Lab(Machine(mount(options)))
    lab.machine.entry.unlink()
    lab.machine.owner_file.write_text("/gone\n")
    spoil(lab.machine.folder)
    report = lab.report()
    found = {each["id"]: each for each in report["findings"]}
    assert said in found["home.not-writable"]["summary"]
    assert found["entry.missing"]["status"] == "fail"
    assert not any(each["remedy"]["argv"] for each in report["findings"])
    assert not any(each["fixable"] for each in report["findings"])
    for words in (("install",), ("deactivate",), ("fallback", "enable"), ("trust", "add")):
        ran = lab.machine.rawr_install(*words, "--json", cwd=lab.cwd)
        assert (ran.code, ran.json["error"]["code"]) == (1, code), ran
        assert "folder that you can write to" not in ran.out and "ls -la" not in ran.out


def test_a_cli_on_a_noexec_disk_is_told_by_that_and_no_chmod_is_advised(mount: Mount, machine: Machine) -> None:
    lab = Lab(machine)
    lab.ws = lab.cwd = make_workspace(mount("noexec") / "ws")
    lab.machine.link(lab.ws)
    lab.machine.own(lab.ws)
    [failed] = [each for each in lab.report()["findings"] if each["status"] == "fail"]
    assert (failed["id"], failed["evidence"]["code"]) == ("workspace.cli-not-executable", "CLI_NOEXEC")
    assert not failed["remedy"]["argv"] and "noexec" in failed["remedy"]["text"]
    for words in (("activate",), ("install", "--mode", "bun-symlink")):
        assert lab.machine.rawr_install(*words, "--json", cwd=lab.ws).json["error"]["code"] == "CLI_NOEXEC"


def test_an_entry_on_a_noexec_disk_is_told_by_that_and_none_is_installed_there(mount: Mount, machine: Machine) -> None:
    lab = Lab(machine)
    folder = mount("noexec")
    lab.machine.entry.unlink()
    lab.machine.env["PATH"] = f"{folder}:{lab.tools}:/usr/bin:/bin"
    ran = lab.machine.rawr_install("install", "--bin-dir", folder, "--json", cwd=lab.cwd)
    assert (ran.code, ran.json["error"]["code"]) == (1, "BIN_DIR_NOEXEC")
    shutil.copy(Path(__file__).parents[2] / "shims/rawr", folder / "rawr")
    found = {each["id"]: each for each in lab.report()["findings"]}
    assert found["entry.not-executable"]["status"] == "fail" and "noexec" in found["entry.not-executable"]["summary"]
    assert "chmod" not in found["entry.not-executable"]["remedy"]["text"]


def test_nothing_is_said_to_move_on_a_read_only_disk(mount: Mount, machine: Machine) -> None:
    lab = Lab(machine)
    disk = mount("size=1m")
    (disk / "rawr").symlink_to("nowhere")
    read_only(disk)
    lab.first_on_path(disk)
    [found] = [each for each in lab.report()["findings"] if each["id"] == "entry.dangling"]
    assert found["remedy"] == {"text": f"have {disk}/rawr moved away: you cannot write to its folder", "argv": []}


def test_a_read_only_workspace_is_told_and_what_is_advised_can_be_run(mount: Mount, machine: Machine) -> None:
    lab = Lab(machine)
    disk = mount("size=1m")
    lab.ws = lab.cwd = make_workspace(disk / "ws")
    (lab.ws / "package.json").write_text('{"name": "ws", "dependencies": {"left": "1"}}')
    lab.program(lab.tools / "bun")
    read_only(disk)
    found = {each["id"]: each for each in lab.report()["findings"]}
    assert "mounted read-only" in found["state.not-writable"]["summary"]
    assert found["dependencies.missing"]["remedy"]["argv"] == []
    ran = lab.machine.rawr_install("state", "enable", "x", "--json", cwd=lab.ws)
    advice = ran.json["error"]["details"]["remedy"]["text"].partition(": ")[2]
    assert ran.code == 1 and str(lab.ws) in advice
    assert lab.machine.run("/bin/sh", "-c", advice).code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a folder of root's")
def test_what_sudo_left_in_a_workspace_is_told_by_its_owner(somebody: Somebody) -> None:
    os.chown(somebody.state.parent, 0, 0)
    report = document(somebody.rawr_install("doctor", "global", "--json", cwd=somebody.ws))
    found = {each["id"]: each for each in report["findings"]}["state.not-writable"]
    assert "belongs to root" in found["summary"]
    assert found["remedy"]["text"].startswith("make it yours: sudo chown") and not found["remedy"]["argv"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a file of root's")
def test_no_chmod_is_advised_to_who_does_not_own_the_file(somebody: Somebody) -> None:
    """As in an image whose files were copied by root, from a system that keeps no modes."""
    cli = somebody.ws / "apps/cli/bin/run.js"
    os.chown(cli, 0, 0)
    cli.chmod(0o644)
    report = document(somebody.rawr_install("doctor", "global", "--json", cwd=somebody.ws))
    [found] = [each for each in report["findings"] if each["id"] == "workspace.cli-not-executable"]
    assert found["status"] == "fail" and not found["remedy"]["argv"]
    assert found["remedy"]["text"] == f"have its owner make it executable for everybody: chmod a+x {cli}"
    os.chown(cli, somebody.user, somebody.user)
    cli.chmod(0o755)
    somebody.bun_bin.mkdir(parents=True)
    somebody.entry.write_text(f"#!/bin/sh\n# {MARK}\n")
    somebody.give(somebody.user, somebody.home)
    os.chown(somebody.entry, 0, 0)
    report = document(somebody.rawr_install("doctor", "global", "--json", cwd=somebody.ws))
    [found] = [each for each in report["findings"] if each["id"] == "entry.not-executable"]
    assert "chmod u+x" not in found["remedy"]["text"]
    assert somebody.rawr_install(*found["remedy"]["argv"][1:], cwd=somebody.ws).code == 0
    assert os.access(somebody.entry, os.X_OK)


@pytest.fixture
def modeless(tmp_path: Path) -> Iterator[Path]:
    """A folder where every mode reads 0777 and chmod does nothing, as on exFAT."""
    kept, shown = tmp_path / "kept", tmp_path / "shown"
    kept.mkdir()
    shown.mkdir()
    words = ["bindfs", "--perms=0777", "--chmod-ignore", "--chown-ignore", kept, shown]
    if not shutil.which("bindfs") or not os.path.exists("/dev/fuse") or subprocess.run(words).returncode:
        pytest.skip("bindfs is not installed, or mounting is not permitted here")
    yield shown
    subprocess.run(["umount", "-l", shown], check=True)


@needs_proc  # which names the file system
def test_where_no_modes_are_kept_no_chmod_is_advised(modeless: Path, machine: Machine) -> None:
    lab = Lab(machine)
    lab.ws = lab.cwd = make_workspace(modeless / "ws")
    lab.machine.link(lab.ws)
    lab.machine.own(lab.ws)
    [failed] = [each for each in lab.report()["findings"] if each["status"] == "fail"]
    assert failed["id"] == "workspace.writable"
    assert failed["remedy"]["argv"] == ["rawr-install", "trust", "add", "--force", str(lab.ws)]
    assert lab.machine.rawr_install(*failed["remedy"]["argv"][1:], cwd=lab.ws).code == 0
    assert lab.report()["findings"][0]["id"] == "entry.link-decides"
    assert lab.machine.rawr_install("state", "enable", "x", cwd=lab.ws).code == 0
    assert [path.name for path in (lab.ws / ".rawr/state").iterdir() if "tmp" in path.name] == []


@needs_proc  # which names the file system
def test_a_home_that_keeps_no_modes_is_told_how_to_be_private(modeless: Path) -> None:
    lab = Lab(Machine(modeless))
    found: dict[str, Any] = {each["id"]: each for each in document(lab.doctor("--json"))["findings"]}
    assert not found["policy.writable"]["remedy"]["argv"] and "umask" in found["policy.writable"]["remedy"]["text"]
    error = lab.machine.rawr_install("deactivate", "--json", cwd=lab.cwd).json["error"]
    assert error["code"] == "POLICY_WRITABLE" and not error["details"]["remedy"]["argv"]
