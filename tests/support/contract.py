"""Which tests prove which promise: the marker ``contract(slice, id, sentence)``, and what a run says of each.

``--contract C1`` runs the tests of one slice, ``--promise ID`` those of one promise; ``--contract-report FILE`` gets a
JSON line for each test that begins, and for each promise of one that ended. In a JUnit report each test carries its
promises as properties, and the run the commit that it was made of.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key

from tests.support.scripts import load

PROJECT = Path(__file__).parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--contract", metavar="SLICE", help="only the tests that prove this slice of the contract")
    parser.addoption("--promise", action="append", default=[], metavar="ID", help="only the tests that prove this")
    parser.addoption("--contract-report", type=Path, metavar="FILE", help="a JSON line for each test and promise")


def promises(item: pytest.Item) -> Iterator[tuple[str, str, str]]:
    """(slice, id, sentence) of each promise that the test proves."""
    for marker in item.iter_markers("contract"):
        slice_name, name, sentence = marker.args
        yield slice_name, name, sentence


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted, only = config.getoption("--contract"), config.getoption("--promise")
    for item in items:
        item.user_properties += [("contract", " ".join(promise)) for promise in promises(item)]
    if not wanted:
        return
    kept = [
        item
        for item in items
        if any(slice_name == wanted and (not only or name in only) for slice_name, name, _ in promises(item))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--contract-report")
    if not hasattr(config, "workerinput") and path:
        config.pluginmanager.register(_Report(path), "contract-report")


class _Report:
    """Writes what becomes of each promise as the tests end, so that a run without an end has said what it knew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write({"test": nodeid, "outcome": "began"})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        for key, value in report.user_properties:
            if key == "contract":
                slice_name, name, sentence = str(value).split(" ", 2)
                row = {"slice": slice_name, "id": name, "sentence": sentence, "test": report.nodeid}
                self.write(row | {"outcome": report.outcome})

    def write(self, row: dict[str, str]) -> None:
        with self.path.open("a") as file:
            print(json.dumps(row), file=file)


def pytest_sessionstart(session: pytest.Session) -> None:
    # Not the fixture for it: with xdist that speaks in a worker, and the report is the controller's.
    xml = session.config.stash.get(xml_key, None)
    if xml is not None:
        xml.add_global_property("commit", what_is_tested())


def what_is_tested() -> str:
    """The commit, whether something was changed since, and the package that processes import, if it is another."""
    git = load("lib/git.py")
    code = "import os, rawr_install; print(os.path.dirname(rawr_install.__file__))"
    asked = subprocess.run([sys.executable, "-P", "-c", code], cwd="/", capture_output=True, text=True)
    package = asked.stdout.strip()
    other = (
        "" if package and Path(package).resolve().parent == PROJECT.resolve() else f" with the package {package or '?'}"
    )
    try:
        return str(git.tree_name(PROJECT)) + other
    except git.GitError:
        return ""
