"""The ways in which people keep a tool: pipx, uv, and pip in a virtual environment, each in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Machine, Ran

COMMANDS = {"rawr", "rawr-install"}


@dataclass
class Manager:
    """One of them, on ``machine``; packages come from the wheels in ``index`` and from nowhere else."""

    machine: Machine
    index: Path

    @property
    def bin(self) -> Path:
        """The folder where the commands appear."""
        return self.machine.home / ".local/bin"

    @property
    def python(self) -> Path:
        """The interpreter of the environment that the toolkit is in."""
        raise NotImplementedError

    def install(self, what: str | Path = "rawr-install") -> None:
        raise NotImplementedError

    def upgrade(self) -> None:
        raise NotImplementedError

    def uninstall(self) -> None:
        raise NotImplementedError

    def do(self, *argv: str | Path) -> None:
        """Run the manager itself; whatever the caller has set up for pip or uv does not reach it."""
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        done = self.machine.run(*argv, env={**own, "UV_NO_CONFIG": "1"})
        assert done.code == 0, f"{argv}\n{done.out}{done.err}"

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command as a user of this home would, by its name."""
        path = f"{self.bin}:{self.machine.env['PATH']}"
        return self.machine.run(*argv, cwd=cwd, env={"PATH": path, **(env or {})})

    def must(self, *argv: str | Path, cwd: Path | None = None) -> str:
        """What a command says that has to succeed."""
        done = self.run(*argv, cwd=cwd)
        assert done.code == 0, f"{argv}\n{done.out}{done.err}"
        return done.out


class Pipx(Manager):
    @property
    def python(self) -> Path:
        return self.machine.home / ".local/share/pipx/venvs/rawr-install/bin/python"

    def install(self, what: str | Path = "rawr-install") -> None:
        source = f"--no-index --find-links {self.index}"
        self._pipx("install", "--force", "--python", sys.executable, "--pip-args", source, what)

    def upgrade(self) -> None:
        self._pipx("upgrade", "rawr-install")

    def uninstall(self) -> None:
        self._pipx("uninstall", "rawr-install")

    def _pipx(self, *words: str | Path) -> None:
        self.do(sys.executable, "-m", "pipx", *words)


class Uv(Manager):
    @property
    def python(self) -> Path:
        return self.machine.home / ".local/share/uv/tools/rawr-install/bin/python"

    def install(self, what: str | Path = "rawr-install") -> None:
        source = ("--no-index", "--find-links", self.index)
        self._uv("install", "--python", sys.executable, "--no-python-downloads", *source, what)

    def upgrade(self) -> None:
        self._uv("upgrade", "rawr-install")

    def uninstall(self) -> None:
        self._uv("uninstall", "rawr-install")

    def _uv(self, *words: str | Path) -> None:
        self.do(sys.executable, "-m", "uv", "tool", *words)


class Pip(Manager):
    @property
    def bin(self) -> Path:
        return self.machine.home / "a venv/bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def install(self, what: str | Path = "rawr-install") -> None:
        if not self.python.exists():
            self.do(sys.executable, "-m", "venv", self.bin.parent)
        self.do(self.python, "-m", "pip", "install", "--quiet", what)

    def upgrade(self) -> None:
        self.do(self.python, "-m", "pip", "install", "--quiet", "--upgrade", "rawr-install")

    def uninstall(self) -> None:
        self.do(self.python, "-m", "pip", "uninstall", "--quiet", "--yes", "rawr-install")


MANAGERS = {"pipx": Pipx, "uv tool": Uv, "pip, in a folder with a space": Pip}


def dependencies(folder: Path, names: Iterable[str]) -> Path:
    """Wheels of ``names`` and what they need, from where this user takes packages."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *names]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def offer(index: Path, *wheels: Path) -> None:
    """Put wheels on the index."""
    for wheel in wheels:
        shutil.copy(wheel, index)
