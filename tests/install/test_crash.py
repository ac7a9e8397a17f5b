"""A command that dies, or whose system call fails, at any step leaves owner and entry as a pair, and `rawr` running."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.conftest import LINK, Machine, Ran
from tests.support.steps import ERRNOS, Step, fail_at, kill_at, need_strace, record

pytestmark = pytest.mark.slow

Words = tuple[str, ...]
WORKERS = 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 2
FOREIGN = "#!/bin/sh\necho I was here first\n"


@dataclass(frozen=True)
class Scenario:
    """A command, and what was done before it; ``{a}`` and ``{b}`` stand for two workspaces."""

    name: str
    before: tuple[Words, ...]
    command: Words
    foreign: str = ""  # when a foreign file is put at the entry's place: ``first`` or ``last``


SCENARIOS = (
    Scenario(
        "install over a foreign file",
        (("activate", "{a}"), ("uninstall",)),
        ("install", "--workspace", "{b}", "--force", *LINK),
        "last",
    ),
    Scenario("activate another workspace", (("activate", "{a}", *LINK),), ("activate", "{b}")),
    Scenario("roll back an activation", (("activate", "{a}", *LINK), ("activate", "{b}")), ("rollback", "--to", "1")),
    Scenario("uninstall, foreign file returns", (("activate", "{a}", "--force", *LINK),), ("uninstall",), "first"),
)
MORE = (
    Scenario("install for the first time", (), ("install", "--workspace", "{a}", *LINK)),
    Scenario("activate for the first time", (), ("activate", "{a}")),
    Scenario("deactivate", (("activate", "{a}"),), ("deactivate",)),
    Scenario("activate in shim mode", (("activate", "{a}", *LINK),), ("activate", "{b}", "--mode", "shim")),
)


class Stage:
    """One machine that can be put back to how it was before the scenario's command."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        folder.mkdir()
        self.machine = Machine(folder)
        self.machine.env["RAWR_EVENTS"] = "off"
        self.roots = {"a": str(self.machine.workspace("a")), "b": str(self.machine.workspace("b"))}
        self.words = self._fill(scenario.command)
        if scenario.foreign == "first":
            self._put_foreign()
        for words in scenario.before:
            done = self.machine.rawr_install(*self._fill(words), "--yes")
            assert done.code == 0, done
        if scenario.foreign == "last":
            self._put_foreign()
        self.freeze()
        self.before = self.pair()
        self.changes_before = len(self.records())

    def _put_foreign(self) -> None:
        self.machine.bun_bin.mkdir(parents=True, exist_ok=True)
        self.machine.entry.write_text(FOREIGN)
        self.machine.entry.chmod(0o755)

    def _fill(self, words: Words) -> Words:
        return tuple(word.format(**self.roots) for word in words)

    def freeze(self) -> None:
        """What stands now is what ``reset`` returns to."""
        shutil.rmtree(self.machine.folder / "before", ignore_errors=True)
        shutil.copytree(self.machine.home, self.machine.folder / "before", symlinks=True)

    def reset(self) -> None:
        shutil.rmtree(self.machine.home)
        shutil.copytree(self.machine.folder / "before", self.machine.home, symlinks=True)

    def pair(self) -> tuple[str | None, str | None]:
        """(owner, entry): the owner file's text, and the link's target or the file's text."""
        owner, entry = self.machine.owner_file, self.machine.entry
        shown = os.readlink(entry) if entry.is_symlink() else entry.read_text() if entry.exists() else None
        return (owner.read_text() if owner.exists() else None, shown)

    def command(self) -> Ran:
        return self.machine.rawr_install(*self.words, "--json", "--yes")

    def records(self) -> list[dict[str, Any]]:
        history = self.machine.home / ".local/state/rawr/history.json"
        records: list[dict[str, Any]] = json.loads(history.read_text())["records"] if history.exists() else []
        return records

    def leftovers(self) -> list[str]:
        return [str(path) for path in self.machine.home.rglob("*.tmp")]


Strike = Callable[[Stage, Step, int], None]


# One trace of a command serves all its tests: its steps, and the pair that it leaves.
RECORDED: dict[tuple[Scenario, Callable[[Stage], None] | None], tuple[list[Step], tuple[str | None, ...]]] = {}


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., None]:
    """Run ``strike`` at every recorded step, several machines side by side, and look at each afterwards."""
    numbers = itertools.count(1)

    def run(scenario: Scenario, strike: Strike, every: int = 1, first: Callable[[Stage], None] | None = None) -> None:
        need_strace()
        folders = [tmp_path / str(next(numbers)) for _ in range(WORKERS)]
        with ThreadPoolExecutor(WORKERS) as pool:
            stages = list(pool.map(lambda folder: Stage(folder, scenario), folders))
            list(pool.map(first, stages) if first else ())
        if (scenario, first) not in RECORDED:
            steps = record(stages[0].machine, stages[0].words)
            RECORDED[scenario, first] = steps, _relative(stages[0], stages[0].pair())
        steps, after = RECORDED[scenario, first]
        assert len(steps) > 15, steps
        free: SimpleQueue[Stage] = SimpleQueue()
        for stage in stages:
            free.put(stage)

        def one(number: int) -> str | None:
            stage = free.get()
            try:
                stage.reset()
                strike(stage, steps[number], number)
                _look(stage, after)
                return None
            except AssertionError as error:
                return f"{steps[number].shown}: {error}"
            finally:
                free.put(stage)

        with ThreadPoolExecutor(WORKERS) as pool:
            problems = [problem for problem in pool.map(one, range(0, len(steps), every)) if problem]
        assert not problems, "\n".join(problems)

    return run


def _relative(stage: Stage, pair: tuple[str | None, str | None]) -> tuple[str | None, ...]:
    return tuple(text and text.replace(str(stage.machine.folder), "MACHINE") for text in pair)


def _look(stage: Stage, after: tuple[str | None, ...]) -> None:
    """The pair is the old or the new one once the next command has run; `rawr` ran all the time."""
    ends = {_relative(stage, stage.before), after}
    if all(entry is not None for _owner, entry in ends):
        found = stage.machine.run("rawr")
        assert found.code == 0, f"rawr does not resolve: {found}"
    for part, (one, two) in (
        zip(_relative(stage, stage.pair()), zip(*ends, strict=True), strict=True) if len(ends) == 2 else ()
    ):
        assert part in (one, two), f"neither old nor new: {part!r}"
    done = stage.command()
    assert done.code == 0, f"the next command fails: {done}"
    assert _relative(stage, stage.pair()) == after, f"the next command did not mend: {stage.pair()}"
    assert not stage.leftovers()
    _check_history(stage)


def _check_history(stage: Stage) -> None:
    records = stage.records()
    assert [record for record in records if record["status"] == "pending"] == []
    done = [record for record in records if record["status"] == "done"]
    assert len(done) == stage.changes_before + 1, "an undone change counts as done, or a done one as undone"
    # What the record says stood there before is what the mending left: the old pair, whole.
    owner = [change["before"].get("text") for change in done[-1]["changes"] if change["role"] == "owner"]
    assert owner in ([], [stage.before[0]]), f"mended to a strange owner {owner}"


@pytest.mark.contract("C3", "activate.killed", "a command killed at any step is mended by the next")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_command_killed_at_any_step_is_mended_by_the_next_one(check: Callable[..., None], scenario: Scenario) -> None:
    check(scenario, _killing)


@pytest.mark.contract("C3", "activate.all-or-nothing", "a failure at any step changes nothing")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_system_call_that_fails_at_any_step_changes_nothing(
    check: Callable[..., None], scenario: Scenario, count: Callable[[int, int], int]
) -> None:
    # Each step fails once, the errors taking turns; --full tries every error at every step.
    for turn in range(count(1, len(ERRNOS))):
        check(scenario, _failing(turn))


@pytest.mark.parametrize("scenario", MORE, ids=lambda scenario: scenario.name)
def test_further_commands_killed_or_failing_at_a_step_are_mended(
    check: Callable[..., None], scenario: Scenario, count: Callable[[int, int], int]
) -> None:
    # Every eighth step; --full takes every step, and every error at each.
    every = count(8, 1)
    check(scenario, _killing, every)
    for turn in range(count(1, len(ERRNOS))):
        check(scenario, _failing(turn), every)


@pytest.mark.parametrize("at", ["entry", "receipt"])
def test_mending_that_is_killed_too_is_taken_up_by_the_next_command(
    check: Callable[..., None], at: str, count: Callable[[int, int], int]
) -> None:
    name = {"entry": '/rawr"', "receipt": '/receipt.json"'}[at]

    def kill_once(stage: Stage) -> None:
        steps = record(stage.machine, stage.words)
        stage.reset()
        # On the way to its place: what comes before is changed, what comes after is not.
        kill_at(
            stage.machine, stage.words, next(step for step in steps if step.name == "rename" and name in step.shown)
        )
        stage.freeze()

    check(SCENARIOS[1], _killing, count(4, 1), kill_once)


def _killing(stage: Stage, step: Step, _number: int) -> None:
    kill_at(stage.machine, stage.words, step)


def _failing(turn: int) -> Strike:
    def strike(stage: Stage, step: Step, number: int) -> None:
        ran = fail_at(stage.machine, stage.words, step, ERRNOS[(number + turn) % len(ERRNOS)])
        assert "Traceback" not in ran.err and ran.code in (0, 1), ran
        if ran.code == 1:
            error = ran.json["error"]
            assert error["code"] not in ("INTERNAL_ERROR", "WORKSPACE_CLI_MISSING"), ran
            path = error["details"].get("path", str(stage.machine.home))
            assert path.startswith(str(stage.machine.home)) and not path.endswith(".tmp"), ran
            assert stage.pair() == stage.before, f"not put back: {stage.pair()}"

    return strike
