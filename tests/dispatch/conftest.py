"""A scene for each test, and the runners that are installed here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dispatch.cases import T
from tests.dispatch.scene import SHELLS, TWIN, Scene

OFTEN = ("bash", "busybox", "zsh")


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: some cases run as another user, who cannot enter pytest's folder.
    with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
        yield Scene(Path(os.path.realpath(folder)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``runner``: each way to run ``rawr``; ``shell``: each shell that runs the shell entry; ``case``: the table."""
    fixture, names = ("runner", [TWIN, *SHELLS]) if "runner" in metafunc.fixturenames else ("shell", [*SHELLS])
    if "case" in metafunc.fixturenames:
        metafunc.parametrize(("case", fixture), [*pairs(fixture, names)], indirect=[fixture])
    elif fixture in metafunc.fixturenames:
        metafunc.parametrize(
            fixture, [pytest.param(name, marks=marks(name, name in OFTEN)) for name in names], indirect=True
        )


def pairs(fixture: str, names: list[str]) -> Iterator[Any]:
    """Each case by each name; each of the rarer shells takes every third case, another third than the next one."""
    for number, case in enumerate(T.cases):
        # Of a toolkit that is gone, or older, the twin, which is part of this one, can tell nothing.
        left_out = {TWIN} if case.entry_only else set()
        # It holds only characters of the locale, by design: no row of the promise, rather than one that is skipped.
        left_out |= {"yash"} if case.raw_bytes else set()
        # A shell alone: the successes that it leaves to the twin.
        for at, name in enumerate(names if fixture == "runner" or case.by_twin else ()):
            if name not in left_out:
                yield pytest.param(case, name, id=f"{case.name}-{name}", marks=marks(name, (number + at) % 3 == 0))


def marks(name: str, often: bool) -> list[pytest.MarkDecorator]:
    """Beside dash, Debian's sh, and the twin the shells are slow; with ``--full`` each of them runs everything."""
    return [] if name in ("dash", TWIN) else [pytest.mark.slow if often else pytest.mark.full]


@pytest.fixture
def runner(request: pytest.FixtureRequest) -> str:
    return installed(request.param)


@pytest.fixture
def shell(request: pytest.FixtureRequest) -> str:
    return installed(request.param)


def installed(name: str) -> str:
    """``name``, or a skip that names the shell that is missing."""
    if name in SHELLS and not shutil.which(SHELLS[name][0]):
        pytest.skip(f"{SHELLS[name][0]} is not installed")
    return name
