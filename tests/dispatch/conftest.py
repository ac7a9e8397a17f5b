"""A scene for each test, and the runners that are installed here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dispatch.cases import T
from tests.dispatch.scene import SHELLS, TWIN, Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: some cases run as another user, who cannot enter pytest's folder.
    with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
        yield Scene(Path(os.path.realpath(folder)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``runner``: each way to run ``rawr``; ``shell``: each shell that runs the shell entry; ``case``: the table."""
    if "case" in metafunc.fixturenames:
        # Of a toolkit that is gone, or older, the twin, which is part of this one, can tell nothing.
        pairs = [
            pytest.param(case, name, id=f"{case.name}-{name}", marks=marks(name))
            for case in T.cases
            for name in (TWIN, *SHELLS)
            if not (case.entry_only and name == TWIN)
        ]
        return metafunc.parametrize(("case", "runner"), pairs, indirect=["runner"])
    for fixture, names in (("runner", [TWIN, *SHELLS]), ("shell", [*SHELLS])):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [pytest.param(name, marks=marks(name)) for name in names], indirect=True)
    return None


def marks(name: str) -> list[pytest.MarkDecorator]:
    """Beside dash, Debian's sh, and the twin the shells are slow."""
    return [] if name in ("dash", TWIN) else [pytest.mark.slow]


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
