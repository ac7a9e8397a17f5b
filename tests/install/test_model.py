"""Random sequences of commands and of hands that meddle: nothing foreign is lost, and rollback is exact."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine
from tests.install.test_race import racers

NAMES = ("a", "b", "c")


def standing(machine: Machine) -> dict[str, str]:
    """Owner file and bin folder, by content and, for what is foreign, by inode."""
    shown = {"owner": machine.owner_file.read_text() if machine.owner_file.exists() else "-"}
    for path in sorted(machine.bun_bin.iterdir()) if machine.bun_bin.exists() else ():
        if path.is_symlink():
            shown[path.name] = os.readlink(path)
        elif path.is_dir():
            shown[path.name] = f"folder {path.stat().st_ino}"
        else:
            text = path.read_text()
            shown[path.name] = text if "rawr-install shell entry" in text else f"{text} {path.stat().st_ino}"
    return shown


def meddle(machine: Machine, chance: random.Random, number: int) -> str:
    """Do by hand what a user or an old script may do; returns the text of a foreign file that must survive."""
    machine.bun_bin.mkdir(parents=True, exist_ok=True)
    foreign = machine.entry.exists() and "foreign" in machine.entry.read_text()
    deed = chance.choice(("own", "link", "remove", "foreign", "disown"))
    if deed == "own":
        machine.own(machine.folder / chance.choice(NAMES))
    elif deed == "disown":
        machine.owner_file.unlink(missing_ok=True)
    elif not foreign:
        machine.entry.unlink(missing_ok=True)
        if deed == "link":
            machine.link(machine.folder / chance.choice(NAMES))
        elif deed == "foreign":
            machine.entry.write_text(f"foreign {number}")
            return f"foreign {number}"
    return ""


def words(chance: random.Random) -> list[str]:
    name, mode = chance.choice(NAMES), chance.choice(([], ["--mode", "shim"], ["--mode", "bun-symlink"]))
    force = chance.choice(([], ["--force"]))
    command = chance.choice(("install", "activate", "activate", "deactivate", "rollback", "uninstall", "to"))
    arguments = {"install": ["--workspace", name, *mode, *force], "activate": [name, *mode, *force]}
    return ["rollback", "--to", str(chance.randrange(8))] if command == "to" else [command, *arguments.get(command, [])]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_any_sequence_loses_nothing_and_rolls_back_exactly(
    machine: Machine, seed: int, count: Callable[[int, int], int]
) -> None:
    for name in NAMES:
        machine.workspace(name)
    for turn in range(count(1, 12)):
        play(machine, random.Random(f"{seed} {turn}"))


def play(machine: Machine, chance: random.Random) -> None:
    foreign: set[str] = set()
    with racers(machine, 1) as (runner,):

        def run(*argv: str) -> dict[str, Any]:
            runner.start(*argv, "--yes") if argv[0] != "history" else runner.start(*argv)
            answer = runner.end()
            assert answer["code"] in (0, 1, 2) and "INTERNAL_ERROR" not in answer["out"], (argv, answer)
            return answer

        for number in range(60):
            if chance.random() < 0.25:
                foreign |= {meddle(machine, chance, number)} - {""}
            before = standing(machine)
            argv = words(chance)
            answer = run(*argv)
            if answer["code"] != 0:
                assert standing(machine) == before, (argv, answer)
            elif '"changed": true' in answer["out"] and argv[0] != "rollback" and chance.random() < 0.3:
                after = run("rollback")
                assert standing(machine) == before, (argv, answer, after)
            check(machine, foreign, argv)


def check(machine: Machine, foreign: set[str], argv: list[str]) -> None:
    files = [path for path in machine.bun_bin.iterdir() if path.is_file()] if machine.bun_bin.exists() else []
    found = {path.read_text() for path in files if not path.is_symlink()}
    assert foreign <= found, (argv, foreign - found)
    assert not list(machine.home.rglob("*.tmp"))
    assert Path(machine.folder / "a/apps/cli/bin/run.js").read_text().startswith("#!/bin/sh")
