"""The options and the fixtures of all tests. What they build with is in ``tests/support``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.distribution import PROJECT as PROJECT, build_distribution as build_distribution
from tests.support.machine import (
    CLI_SCRIPT as CLI_SCRIPT,
    LINK as LINK,
    Machine,
    Ran as Ran,
    make_workspace,
    snapshot as snapshot,
)

# The machine may be busy with other tests.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Behind `&` or nohup some signals arrive ignored, as they would in all that a test starts. A handler ends at execve(2).
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

pytest_plugins = ["tests.support.contract", "tests.support.toolkit"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--full", action="store_true", help="run every test, and the long ones at their full count")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the sets that were not asked for."""
    full = config.getoption("--full")
    out = {name for name, wanted in (("slow", full or config.getoption("--slow")), ("full", full)) if not wanted}
    left = {item: any(item.get_closest_marker(name) for name in out) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if left[item]])
    items[:] = [item for item in items if not left[item]]


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``count(default, full)``: how often a long test repeats; the full number with ``--full``."""
    return lambda default, full: full if request.config.getoption("--full") else default


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def workspace_factory(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: make_workspace(tmp_path / name)
