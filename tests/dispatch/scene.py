"""One small machine for one dispatch case, and the ways to run ``rawr`` in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.distribution import PROJECT
from tests.support.machine import make_workspace

SHIM = PROJECT / "shims/rawr"
NOBODY = 65534
# What pip would write: the package is found wherever this interpreter finds it.
TOOLKIT = f"""#!{{python}}
import sys
sys.path.insert(0, {str(PROJECT)!r})
from rawr_install.__main__ import main
sys.argv[1:1] = {{words}}
raise SystemExit(main())
"""

# Name -> the program and option that the first line of the shell entry names.
SHELLS = {
    "dash": ("dash", ""),
    "bash": ("bash", ""),
    "bash-posix": ("bash", "--posix"),
    "busybox": ("busybox", "ash"),
    "zsh": ("zsh", ""),
    "mksh": ("mksh", ""),
    "ksh": ("ksh", ""),
    "yash": ("yash", "--posixly-correct"),
}
TWIN = "twin"

CLI = """#!/bin/sh
printf 'workspace %s\\n' {name}
for word; do printf '<%s>' "$word"; done
"""


@cache
def python_for(user: int | None) -> str:
    """An interpreter that ``user`` may start: root's own is often out of another user's reach."""
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import rawr_install.dispatch.main"
        try:
            if python and subprocess.run([python, "-c", code], user=user, capture_output=True).returncode == 0:
                return python
        except PermissionError:
            continue
    pytest.skip(f"user {user} can start no Python that can import the package")


@dataclass(frozen=True)
class Answer:
    """What a caller of ``rawr`` sees: exit code, stdout, and the error code on stderr."""

    code: int
    out: str
    error: str
    err: str

    @property
    def decision(self) -> tuple[int, str, str]:
        return self.code, self.out, self.error


class Scene:
    """A folder, a home, an environment, a current folder and words; cases set them up, :meth:`run` runs ``rawr``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self.home = folder / "home"
        self.home.mkdir()
        self.cwd = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.env = {"HOME": str(self.home), "LANG": "C.UTF-8", "PATH": f"{self.bin}:/usr/bin:/bin"}
        self.argv: list[str] = ["build", "--fast"]
        self.user: int | None = None
        self.vanishes = False
        self.finish: Callable[[Path], object] = lambda entry: None
        self.toolkit: str | None = None
        self.edit_entry: Callable[[str], str] = str

    # -- building -----------------------------------------------------------------

    def workspace(self, name: str, cli: str | None = CLI) -> Path:
        """A workspace that names itself and its arguments; ``cli=None`` makes a look-alike."""
        named = cli and cli.replace("{name}", os.path.basename(name).replace("\n", "-"))
        return make_workspace(self.folder / name, cli=named)

    def cli(self, root: Path) -> Path:
        return root / "apps/cli/bin/run.js"

    def stand(self, folder: Path) -> Path:
        """Make ``folder`` if need be, and let ``rawr`` run in it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.cwd = folder
        return folder

    def dot_rawr(self, name: str, data: bytes | str) -> Path:
        path = self.home / ".rawr" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def own(self, data: bytes | str | Path) -> Path:
        return self.dot_rawr("global-rawr-owner-path", f"{data}\n" if isinstance(data, Path) else data)

    def give_away(self, *paths: Path) -> None:
        for path in paths:
            os.chown(path, NOBODY, NOBODY)

    # -- running ------------------------------------------------------------------

    def entry(self, runner: str) -> Path:
        """Put ``rawr`` and the toolkit into the bin folder; ``rawr`` is the shell entry, or the twin."""
        path = self.bin / "rawr"
        if runner == TWIN:
            self._script(path, TOOLKIT.format(python=python_for(self.user), words=["dispatch"]))
        else:
            text = self.edit_entry(SHIM.read_text().split("\n", 1)[1])
            self._script(path, f"#!{self.interpreter(runner)}\n{text}")
        if self.toolkit is None:
            self._script(self.bin / "rawr-install", TOOLKIT.format(python=python_for(self.user), words=[]))
        elif self.toolkit:
            python = python_for(self.user)
            self._script(self.bin / "rawr-install", self.toolkit.replace("{python}", python).replace("{words}", "[]"))
        return path

    def _script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def interpreter(self, runner: str) -> str:
        program, option = SHELLS[runner]
        found = shutil.which(program)
        assert found is not None
        if program == "zsh":  # zsh is in its sh mode when it is called sh
            link = self.folder / "sh"
            if not link.exists():
                link.symlink_to(found)
            found = str(link)
        return f"{found} {option}".strip()

    def shim(self, entry: Path) -> Path:
        """The shell entry itself, also where the twin stands in its place."""
        return entry if b"shell entry" in entry.read_bytes() else SHIM

    def run(self, runner: str) -> Answer:
        entry = self.entry(runner)
        self.finish(entry)
        # A current folder that is gone: entered by a shell, which then removes it.
        leave = ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh"] if self.vanishes else []
        done = subprocess.run(
            [*leave, entry, *self.argv],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            user=self.user,
        )
        err = done.stderr.decode("utf-8", "surrogateescape")
        codes = re.findall(r"\[([A-Z_]{4,})\]$", err, re.MULTILINE)
        return Answer(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), " ".join(codes), err)
