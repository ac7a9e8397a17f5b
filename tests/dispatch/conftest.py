"""A scene for each test, and the runners that are installed here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dispatch.scene import SHELLS, TWIN, Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: some cases run as another user, who cannot enter pytest's folder.
    with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
        yield Scene(Path(os.path.realpath(folder)))


@pytest.fixture(params=(TWIN, *SHELLS))
def runner(request: pytest.FixtureRequest) -> str:
    """Each way to run ``rawr``; a shell that is missing is a skip that names it."""
    return installed(request.param)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell that runs the shell entry."""
    return installed(request.param)


def installed(name: str) -> str:
    if name in SHELLS and not shutil.which(SHELLS[name][0]):
        pytest.skip(f"{SHELLS[name][0]} is not installed")
    return name
