"""The conditional decisions: wrappers are found where they stand, pass-throughs are not; a missing proof is due."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.distribution import PROJECT
from tests.support.scripts import load, script

Body = Callable[..., Any]


def with_wraps(body: Body) -> Body:
    @functools.wraps(body)
    def timed(*args: Any, **words: Any) -> Any:
        return body(*args, **words)

    return timed


def by_closure(body: Body) -> Body:
    def counted(*args: Any, **words: Any) -> Any:
        return body(*args, **words)

    return counted


def with_hook(body: Body, hook: Body = len) -> Body:
    def hooked(*args: Any, **words: Any) -> Any:
        hook(args)
        return body(*args, **words)

    return hooked


def with_hooks_of_ours(body: Body) -> Body:
    return with_hook(body, lambda args: None)


def work(name: str) -> str:
    return name


def passes_on(name: str) -> str:
    return work(name)


def passes_on_again(name: str) -> str:
    return passes_on(name)


def a_command(callback: Body) -> click.Command:
    group = click.Group("root")
    group.add_command(click.Command("planted", callback=callback))
    return group


@pytest.mark.parametrize(
    ("callback", "measured", "status"),
    [
        (work, 0, "deferred"),
        (passes_on_again, 0, "deferred"),
        (with_wraps(by_closure(work)), 2, "deferred"),
        (with_wraps(by_closure(with_wraps(work))), 3, "due"),
        (by_closure(by_closure(by_closure(work))), 3, "due"),
        (with_hooks_of_ours(with_wraps(with_hooks_of_ours(work))), 3, "due"),
        (with_hook(with_hook(work)), 2, "deferred"),
        (click.pass_context(with_wraps(by_closure(work))), 2, "deferred"),
    ],
)
def test_stacked_wrappers_are_counted_on_what_runs(callback: Body, measured: int, status: str) -> None:
    found = load("lib/triggers.py").wrapper_depth(a_command(callback))
    assert (found["measured"], found["status"]) == (measured, status)
    assert list(found["evidence"]) == (["planted"] if status == "due" else [])


def test_a_side_effect_at_the_end_of_a_run_without_its_proofs_is_due(tmp_path: Path) -> None:
    found = load("lib/triggers.py").end_of_run(tmp_path)
    assert found["status"] == "due" and found["measured"] == 1
    assert found["evidence"]["unproven"] == ["D-010.bounded", "D-010.ends-once", "D-010.never-fails"]


def test_the_record_of_this_project_is_what_is_measured() -> None:
    code, said = script("assess_conditional_triggers", "--check")
    assert (code, said["changed"]) == (0, False)
    assert {each["id"]: each["status"] for each in said["decisions"]} == {"D-009": "deferred", "D-010": "executed"}
    for test in said["decisions"][1]["evidence"]["tests"].values():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (PROJECT / path).read_text()


MIDDLEWARE = """
def timed(body):
    def inner(*args, **words):
        return body(*args, **words)

    return inner


@command("events", epilog=EXAMPLES)
@timed
@timed
@timed
"""


def test_the_tree_of_the_script_is_measured_and_not_what_is_installed(tmp_path: Path) -> None:
    for name in ("rawr_install", "scripts"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "rawr_install/cli/events.py"
    path.write_text(path.read_text().replace('@command("events", epilog=EXAMPLES)\n', MIDDLEWARE))
    argv = [sys.executable, tmp_path / "scripts/assess_conditional_triggers", "--record", tmp_path / "record.json"]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True)
    wrappers = json.loads(done.stdout)["decisions"][0]
    assert (done.returncode, wrappers["status"], [*wrappers["evidence"]]) == (1, "due", ["events"])


def test_check_writes_nothing_and_notices_a_stale_record(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("{}\n")
    assert script("assess_conditional_triggers", "--record", path, "--check")[0] == 1
    assert path.read_text() == "{}\n"
    assert script("assess_conditional_triggers", "--record", path)[0] == 0
    assert json.loads(path.read_text())["schemaVersion"] == 2
