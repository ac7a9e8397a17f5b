"""Several processes that change the machine at once: one after the other, each entirely."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from rawr_install.machine import lock as machine_lock
from tests.conftest import LINK, Machine

REPO = Path(__file__).parent.parent.parent


class Racer:
    """A warm process that runs the command it is told."""

    def __init__(self, machine: Machine) -> None:
        argv = [sys.executable, str(REPO / "tests/install/driver.py")]
        environ = {**machine.env, "RAWR_EVENTS": "off"}
        self.process = subprocess.Popen(
            argv, env=environ, cwd=machine.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, *words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([*words, "--json", "--wait", "60"]) + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def racers(machine: Machine, number: int) -> Iterator[list[Racer]]:
    made = [Racer(machine) for _ in range(number)]
    try:
        yield made
    finally:
        for racer in made:
            racer.stop()


@contextmanager
def watched(entry: Path) -> Iterator[list[str]]:
    """Look at the entry all the time; what went wrong is in the list."""
    missed: list[str] = []
    looks = 0
    stop = Event()

    def poll() -> None:
        nonlocal looks
        while not stop.is_set():
            looks += 1
            time.sleep(0.0005)  # the racers need the processor too
            try:
                with open(entry, "rb") as file:
                    if file.read(2) != b"#!":
                        missed.append("half written")
            except OSError as error:
                missed.append(str(error))

    thread = Thread(target=poll)
    thread.start()
    try:
        yield missed
    finally:
        stop.set()
        thread.join()
    assert looks > 100


@pytest.mark.contract("C3", "activate.rivals", "of activations at once one wins, and the entry is never absent")
@pytest.mark.contract("C3", "activate.rivals", "of activations at once one wins, and the entry is never absent")
@pytest.mark.parametrize("number", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_activations_at_once_leave_owner_and_entry_in_agreement(
    machine: Machine, alone: None, number: int, count: Callable[[int, int], int]
) -> None:
    roots = [str(machine.workspace(f"w{each}")) for each in range(number)]
    assert machine.rawr_install("activate", roots[0], *LINK).code == 0
    winners = set()
    with racers(machine, number) as running, watched(machine.entry) as missed:
        for turn in range(count(24 if number == 2 else 12, 100)):
            for racer, root in zip(running, roots[turn % number :] + roots[: turn % number], strict=True):
                racer.start("activate", root)
            answers = [racer.end() for racer in running]
            assert [answer["code"] for answer in answers] == [0] * number, answers
            owner = machine.owner_file.read_text()
            assert os.readlink(machine.entry) == owner.removesuffix("\n") + "/apps/cli/bin/run.js"
            winners.add(owner)
    assert missed == []
    assert len(winners) > 1


@pytest.mark.slow
def test_activations_with_killed_ones_among_them_end_in_agreement(
    machine: Machine, alone: None, count: Callable[[int, int], int]
) -> None:
    roots = [str(machine.workspace(f"w{each}")) for each in range(4)]
    assert machine.rawr_install("activate", roots[0], *LINK).code == 0
    with watched(machine.entry) as missed:
        for turn in range(count(6, 60)):
            with racers(machine, 4) as running:
                for racer, root in zip(running, roots, strict=True):
                    racer.start("activate", root)
                # The victims die at a moment that differs from turn to turn.
                time.sleep(0.15 + 0.013 * turn)
                for racer in running[:2]:
                    racer.process.send_signal(signal.SIGKILL)
                assert all(racer.end()["code"] == 0 for racer in running[2:])
            machine.rawr_install("activate", roots[turn % 4], "--wait", "60")
            assert machine.owner_file.read_text() == f"{roots[turn % 4]}\n"
            assert os.readlink(machine.entry) == f"{roots[turn % 4]}/apps/cli/bin/run.js"
    assert missed == []


@pytest.mark.slow
def test_any_commands_at_once_end_in_an_answer_and_a_whole_machine(
    machine: Machine, count: Callable[[int, int], int]
) -> None:
    for name in "abc":
        machine.workspace(name)
    chance = random.Random(20)
    some = (("activate", "{}"), ("install", "--workspace", "{}"), ("rollback",), ("deactivate",), ("uninstall",))
    commands = (*some, ("uninstall", "--purge"), ("activate", "{}", "--mode", "shim", "--force"))
    with racers(machine, 4) as running:
        for _turn in range(count(40, 400)):
            for racer in running:
                racer.start(*(word.format(chance.choice("abc")) for word in chance.choice(commands)))
            for answer in [racer.end() for racer in running]:
                code = json.loads(answer["out"]).get("error", {}).get("code", "")
                assert code in ("", "OWNER_OTHER_INSTANCE", "NOTHING_TO_ROLL_BACK"), answer
        running[0].start("activate", "a", *LINK)
        running[0].end()
    assert machine.owner_file.read_text() == f"{machine.folder}/a\n"
    assert os.readlink(machine.entry) == f"{machine.folder}/a/apps/cli/bin/run.js"
    assert not list(machine.home.rglob("*.tmp"))


@pytest.mark.slow
def test_the_lock_is_had_though_its_folder_is_removed_again_and_again(tmp_path: Path) -> None:
    lock, stop = tmp_path / "state/install.lock", Event()

    def purge() -> None:
        while not stop.is_set():
            with suppress(OSError):
                lock.unlink()
                lock.parent.rmdir()
            time.sleep(0.0002)  # a purge is a process that starts; one that never rests starves everybody

    purger = Thread(target=purge)
    purger.start()
    try:
        for _ in range(200):
            with machine_lock.locked(str(lock), "activate"):
                pass
    finally:
        stop.set()
        purger.join()


def test_a_purge_before_each_of_ten_tries_does_not_keep_the_lock_away(tmp_path: Path) -> None:
    lock, purges = tmp_path / "state/install.lock", iter(range(10))

    def purge() -> None:
        if next(purges, None) is not None:
            lock.parent.rmdir()

    os.close(machine_lock.acquire(str(lock), 1.0, purge))
    assert lock.exists() and next(purges, None) is None


def test_whoever_waits_in_vain_is_told_who_holds_the_machine(machine: Machine) -> None:
    root = machine.workspace("w")
    lock = machine.home / ".local/state/rawr/install.lock"
    with machine_lock.locked(str(lock), "activate"):
        ran = machine.rawr_install("activate", root, "--wait", "0.2", "--json")
    error = ran.json["error"]
    assert (ran.code, error["code"]) == (1, "MACHINE_BUSY")
    assert error["details"]["holder"]["pid"] == os.getpid()
    assert f"process {os.getpid()}, rawr-install activate, since 20" in error["message"]
    assert machine.rawr_install("activate", root).code == 0
