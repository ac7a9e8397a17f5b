"""Two users on one machine: me, who is to be robbed, and them. Real ids, real processes; only root can make them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import forked
from tests.support.machine import Machine, Ran, make_workspace

PROJECT = Path(__file__).parents[2]
ME, THEM = 61234, 61235
TOOLKIT = Path(sys.executable).parent


def skip_reason() -> str:
    """Why there cannot be two users here."""
    if os.geteuid() != 0:
        return "only root can be two users"
    if not shutil.which("setpriv"):
        return "needs setpriv (util-linux)"
    python = subprocess.run([*_become(ME), sys.executable, "-c", "import rawr_install"], cwd="/", capture_output=True)
    return "needs a Python that other users can run" if python.returncode else ""


def _become(user: int) -> list[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


class Scene(Machine):
    """My home, and a place of theirs beside it; ``package`` and ``entry_script`` are the toolkit that I use.

    Whatever they want me to run writes into :attr:`proof`.
    """

    def __init__(self, folder: Path, me: int = ME, package: Path = PROJECT) -> None:
        super().__init__(folder)
        self.me, self.package = me, package
        self.theirs = folder / "theirs"
        self.theirs.mkdir()
        self.give(THEM, self.theirs)
        self.pit = folder / "pit"  # where a program that runs as anybody can leave a proof
        self.pit.mkdir()
        self.pit.chmod(0o777)
        self.proof = self.pit / "proof"
        self.program = f"#!/bin/sh\nid -u >> {self.proof}\n"
        self.env |= {"RAWR_EVENTS": "off", "PATH": f"{self.home}/bin:{TOOLKIT}:/usr/bin:/bin"}
        if package != PROJECT:
            self.env |= {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
        (self.home / "bin").mkdir()
        shutil.copy(package / "shims/rawr", self.home / "bin/rawr")
        self.mine(self.home)

    # -- what lies there --------------------------------------------------------

    def give(self, user: int, *paths: Path) -> None:
        subprocess.run(["chown", "-hR", f"{user}:{user}", *map(str, paths)], check=True)

    def mine(self, *paths: Path) -> None:
        self.give(self.me, *paths)

    def checkout(self, root: Path, user: int | None = None) -> Path:
        """A workspace whose CLI leaves a proof; ``user``'s, else mine."""
        make_workspace(root, cli=self.program)
        self.give(self.me if user is None else user, root)
        return root

    def folder_of_mine(self, path: Path) -> Path:
        """For the current folder, which is asked about, too."""
        path.mkdir(parents=True, exist_ok=True)
        self.mine(path)
        return path

    def file(self, path: Path, text: str, user: int | None = None, mode: int = 0o644) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.give(self.me if user is None else user, path)
        return path

    # -- what I do -------------------------------------------------------------------

    def shell_entry(self, *words: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
        """``rawr WORDS`` where there is no toolkit, so that the shell entry decides alone."""
        argv = [*_become(self.me), "/bin/sh", self.home / "bin/rawr", *words]
        return self.run(*argv, cwd=cwd, env={"PATH": "/usr/bin:/bin", **(env or {})})

    def rawr(self, *words: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
        """``rawr WORDS``: the shell entry, and then Python, to which it hands over what is not plain success."""
        done = self.shell_entry(*words, cwd=cwd, env=env)
        return done if self.robbed else self.python("dispatch", *words, cwd=cwd, env=env)

    def toolkit(self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """``rawr-install WORDS --json``."""
        return self.python(*words, "--json", cwd=cwd or self.home, env=env)

    def python(self, *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
        if self.package == PROJECT:
            return Ran(*forked.run(words, cwd, {**self.env, **(env or {})}, self.me))
        return self.run(*_become(self.me), sys.executable, "-P", "-m", "rawr_install", *words, cwd=cwd, env=env)

    def wrapper(self, *words: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
        """``rawr-install WORDS`` by the script that pip has made."""
        return self.run(*_become(self.me), TOOLKIT / "rawr-install", *words, cwd=cwd, env=env)

    def they(self, *argv: str) -> Ran:
        """Something that they do."""
        return self.run(*_become(THEM), *argv, cwd=self.theirs)

    # -- what became of it -----------------------------------------------------------

    @property
    def robbed(self) -> bool:
        """Whether a program of theirs, or one that they could have exchanged, ran as me."""
        return self.proof.exists()


def codes(ran: Ran, names: Sequence[str]) -> bool:
    """Whether the answer carries one of the codes."""
    return any(f"[{name}]" in ran.err or f'"{name}"' in ran.out for name in names)
