"""What is shipped: a wheel with ``rawr`` as the shell script itself."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from rawr_install import __version__
from tests.conftest import PROJECT, Machine, build_distribution

pytestmark = pytest.mark.slow

SHIM = (PROJECT / "shims/rawr").read_bytes()


def contents(wheel: Path) -> dict[str, str]:
    """Name -> mode and SHA-256 of every file in a wheel; its RECORD repeats these."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            item.filename: f"{item.external_attr >> 16:o} {hashlib.sha256(archive.read(item)).hexdigest()}"
            for item in archive.infolist()
        }


# -- what is inside ------------------------------------------------------------------------


def test_the_wheel_carries_the_shell_entry_twice_and_declares_one_entry_point(wheel: Path) -> None:
    scripts = f"rawr_install-{__version__}.data/scripts"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"{scripts}/rawr") == SHIM
        assert archive.getinfo(f"{scripts}/rawr").external_attr >> 16 & 0o111
        assert archive.read("rawr_install/shell-entry") == SHIM
        assert [name for name in archive.namelist() if name.startswith(scripts)] == [f"{scripts}/rawr"]
        assert "rawr_install/py.typed" in archive.namelist()
        points = archive.read(f"rawr_install-{__version__}.dist-info/entry_points.txt").decode()
    assert points.split() == ["[console_scripts]", "rawr-install", "=", "rawr_install.__main__:main"]


def test_every_module_and_data_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    package = PROJECT / "rawr_install"
    files = {
        str(path.relative_to(PROJECT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - set(contents(wheel)) == set()


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build_distribution("sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert contents(build_distribution("wheel", tmp_path / "again", source)) == contents(wheel)


def test_the_lowest_versions_that_are_declared_do_work(wheel: Path, machine: Machine) -> None:
    uv, folder = [sys.executable, "-m", "uv", "--quiet"], machine.home / "venv"
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True, timeout=60)
    lowest_of = [*uv, "pip", "install", "--python", folder / "bin/python", "--resolution", "lowest"]
    subprocess.run([*lowest_of, wheel], check=True, timeout=300)
    versions = "import importlib.metadata as m; print(*(m.version(n) for n in ('click', 'platformdirs', 'filelock')))"
    shown = machine.run(folder / "bin/python", "-c", versions).out
    lowest = {line.partition(">=")[0]: line.partition(">=")[2] for line in DECLARED}
    assert [release(version) for version in shown.split()] == [
        release(lowest[name]) for name in ("click", "platformdirs", "filelock")
    ]
    assert machine.run(folder / "bin/rawr-install", "tour", "--json").code == 0


DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]


def release(version: str) -> tuple[int, ...]:
    """A release as numbers of one length: 8.2 and 8.2.0 are one version."""
    return tuple(int(part) for part in [*version.split("."), "0", "0"][:3])
