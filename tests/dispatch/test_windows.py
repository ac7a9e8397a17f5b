"""The rules on a Windows file system (a fake one: the toolkit is untested on real Windows machines)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem, OSType
from pyfakefs.fake_filesystem_unittest import Patcher

from rawr_install import dispatch
from rawr_install.errors import DispatchError

CMD = (Path(__file__).parents[2] / "shims/rawr.cmd").read_bytes()
WS = "C:\\src\\ws"
CLI = WS + "\\apps\\cli\\bin\\run.js"
ENV = {"USERPROFILE": "C:\\Users\\me", "PATH": "C:\\Windows;C:\\tools\\bun"}


@pytest.fixture
def windows() -> Iterator[FakeFilesystem]:
    with Patcher() as patcher:
        assert patcher.fs is not None
        patcher.fs.os = OSType.WINDOWS
        patcher.fs.create_file(WS + "\\package.json")
        patcher.fs.create_dir(WS + "\\plugins")
        patcher.fs.create_dir(WS + "\\packages\\a")
        patcher.fs.create_file(CLI, contents="#!/usr/bin/env bun\n", st_mode=0o100755)
        patcher.fs.create_file("C:\\tools\\bun\\bun.exe", st_mode=0o100755)
        patcher.fs.create_dir("C:\\other")
        yield patcher.fs


def refusal(*argv: str, cwd: str = "C:\\other", env: dict[str, str] | None = None) -> str:
    with pytest.raises(DispatchError) as caught:
        dispatch.decide(argv, cwd, env or ENV)
    return caught.value.code


def test_the_search_walks_up_to_the_drive_and_bun_is_named_by_its_full_path(windows: FakeFilesystem) -> None:
    found = dispatch.decide(("build", "a b"), WS + "\\packages\\a", ENV)
    assert dispatch.child_argv(found) == ["C:\\tools\\bun\\bun.exe", CLI, "build", "a b"]


@pytest.mark.parametrize("spelling", ["C:\\src\\ws", "C:/src/ws", "C:\\src\\ws\\", "..\\src\\ws"])
def test_a_variable_may_spell_the_workspace_with_either_slash(windows: FakeFilesystem, spelling: str) -> None:
    found = dispatch.decide(("x",), "C:\\other", ENV | {"RAWR_WORKSPACE_ROOT": spelling})
    assert found.action == "run" and found.cli == CLI


def test_outside_there_is_no_workspace_and_bare_rawr_greets(windows: FakeFilesystem) -> None:
    assert refusal("x") == "NO_WORKSPACE"
    assert dispatch.decide((), "C:\\other", ENV).action == "greet"
    assert dispatch.decide(("doctor", "global"), "C:\\other", ENV).action == "toolkit"


@pytest.mark.parametrize("content", [WS + "\r\n", "C:/src/ws"])
def test_the_owner_comes_from_the_users_profile(windows: FakeFilesystem, content: str) -> None:
    windows.create_file("C:\\Users\\me\\.rawr\\global-rawr-owner-path", contents=content)
    assert refusal("x") == "NO_WORKSPACE"
    windows.create_file("C:\\Users\\me\\.rawr\\global-owner-fallback", contents="enabled\n")
    found = dispatch.decide(("x",), "C:\\other", ENV)
    assert found.cli == CLI and WS in found.notice


def test_a_program_that_is_not_on_path_is_missed_by_its_name(windows: FakeFilesystem) -> None:
    windows.remove("C:\\tools\\bun\\bun.exe")
    assert refusal("x", cwd=WS) == "CLI_INTERPRETER_MISSING"
    windows.create_file("C:\\Windows\\bun.cmd", st_mode=0o100755)
    assert dispatch.decide(("x",), WS, ENV).program == "C:\\Windows\\bun.cmd"


def test_an_interpreter_path_of_another_system_is_looked_up_by_its_last_part(windows: FakeFilesystem) -> None:
    with open(CLI, "w") as file:
        file.write("#!/opt/bun/bin/bun\n")
    assert dispatch.decide(("x",), WS, ENV).program == "C:\\tools\\bun\\bun.exe"


def test_a_look_alike_is_walked_past(windows: FakeFilesystem) -> None:
    windows.create_file(WS + "\\packages\\a\\package.json")
    windows.create_dir(WS + "\\packages\\a\\plugins")
    assert dispatch.decide(("x",), WS + "\\packages\\a", ENV).cli == CLI


def test_the_batch_file_hands_every_word_to_the_twin_and_returns_its_exit_code() -> None:
    lines = CMD.decode("ascii").split("\r\n")
    assert lines == ["@echo off", '"%~dp0rawr-install.exe" dispatch %*', "exit /b %ERRORLEVEL%", ""]
