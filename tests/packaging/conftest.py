"""A local index with three releases of the toolkit: 0.1.0 as it was, this one, and the one after it."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.version import Version

from rawr_install import __version__
from tests.conftest import PROJECT, Machine, build_distribution
from tests.packaging.managers import MANAGERS, Manager, dependencies

FIRST_COMMIT = "0c56182"  # 0.1.0, which was not tagged
THIS = Version(__version__).base_version  # a release: installers pass over versions that are in development
NEXT = "99.0.0"


class Releases(NamedTuple):
    """The wheels."""

    first: Path
    this: Path
    next: Path


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    folder = tmp_path_factory.mktemp("releases")
    built = [build_distribution("wheel", folder / "first.whl", _first(folder / "first"))]
    for version in (THIS, NEXT):
        source = _copy(folder / version)
        module = source / "rawr_install/__init__.py"
        module.write_text(re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{version}"', module.read_text()))
        built.append(build_distribution("wheel", folder / f"{version}.whl", source))
    return Releases(*built)


def _first(folder: Path) -> Path:
    """The sources of 0.1.0."""
    done = subprocess.run(["git", "archive", FIRST_COMMIT], cwd=PROJECT, capture_output=True)
    if done.returncode:
        pytest.skip(f"the commit of 0.1.0 ({FIRST_COMMIT}) is not here: this needs a full clone")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _copy(folder: Path) -> Path:
    """The sources of a wheel as they lie here, so that another version can be written into them."""
    folder.mkdir()
    for name in ("rawr_install", "shims", "scripts", "pyproject.toml", "README.md", "LICENSE"):
        part = PROJECT / name
        shutil.copytree(part, folder / name) if part.is_dir() else shutil.copy(part, folder)
    return folder


@pytest.fixture(scope="session")
def wheels_needed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the toolkit needs to run, as wheels."""
    needed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dependencies(tmp_path_factory.mktemp("needed"), [*needed, "pip"])


@pytest.fixture
def index(wheels_needed: Path, tmp_path: Path) -> Path:
    """An index with all but the toolkit itself."""
    return Path(shutil.copytree(wheels_needed, tmp_path / "index"))


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest, machine: Machine, index: Path) -> Manager:
    return MANAGERS[request.param](machine, index)
