"""Every way to install that docs/installing.md has a row for: what works, and what refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rawr_install import __version__
from tests.conftest import PROJECT, Machine, Ran, make_workspace
from tests.packaging.managers import COMMANDS, Manager, Pipx, Uv

pytestmark = pytest.mark.slow

SHIM = (PROJECT / "shims/rawr").read_bytes()
VERSION = f"rawr-install {__version__}\n"


def test_a_manager_puts_both_commands_in_place_and_takes_both_away(manager: Manager, wheel: Path) -> None:
    manager.install(wheel)
    assert set(os.listdir(manager.bin)) >= COMMANDS
    assert (manager.bin / "rawr").read_bytes() == SHIM
    check_that_both_work(manager)
    manager.uninstall()
    assert not [name for name in os.listdir(manager.bin) if name.startswith("rawr")]


def check_that_both_work(manager: Manager) -> None:
    """``rawr-install`` starts, ``rawr`` dispatches, ``rawr`` finds its toolkit; and so does a copy of the entry."""
    workspace, outside = make_workspace(manager.machine.folder / "ws"), manager.machine.folder
    assert manager.must("rawr-install", "--version", cwd=outside) == VERSION
    assert manager.must("rawr", "--version", cwd=outside) == VERSION
    assert manager.must("rawr", "--version", cwd=workspace / "plugins") == "workspace ws\nargument --version\n"
    assert manager.must("rawr", "install", "--help", cwd=workspace).startswith("Usage: rawr-install install")
    manager.must("rawr-install", "install", "--mode", "shim", "--bin-dir", outside / "copied")
    # The copy finds the toolkit by the path that was written into it, without PATH or a sibling.
    assert manager.machine.run(outside / "copied/rawr", "--version", cwd=outside).out == VERSION


@pytest.mark.parametrize("kind", [Pipx, Uv])
def test_where_a_manager_put_the_entry_on_path_install_has_nothing_to_do(
    kind: type[Manager], machine: Machine, index: Path, wheel: Path
) -> None:
    manager = kind(machine, index)
    manager.install(wheel)
    assert "Nothing to do" in manager.must("rawr-install", "install", cwd=make_workspace(machine.folder / "ws"))
    assert (manager.bin / "rawr").read_bytes() == SHIM


def test_an_editable_install_works(machine: Machine) -> None:
    folder, uv = machine.home / "venv", [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True, timeout=60)
    subprocess.run([*uv, "pip", "install", "--python", folder / "bin/python", "-e", PROJECT], check=True, timeout=300)
    check_that_both_work(In(machine, machine.folder, folder / "bin"))


class In(Manager):
    """What somebody else has installed into a folder."""

    def __init__(self, machine: Machine, index: Path, folder: Path) -> None:
        super().__init__(machine, index)
        self.folder = folder

    @property
    def bin(self) -> Path:
        return self.folder


def test_one_file_made_by_shiv_works_and_its_entry_is_made_by_install(
    machine: Machine, index: Path, wheel: Path
) -> None:
    pytest.importorskip("shiv")
    program = machine.home / "bin/rawr-install"
    program.parent.mkdir()
    made = [
        sys.executable,
        "-m",
        "shiv",
        "-q",
        "-o",
        program,
        "-c",
        "rawr-install",
        "--no-index",
        "--find-links",
        index,
    ]
    subprocess.run([*made, wheel], check=True, timeout=300)
    assert os.listdir(program.parent) == ["rawr-install"]
    manager = In(machine, index, program.parent)
    manager.must("rawr-install", "install", "--bin-dir", program.parent)
    check_that_both_work(manager)


@pytest.mark.parametrize("kind", [Pipx, Uv])
def test_what_a_cache_holds_runs_but_is_not_installed_and_the_remedy_installs_it(
    kind: type[Manager], machine: Machine, index: Path, wheel: Path
) -> None:
    manager, root = kind(machine, index), make_workspace(machine.folder / "ws")
    settings, tools = machine.home / ".config/uv/uv.toml", machine.folder / "tools"
    for folder in (settings.parent, tools):
        folder.mkdir(parents=True)
    settings.write_text(f'no-index = true\nfind-links = ["{index}"]\n')
    for name in ("pipx", "uv", "uvx"):
        (tools / name).symlink_to(Path(sys.executable).parent / name)
    offline = {
        "PATH": f"{manager.bin}:{tools}:{machine.env['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
    }
    offline |= {"UV_PYTHON": sys.executable, "PIPX_DEFAULT_PYTHON": sys.executable}
    run = ("pipx", "run", "--spec", wheel) if kind is Pipx else ("uvx", "--from", wheel)
    started = machine.run(*run, "rawr-install", "--version", env=offline)
    assert started.out == VERSION, started.err
    refused = machine.run(*run, "rawr-install", "install", "--json", cwd=root, env=offline)
    assert (refused.code, refused.json["error"]["code"]) == (1, "TOOLKIT_NOT_INSTALLED"), refused
    assert machine.run(*run, "rawr-install", "tour", env=offline).code == 0
    remedy = refused.json["error"]["details"]["remedy"]["argv"]
    assert str(wheel) in remedy and machine.run(*remedy, env=offline).code == 0
    assert "Nothing to do" in manager.must("rawr-install", "install", cwd=root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs for everybody")
def test_pipx_install_global_serves_every_user(everybody: Machine, index: Path, wheel: Path) -> None:
    ordinary = Ordinary(everybody.folder / "user")
    python = ordinary.a_python()
    places = {"PIPX_GLOBAL_HOME": str(everybody.folder / "opt"), "PIPX_GLOBAL_BIN_DIR": str(everybody.folder / "bin")}
    words = ("install", "--global", "--python", python, "--pip-args", f"--no-index --find-links {index}")
    done = everybody.run(sys.executable, "-m", "pipx", *words, wheel, env=places)
    assert done.code == 0, done.err
    manager = In(ordinary, index, everybody.folder / "bin")
    workspace = make_workspace(ordinary.folder / "ws")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", ordinary.folder], check=True)
    assert manager.must("rawr", "hello", cwd=workspace) == "workspace ws\nargument hello\n"
    assert manager.must("rawr", "--version", cwd=ordinary.home) == VERSION
    assert "Nothing to do" in manager.must("rawr-install", "install", cwd=workspace)
    manager.must("rawr-install", "activate", cwd=workspace)
    assert (ordinary.home / ".rawr/global-rawr-owner-path").stat().st_uid == USER


USER = 65534


class Ordinary(Machine):
    """A machine of an ordinary user."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        become = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        return super().run(*become, *argv, cwd=cwd, env=env)

    def a_python(self) -> str:
        """An interpreter that this user can start; root's own is often out of reach."""
        for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
            if self.run("sh", "-c", f"'{python}' -c 'import tomllib'").code == 0:
                return python
        pytest.skip("this needs setpriv (util-linux) and a Python (3.11 or later) that other users can run")


@pytest.fixture
def everybody() -> Iterator[Machine]:
    # Not tmp_path: pytest's folders let nobody else in.
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Machine(Path(os.path.realpath(folder)))
