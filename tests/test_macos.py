"""A Mac's places, on a fake Mac's file system."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import platformdirs
import pytest
from platformdirs.macos import MacOS
from pyfakefs.fake_filesystem import FakeFilesystem, OSType
from pyfakefs.fake_filesystem_unittest import Patcher

from rawr_install.doctor import diagnose as doctor
from rawr_install.machine import probe
from rawr_install.paths import Places

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
    facts = probe.look(Places.from_environ(environ), WORKSPACE, environ)
    assert facts.crashes == ()
    return doctor.diagnose(facts)


def test_the_toolkits_own_files_lie_in_application_support(mac: FakeFilesystem) -> None:
    places, support = Places.from_environ({"HOME": HOME}), f"{HOME}/Library/Application Support/rawr"
    assert (places.state_dir, places.config_dir) == (support, support)
    own = (places.history_file, places.receipt_file, places.refresh_file, places.machine_lock, places.events_file)
    assert {path.rpartition("/")[0] for path in own} == {support}


def test_what_other_programs_share_lies_where_it_lies_on_every_platform(mac: FakeFilesystem) -> None:
    places = Places.from_environ({"HOME": HOME})
    assert places.owner_file == f"{HOME}/.rawr/global-rawr-owner-path"
    assert places.plugin_manager_dir == f"{HOME}/.local/share/@rawr/cli"
    assert places.bun_entry == f"{HOME}/.bun/bin/rawr"


def test_a_pnpm_shim_in_the_library_is_reported(mac: FakeFilesystem) -> None:
    mac.create_file(SHIM, contents="#!/bin/sh\n", st_mode=0o100755)
    found = report(f"{HOME}/.bun/bin:/usr/bin")
    assert (found.wire["pnpmRawrShimPath"], found.wire["pnpmRawrShimExists"]) == (SHIM, True)
    assert found.healthy and f"Stale pnpm shim exists at {SHIM}" in found.warnings


def test_the_librarys_pnpm_folder_before_buns_shadows_rawr(mac: FakeFilesystem) -> None:
    mac.create_file(SHIM, contents="#!/bin/sh\n", st_mode=0o100755)
    found = report(f"{HOME}/Library/pnpm:{HOME}/.bun/bin:/usr/bin")
    assert (found.wire["commandPath"], found.wire["pnpmBeforeBunInPath"]) == (SHIM, True)
    assert not found.healthy


def test_without_one_no_pnpm_shim_is_reported(mac: FakeFilesystem) -> None:
    found = report(f"{HOME}/.bun/bin:/usr/bin")
    assert (found.healthy, found.wire["pnpmRawrShimExists"]) == (True, False)
    assert not [warning for warning in found.warnings if "pnpm" in warning]
