"""What a person types and reads: names that are nearly right, help without docstrings, long lists."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.cli.commands import leaves
from tests.conftest import Machine


@pytest.mark.parametrize(
    ("words", "meant"),
    [("instal", "install"), ("doctor globl", "global"), ("plugins web lst", "list"), ("state shwo", "show")],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(machine: Machine, words: str, meant: str) -> None:
    ran = machine.rawr_install(*words.split())
    assert (ran.code, f"Did you mean {meant!r}" in ran.err) == (2, True)
    assert "Did you mean" not in machine.rawr_install("frobnicate").err


@pytest.mark.parametrize("words", ["doctor", "--json doctor", "doctor --json", "doctor:global", "doctor --verbose"])
def test_doctor_alone_is_doctor_global(machine: Machine, words: str) -> None:
    ran = machine.rawr_install(*words.split(), "--json")
    assert ran.json["meta"]["command"] == "doctor global" and "findings" in json.dumps(ran.json)


def test_a_choice_that_is_missing_is_one_line(machine: Machine) -> None:
    first, *rest = machine.rawr_install("schema").err.splitlines()
    assert first.startswith("rawr: Missing argument") and "doctor-global" in first and "\\n" not in first
    assert rest == ["  try: rawr-install schema --help"]


@pytest.mark.parametrize("words", ["--help", "state show --help", "plugins --help", "install --help"])
def test_help_is_the_same_where_python_strips_docstrings(machine: Machine, words: str) -> None:
    plain = machine.rawr_install(*words.split()).out
    assert machine.run(sys.executable, "-OO", "-m", "rawr_install", *words.split()).out == plain


ALONE = ("rawr-install ", "--", "bash ", "zsh ", "fish ")  # commands, and an option's choices: neither is broken


@pytest.mark.parametrize("columns", [40, 80])
def test_no_page_of_help_is_wider_than_the_terminal(machine: Machine, columns: int) -> None:
    for path in ("", "doctor", "state", "trust", "plugins", "plugins web", "fallback", "tour", *leaves()):
        ran = machine.rawr_install(*path.split(), "--help", env={"COLUMNS": str(columns)})
        wide = [line for line in ran.out.splitlines() if len(line) > columns]
        assert ran.code == 0 and all(line.strip().startswith(ALONE) for line in wide), (path, wide)


def test_a_page_of_help_is_shown_on_a_terminal_of_one_column(machine: Machine) -> None:
    assert machine.rawr_install("install", "--help", env={"COLUMNS": "1"}).code == 0


def test_a_long_list_of_plugins_fits_the_screen(machine: Machine) -> None:
    root = machine.workspace("w")
    names = [f"@rawr/plugin-{number:04}" for number in range(5000)]
    state = {"version": 1, "plugins": {"enabled": names, "lastUpdatedAt": "2026-01-01T00:00:00.000Z"}}
    (root / ".rawr/state").mkdir(parents=True)
    (root / ".rawr/state/state.json").write_text(json.dumps(state))
    lines = machine.rawr_install("state", "show", cwd=root).out.splitlines()
    assert max(map(len, lines[1:])) <= 80 and len(lines) < 24
    assert any("and 4,960 more (--json lists them all)" in line for line in lines)
    assert (
        len(machine.rawr_install("state", "show", "--json", cwd=root).json["data"]["state"]["plugins"]["enabled"])
        == 5000
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_trust_add_without_a_path_says_which_workspace_it_trusted(machine: Machine) -> None:
    root = machine.workspace("w")
    os.chown(root, 65534, 65534)
    first, *_ = machine.rawr_install("trust", "add", cwd=root / "plugins").out.splitlines()
    assert first == f"{root}: trusted."
