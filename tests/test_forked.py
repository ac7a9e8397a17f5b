"""A command that is forked off the tests' server says what it says as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawr_install.cli.main import COMMANDS
from tests.conftest import Machine, Ran
from tests.support import forked


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_same(machine: Machine, command: str) -> None:
    said = machine.rawr_install(command, "--help")
    assert said == machine.rawr_install_process(command, "--help")
    assert (said.code, said.err) == (0, "") and f"rawr-install {command}" in said.out


@pytest.mark.parametrize(
    "words",
    ["which --json", "history", "state show", "fallback status", "doctor global", "trust list", "nope", "plugins web"],
)
def test_an_answer_is_the_same(machine: Machine, words: str) -> None:
    root = machine.workspace("ws")
    first = machine.rawr_install("activate", cwd=root)
    assert (first.code, first.err) == (0, "")
    assert machine.rawr_install(*words.split(), cwd=root) == machine.rawr_install_process(*words.split(), cwd=root)


def test_a_change_is_the_same(tmp_path: Path) -> None:
    answers: list[tuple[Ran, set[str]]] = []
    for run in (Machine.rawr_install, Machine.rawr_install_process):
        (tmp_path / "here").mkdir()
        machine = Machine(tmp_path / "here")
        ran = run(machine, "activate", machine.workspace("ws"), "--json")
        answers.append((ran, {name for name in machine.tree() if "events" not in name}))
        machine.folder.rename(tmp_path / str(len(answers)))
    assert answers[0] == answers[1]
    assert answers[0][0].json["data"]["changed"] is True


def test_a_signal_is_told_and_other_locales_and_options_of_python_start_a_process(machine: Machine) -> None:
    plain = machine.env
    with open("/dev/null", "wb") as nowhere:
        command = forked.server().start(["--help"], machine.folder, plain, nowhere, nowhere, stopped=True)
        os.kill(command.pid, 9)
        assert command.wait() == -9
    assert forked.can_fork(plain)
    assert not any(forked.can_fork(plain | more) for more in ({"LC_ALL": "C"}, {"PYTHONUTF8": "0"}, {"LANG": "C"}))
