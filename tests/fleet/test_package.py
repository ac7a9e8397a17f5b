"""The module that installs the toolkit, run as Ansible runs it on a host: one process, arguments as JSON."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.hosts import PROJECT, run
from tests.support.distribution import build_distribution
from tests.support.toolkit import once

pytestmark = pytest.mark.slow
FOREIGN = "#!/bin/sh\necho foreign\n"
Package = Callable[..., dict[str, Any]]


@pytest.fixture
def package(module: Callable[..., dict[str, Any]]) -> Package:
    return partial(module, "package")


def test_a_host_whose_python_is_too_old_is_told_so(package: Package, programs: Path, home: Path) -> None:
    (programs / "python3").write_text("#!/bin/sh\necho 3 9\n")
    (programs / "python3").chmod(0o755)
    told = package(path="/bin/none", requirement="rawr-install")
    assert (told["failed"], told["code"]) == (True, "PYTHON_TOO_OLD")
    assert told["msg"] == f"rawr-install needs Python 3.11 or newer; on this host {programs}/python3 is 3.9."
    assert not (home / ".local").exists()


def test_what_another_program_has_installed_is_used_where_it_fits_and_else_left_alone(
    package: Package, programs: Path, installed: Path
) -> None:
    (programs / "rawr-install").symlink_to(installed / "bin/rawr-install")
    there = package(requirement="rawr-install")
    assert (there["changed"], there["satisfied"]) == (False, True)
    told = package(requirement="rawr-install>=99")
    assert (told["failed"], told["code"]) == (True, "OTHER_INSTALLER")
    told = package(state="absent")
    assert (told["failed"], told["code"]) == (True, "OTHER_INSTALLER")
    assert (installed / "bin/rawr-install").exists()


@pytest.mark.full
@pytest.mark.parametrize("tool", ["pipx", "uv", "venv"])
def test_each_installer_installs_upgrades_and_removes(
    package: Package, home: Path, programs: Path, wheelhouse: Path, later: Path, tool: str
) -> None:
    have(programs, tool)
    first = package(requirement="rawr-install", source=str(wheelhouse))
    assert first.get("changed"), first
    assert tool in first["prefix"]
    assert run(first["executable"], "--version").stdout

    asked = {"requirement": "rawr-install==99.0.0", "source": str(later)}
    assert package(check=True, **asked)["version"] == first["version"]
    assert package(**asked)["version"] == "99.0.0"
    assert package(**asked)["changed"] is False

    assert package(state="absent")["executable"] is None
    assert not any(path.name.startswith("rawr") for path in (home / ".local/bin").iterdir())
    assert package(state="absent")["changed"] is False


@pytest.mark.parametrize(
    "tool", [pytest.param("pipx", marks=pytest.mark.full), "uv", pytest.param("venv", marks=pytest.mark.full)]
)
def test_a_foreign_rawr_survives_every_installer(
    package: Package, home: Path, programs: Path, wheelhouse: Path, tool: str
) -> None:
    have(programs, tool)
    foreign = home / ".local/bin/rawr"
    foreign.parent.mkdir(parents=True)
    foreign.write_text(FOREIGN)
    told = package(requirement="rawr-install", source=str(wheelhouse))
    assert told.get("code") == ("PACKAGE_FAILED" if tool == "uv" else None), told
    assert foreign.read_text() == FOREIGN
    package(state="absent")
    assert foreign.read_text() == FOREIGN


@pytest.mark.full
@pytest.mark.parametrize("tool", ["pipx", "uv", "venv"])
def test_a_rawr_that_somebody_put_in_ours_place_survives_upgrade_and_removal(
    package: Package, home: Path, programs: Path, wheelhouse: Path, later: Path, tool: str
) -> None:
    have(programs, tool)
    package(requirement="rawr-install", source=str(wheelhouse))
    foreign = home / ".local/bin/rawr"
    foreign.unlink()
    foreign.write_text(FOREIGN)
    told = package(requirement="rawr-install==99.0.0", source=str(later))
    assert told.get("code") == (None if tool == "venv" else "FOREIGN_ENTRY"), told
    assert foreign.read_text() == FOREIGN
    told = package(state="absent")
    assert told.get("code") == (None if tool == "venv" else "FOREIGN_ENTRY"), told
    assert foreign.read_text() == FOREIGN


def have(programs: Path, tool: str) -> None:
    """Give the host pipx or uv; for a venv it needs neither."""
    if tool != "venv":
        (programs / tool).symlink_to(Path(sys.executable).parent / tool)


@pytest.fixture
def later(common: Path, wheelhouse: Path) -> Path:
    """A wheelhouse whose toolkit is a later version, of this very code."""

    def build(folder: Path) -> None:
        source = common / "later-source"
        skipped = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
        shutil.copytree(PROJECT, source, ignore=skipped)
        named = source / "rawr_install/__init__.py"
        named.write_text(re.sub('__version__ = ".*"', '__version__ = "99.0.0"', named.read_text()))
        build_distribution("wheel", folder, source)
        for needed in wheelhouse.glob("[!r]*.whl"):
            shutil.copy(needed, folder)

    return once(common / "later", build)
