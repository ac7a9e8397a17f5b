"""What is shipped: a wheel that pipx, uv and pip install alike, with ``rawr`` as the shell script itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rawr_install import __version__
from tests.conftest import PROJECT, build_distribution, make_workspace

pytestmark = pytest.mark.slow

SHIM = (PROJECT / "shims/rawr").read_bytes()
COMMANDS = {"rawr", "rawr-install"}


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


# -- installing, running, removing ------------------------------------------------------------


@dataclass(frozen=True)
class Installer:
    """One way to install: the folder where commands appear, and the command lines."""

    bin: Path
    install: Sequence[str | Path]
    uninstall: Sequence[str | Path]
    env: Mapping[str, str]
    before: Sequence[str | Path] = ()

    def run(self, argv: Sequence[str | Path]) -> None:
        done = subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"


def home_of(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A home of its own; only where packages come from is this user's own configuration."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAWR_", "PYTHON", "VIRTUAL_"))}
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return home, kept | {"HOME": str(home), "XDG_CONFIG_HOME": config}


def with_pipx(wheel: Path, tmp_path: Path) -> Installer:
    home, env = home_of(tmp_path)
    env |= {"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin"), "PIPX_MAN_DIR": str(home / "man")}
    pipx = [sys.executable, "-m", "pipx"]
    install = [*pipx, "install", "--python", sys.executable, str(wheel)]
    return Installer(home / "bin", install, [*pipx, "uninstall", "rawr-install"], env)


def with_uv(wheel: Path, tmp_path: Path) -> Installer:
    home, env = home_of(tmp_path)
    env |= {"UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "bin"), "UV_NO_PROGRESS": "1"}
    uv = [sys.executable, "-m", "uv", "tool"]
    install = [*uv, "install", "--python", sys.executable, "--no-python-downloads", str(wheel)]
    return Installer(home / "bin", install, [*uv, "uninstall", "rawr-install"], env)


def with_pip(wheel: Path, tmp_path: Path) -> Installer:
    home, env = home_of(tmp_path)
    python = home / "venv/bin/python"
    pip = [python, "-m", "pip"]
    return Installer(
        home / "venv/bin",
        [*pip, "install", "--quiet", str(wheel)],
        [*pip, "uninstall", "--quiet", "--yes", "rawr-install"],
        env,
        before=[sys.executable, "-m", "venv", home / "venv"],
    )


@pytest.mark.parametrize("how", [with_pipx, with_uv, with_pip], ids=lambda how: how.__name__)
def test_an_installer_puts_both_commands_in_place_and_takes_both_away(how: object, wheel: Path, tmp_path: Path) -> None:
    assert callable(how)
    installer: Installer = how(wheel, tmp_path)
    if installer.before:
        installer.run(installer.before)
    before = set(os.listdir(installer.bin)) if installer.bin.exists() else set()
    installer.run(installer.install)
    assert set(os.listdir(installer.bin)) - before >= COMMANDS
    assert (installer.bin / "rawr").read_bytes() == SHIM
    check_both_commands(installer.bin, tmp_path)
    installer.run(installer.uninstall)
    left = set(os.listdir(installer.bin)) if installer.bin.exists() else set()
    assert not {name for name in left - before if name.startswith("rawr")}
    assert not left & COMMANDS


def check_both_commands(folder: Path, tmp_path: Path) -> None:
    """``rawr-install`` starts, ``rawr`` dispatches, and ``rawr`` finds its toolkit, found on PATH alone."""
    workspace = make_workspace(tmp_path / "ws")
    env = {"HOME": str(tmp_path / "home"), "PATH": f"{folder}:/usr/bin:/bin", "LANG": "C.UTF-8"}

    def says(cwd: Path, *argv: str) -> str:
        done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert says(tmp_path, "rawr-install", "--version") == f"rawr-install {__version__}\n"
    assert says(tmp_path, "rawr", "--version") == f"rawr-install {__version__}\n"
    assert says(workspace / "plugins", "rawr", "--version") == "workspace ws\nargument --version\n"
    assert says(workspace, "rawr", "install", "--help").startswith("Usage: rawr-install install")
    assert says(tmp_path, "rawr-install", "install", "--workspace", "ws", "--mode", "shim", "--bin-dir", "shimbin")
    copied = (tmp_path / "shimbin/rawr").read_bytes()
    assert copied != SHIM and len(copied.splitlines()) == len(SHIM.splitlines())
    # The copy finds the toolkit by the path that was written into it, without PATH or a sibling.
    env["PATH"] = "/usr/bin:/bin"
    assert says(tmp_path, str(tmp_path / "shimbin/rawr"), "--version") == f"rawr-install {__version__}\n"


def test_the_lowest_versions_that_are_declared_do_work(wheel: Path, tmp_path: Path) -> None:
    home, env = home_of(tmp_path)
    env |= {"UV_NO_PROGRESS": "1", "LANG": "C.UTF-8"}
    uv, python = [sys.executable, "-m", "uv"], home / "venv/bin/python"
    installer = Installer(home / "venv/bin", [], [], env)
    installer.run([*uv, "venv", "--python", sys.executable, home / "venv"])
    installer.run([*uv, "pip", "install", "--python", python, "--resolution", "lowest", str(wheel)])
    versions = "import importlib.metadata as m; print(*(m.version(n) for n in ('click', 'platformdirs', 'filelock')))"
    shown = subprocess.run([python, "-c", versions], env=env, capture_output=True, text=True, check=True).stdout
    lowest = {line.partition(">=")[0]: line.partition(">=")[2] for line in DECLARED}
    assert [release(version) for version in shown.split()] == [
        release(lowest[name]) for name in ("click", "platformdirs", "filelock")
    ]
    installer.run([home / "venv/bin/rawr-install", "tour", "--json"])


DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]


def release(version: str) -> tuple[int, ...]:
    """A release as numbers of one length: 8.2 and 8.2.0 are one version."""
    return tuple(int(part) for part in [*version.split("."), "0", "0"][:3])
