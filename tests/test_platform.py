"""Windows is refused at the start, with nothing imported that only POSIX has."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import Machine, Ran

# What a Windows Python says and lacks. click comes first: its own Windows parts cannot be imported here.
WINDOWS = """
import os, sys, click
sys.platform = "win32"
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios")))
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "fchmod", "geteuid", "getuid", "uname"):
    delattr(os, name)
from rawr_install.__main__ import main
sys.exit(main())
"""
COMMANDS = ["", "--version", "doctor global", "plugins status", "state show", "dispatch", "dispatch build"]


def on_windows(machine: Machine, *words: str) -> Ran:
    return machine.run(sys.executable, "-c", WINDOWS, *words)


@pytest.mark.parametrize("command", COMMANDS)
def test_windows_is_refused_and_wsl_is_named(machine: Machine, command: str) -> None:
    before = machine.tree()
    done = on_windows(machine, *command.split())
    first, second = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert first == "rawr: rawr-install does not run on Windows. [UNSUPPORTED_PLATFORM]" and "WSL" in second
    assert machine.tree() == before


@pytest.mark.parametrize("command", COMMANDS)
def test_with_json_the_refusal_is_one_document(machine: Machine, command: str) -> None:
    done = on_windows(machine, *command.split(), "--json")
    assert (done.code, done.err, done.json["ok"]) == (2, "", False)
    assert done.json["error"]["code"] == "UNSUPPORTED_PLATFORM"
    assert "WSL" in done.json["error"]["details"]["remedy"]["text"]
