"""What is otherwise on a Mac: its places, on a fake file system, and how it syncs, by a request that Linux refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from platformdirs.macos import MacOS
from pyfakefs.fake_filesystem import FakeFilesystem, OSType
from pyfakefs.fake_filesystem_unittest import Patcher

from rawr_install import atomic
from rawr_install.dispatch import locate
from rawr_install.doctor import diagnose as doctor
from rawr_install.doctor.document import document
from rawr_install.machine import probe
from rawr_install.machine.facts import Facts
from rawr_install.paths import Paths
from rawr_install.report import Remedy
from tests.conftest import Machine
from tests.support.steps import need_strace

HOME = "/Users/me"
SHIM = f"{HOME}/Library/pnpm/rawr"
WORKSPACE = f"{HOME}/src/ws"
CLI = f"{WORKSPACE}/apps/cli/bin/run.js"


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFilesystem]:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platformdirs, "PlatformDirs", MacOS)  # chosen by sys.platform when it was imported
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", HOME)
    with Patcher() as patcher:
        assert patcher.fs is not None
        patcher.fs.os = OSType.MACOS
        patcher.fs.create_file(f"{WORKSPACE}/package.json")
        patcher.fs.create_dir(f"{WORKSPACE}/plugins")
        patcher.fs.create_file(CLI, contents="#!/bin/sh\n", st_mode=0o100755)
        patcher.fs.create_symlink(f"{HOME}/.bun/bin/rawr", CLI)
        yield patcher.fs


def report(path: str) -> doctor.Report:
    environ = {"HOME": HOME, "PATH": path}
    facts = probe.probe(Paths.from_environ(environ), WORKSPACE, environ)
    assert facts.crashes == ()
    return doctor.diagnose(facts)


def test_the_toolkits_own_files_lie_in_application_support(mac: FakeFilesystem) -> None:
    paths, support = Paths.from_environ({"HOME": HOME}), f"{HOME}/Library/Application Support/rawr"
    assert paths.state_dir == support
    own = (paths.history_file, paths.receipt_file, paths.refresh_file, paths.machine_lock, paths.events_file)
    assert {path.rpartition("/")[0] for path in own} == {support}


def test_what_other_programs_share_lies_where_it_lies_on_every_platform(mac: FakeFilesystem) -> None:
    paths = Paths.from_environ({"HOME": HOME})
    assert paths.owner_file == f"{HOME}/.rawr/global-rawr-owner-path"
    assert paths.plugin_manager_dir == f"{HOME}/.local/share/@rawr/cli"
    assert paths.bun_entry == f"{HOME}/.bun/bin/rawr"


def test_a_pnpm_shim_in_the_library_is_reported(mac: FakeFilesystem) -> None:
    mac.create_file(SHIM, contents="#!/bin/sh\n", st_mode=0o100755)
    found = report(f"{HOME}/.bun/bin:/usr/bin")
    assert (document(found)["pnpmRawrShimPath"], document(found)["pnpmRawrShimExists"]) == (SHIM, True)
    assert found.healthy and f"Stale pnpm shim exists at {SHIM}" in found.warnings


def test_the_librarys_pnpm_folder_before_buns_shadows_rawr(mac: FakeFilesystem) -> None:
    mac.create_file(SHIM, contents="#!/bin/sh\n", st_mode=0o100755)
    found = report(f"{HOME}/Library/pnpm:{HOME}/.bun/bin:/usr/bin")
    assert (document(found)["commandPath"], document(found)["pnpmBeforeBunInPath"]) == (SHIM, True)
    assert not found.healthy


def test_without_one_no_pnpm_shim_is_reported(mac: FakeFilesystem) -> None:
    found = report(f"{HOME}/.bun/bin:/usr/bin")
    assert (found.healthy, document(found)["pnpmRawrShimExists"]) == (True, False)
    assert not [warning for warning in found.warnings if "pnpm" in warning]


@pytest.mark.parametrize("file", ["/etc/paths", "/etc/paths.d/50-bun"])
def test_a_folder_that_every_login_shell_gets_needs_no_line_in_a_profile(mac: FakeFilesystem, file: str) -> None:
    def remedy() -> Remedy:
        found = [each for each in report("/usr/bin").findings if each.id == "path.bun-missing"]
        assert len(found) == 1 and found[0].remedy is not None
        return found[0].remedy

    assert remedy().argv
    mac.create_file(file, contents=f"/usr/local/bin\n{HOME}/.bun/bin\n")
    assert remedy() == (f"open a new login shell: /etc/paths names {HOME}/.bun/bin", ())


# -- one folder, several names -------------------------------------------------------------

OTHER_CASE = f"{HOME}/SRC/Ws"
GET_PATH = 50  # F_GETPATH in Apple's <sys/fcntl.h>; Linux has no such request


@pytest.fixture
def spelling(mac: FakeFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fcntl(2) answers on a Mac: the path as it is on the disk."""

    def answer(fd: int, request: int, _buffer: bytes) -> bytes:
        assert request == GET_PATH
        path = str(mac.get_open_file(fd).get_object().path)
        return os.fsencode(path).ljust(1024, b"\0")

    monkeypatch.setattr(fcntl, "F_GETPATH", GET_PATH, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", answer)


def look(cwd: str, **more: str) -> Facts:
    environ = {"HOME": HOME, "PATH": f"{HOME}/.bun/bin:/usr/bin", **more}
    return probe.probe(Paths.from_environ(environ), cwd, environ)


def owned_by(mac: FakeFilesystem, path: str) -> None:
    mac.create_file(f"{HOME}/.rawr/global-rawr-owner-path", contents=f"{path}\n")


def test_a_workspace_is_named_as_its_file_system_spells_it(mac: FakeFilesystem, spelling: None) -> None:
    assert locate.real_path(OTHER_CASE) == WORKSPACE
    assert locate.named_workspace(OTHER_CASE) == WORKSPACE
    facts = look(OTHER_CASE)
    assert facts.instance is not None and facts.instance.root == WORKSPACE


def test_where_the_file_system_cannot_be_asked_a_workspace_is_named_as_it_was_reached(mac: FakeFilesystem) -> None:
    facts = look(OTHER_CASE)
    assert facts.instance is not None and facts.instance.root.lower() == WORKSPACE.lower()


@pytest.mark.parametrize(("owner", "cwd"), [(WORKSPACE, OTHER_CASE), (OTHER_CASE, WORKSPACE)])
def test_names_that_differ_in_case_are_one_owner(mac: FakeFilesystem, owner: str, cwd: str) -> None:
    owned_by(mac, owner)
    facts = look(cwd)
    assert facts.instance is not None and facts.owner.real == facts.instance.root
    found = doctor.diagnose(facts)
    assert document(found)["ownerMatchesCurrentInstanceByRealpath"] is True
    assert document(found)["aliasInstanceSeamStatus"] == "owner-current-instance"
    assert found.healthy and not [warning for warning in found.warnings if "checkout" in warning]


# -- syncing -------------------------------------------------------------------------------

FULL_SYNC = 51  # F_FULLFSYNC in Apple's <sys/fcntl.h>; fcntl(2) of Linux knows no such request (EINVAL)
AS_ON_A_MAC = f"""
import fcntl, sys
fcntl.F_FULLFSYNC = {FULL_SYNC}
"""
COMMAND = f"{AS_ON_A_MAC}from rawr_install.__main__ import main; main()"
LASTING = f"{AS_ON_A_MAC}import rawr_install as r; r.enable_plugin(sys.argv[1], 'one')"
PASSING = f"""{AS_ON_A_MAC}import rawr_install as r
options = r.RepoStateMutationOptions(durable=False)
r.mutate_repo_state_atomically(sys.argv[1], lambda state: {{**state, "news": 1}}, options)
"""


def synced(machine: Machine, code: str, *words: str | Path) -> dict[str, bool]:
    """Name -> whether what was renamed to it had been asked to go down to the disk, and was then synced as usual."""
    need_strace()
    log = machine.folder / "strace.log"
    traced = ("strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=fcntl,fsync,rename")
    done = machine.run(*traced, sys.executable, "-BP", "-c", code, *words)
    assert done.code == 0, done.err
    asked, flushed, found = set(), set(), {}
    for line in log.read_text().splitlines():
        if request := re.search(rf"fcntl\(\d+<(.+?)>, {FULL_SYNC:#x}.* EINVAL", line):
            asked.add(request[1])
        elif sync := re.search(r"fsync\(\d+<(.+?)>\) += 0", line):
            flushed.add(sync[1])
        elif renamed := re.search(r'rename\("(.+?)", "(.+?)"\) += 0', line):
            before, after = renamed.groups()
            lasting = os.path.islink(after) or (before in asked and before in flushed)
            found[os.path.basename(after)] = found.get(os.path.basename(after), True) and lasting
    return found


def test_what_a_command_changes_is_synced_down_to_the_disk(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    found = synced(machine, COMMAND, "activate", workspace)
    assert {"global-rawr-owner-path", "rawr", "history.json", "receipt.json"} <= set(found)
    assert all(found.values()), found


def test_the_state_is_where_its_change_is_to_last_and_is_not_synced_at_all_where_not(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    assert synced(machine, LASTING, workspace)["state.json"] is True
    assert synced(machine, PASSING, workspace)["state.json"] is False


@pytest.mark.parametrize("says", [errno.EINVAL, errno.ENOTSUP, errno.ENOTTY])
def test_where_the_file_system_knows_no_such_request_the_usual_sync_is_left(
    says: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sync_answered(says, tmp_path, monkeypatch) == ["full", "usual"]


def test_a_failing_disk_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        sync_answered(errno.EIO, tmp_path, monkeypatch)


def sync_answered(says: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is tried when the request is answered by the errno ``says``."""
    tried = []

    def answer(_fd: int, request: int) -> int:
        tried.append({FULL_SYNC: "full"}[request])
        raise OSError(says, os.strerror(says))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL_SYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", answer)
    monkeypatch.setattr(os, "fsync", lambda _fd: tried.append("usual"))
    atomic.sync(3)
    return tried
