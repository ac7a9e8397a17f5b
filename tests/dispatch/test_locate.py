"""Which workspace a command is about: the same one for every command, with one code for each way to fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import Machine

# Every command that is about a workspace, with what it needs besides.
COMMANDS = (
    "state show",
    "state enable x --dry-run",
    "plugins status",
    "plugins web list",
    "trust add --dry-run",
    "install --mode bun-symlink --dry-run",
)
NAMED = (*COMMANDS[:4], "doctor global", "install --mode bun-symlink")


@pytest.fixture
def inner(machine: Machine) -> Path:
    """A folder that looks like a workspace, inside one that is one."""
    machine.workspace("outer")
    folder = machine.folder / "outer/vendor/js"
    (folder / "plugins").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    return folder


@pytest.mark.parametrize("words", COMMANDS)
def test_a_look_alike_below_a_workspace_is_walked_past_by_every_command(
    machine: Machine, inner: Path, words: str
) -> None:
    ran = machine.rawr_install(*words.split(), "--json", cwd=inner)
    found = json.dumps(ran.json)
    assert str(machine.folder / "outer") in found and str(inner) not in found


@pytest.mark.parametrize("named", ["plain", "gone", ""])
@pytest.mark.parametrize("words", NAMED)
def test_a_folder_that_is_none_is_not_a_workspace_to_any_command(machine: Machine, words: str, named: str) -> None:
    (machine.folder / "plain").mkdir()
    ran = machine.rawr_install(*words.split(), "--workspace", named, "--json", cwd=machine.folder)
    assert (ran.code, ran.json["error"]["code"]) == (2, "NOT_A_WORKSPACE")
    assert "is not a workspace" in ran.json["error"]["message"]


@pytest.mark.parametrize("words", COMMANDS)
def test_outside_every_workspace_there_is_none(machine: Machine, words: str) -> None:
    ran = machine.rawr_install(*words.split(), "--json", cwd=machine.folder)
    assert (ran.code, ran.json["error"]["code"]) == (2, "NO_WORKSPACE")


@pytest.mark.parametrize("words", COMMANDS)
def test_in_a_removed_folder_every_command_says_so(machine: Machine, words: str) -> None:
    gone = machine.folder / "gone"
    gone.mkdir()
    command = f'cd "{gone}" && rmdir "{gone}" && exec "{sys.executable}" -P -m rawr_install {words} --json'
    ran = machine.run("sh", "-c", command)
    assert (ran.code, ran.json["error"]["code"]) == (2, "CWD_GONE")
