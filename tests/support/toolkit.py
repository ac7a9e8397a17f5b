"""The toolkit as built and as installed: made once a run, whichever worker comes first, and only read after that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.distribution import build_distribution

UV = [sys.executable, "-m", "uv", "--quiet"]


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run; xdist gives each worker one inside it."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """``folder``, which ``make`` fills for the first of the workers that ask."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture
def alone(common: Path) -> Iterator[None]:
    """For crowds that count who got how much: not beside another crowd."""
    with FileLock(common / "alone.lock"):
        yield


@pytest.fixture(scope="session")
def wheel(common: Path) -> Path:
    """The project's wheel."""
    (made,) = once(common / "wheel", lambda folder: build_distribution("wheel", folder)).glob("*.whl")
    return made


@pytest.fixture(scope="session")
def scripts(common: Path, wheel: Path) -> Path:
    """The bin folder of a fresh environment with the built wheel and nothing of this checkout."""

    def install(done: Path) -> None:
        subprocess.run([*UV, "venv", "--python", sys.executable, venv], check=True, timeout=300)
        subprocess.run([*UV, "pip", "install", "--python", venv / "bin/python", wheel], check=True, timeout=300)
        done.mkdir()

    venv = common / "fresh env"  # not the folder that is renamed: its scripts name it
    once(common / "installed", install)
    return venv / "bin"
