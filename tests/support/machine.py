"""A throw-away home and the workspaces in it: the one way to make either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forked

LINK = ("--mode", "bun-symlink")  # a link is never chosen for the user: whoever tests one asks for it
CLI_SCRIPT = """#!/bin/sh
printf 'workspace %s\\n' "{name}"
printf 'argument %s\\n' "$@"
"""


def make_workspace(root: Path, *, cli: str | None = CLI_SCRIPT, dependencies: int = 9) -> Path:
    """A workspace whose CLI is a plain sh program that says its name and arguments; ``cli=None`` leaves it out."""
    (root / "plugins").mkdir(parents=True)
    (root / "package.json").write_text(json.dumps({"name": root.name, "private": True}) + "\n")
    (root / "apps/cli/bin").mkdir(parents=True)
    wanted = {f"@rawr/dep-{number}": "workspace:*" for number in range(dependencies)}
    (root / "apps/cli/package.json").write_text(json.dumps({"name": "@rawr/cli", "dependencies": wanted}) + "\n")
    if cli is not None:
        script = root / "apps/cli/bin/run.js"
        script.write_text(cli.replace("{name}", root.name))
        script.chmod(0o755)
    return root


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Machine:
    """A throw-away home with its own environment; ``rawr_install(...)`` runs the real command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.bun_bin = self.home / ".bun/bin"
        self.env = {"HOME": str(self.home), "PATH": f"{self.bun_bin}:/usr/bin:/bin", "LANG": "C.UTF-8"}

    @property
    def entry(self) -> Path:
        return self.bun_bin / "rawr"

    @property
    def owner_file(self) -> Path:
        return self.home / ".rawr/global-rawr-owner-path"

    def workspace(self, name: str, **options: Any) -> Path:
        return make_workspace(self.folder / name, **options)

    def own(self, path: Path | str) -> None:
        """Write the owner file by hand, as the old scripts did."""
        self.owner_file.parent.mkdir(exist_ok=True)
        self.owner_file.write_text(f"{path}\n")

    def link(self, workspace: Path) -> None:
        """Make the Bun-global link by hand, as the old scripts did."""
        self.bun_bin.mkdir(parents=True, exist_ok=True)
        self.entry.unlink(missing_ok=True)
        self.entry.symlink_to(workspace / "apps/cli/bin/run.js")

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run any program in this machine's environment; stdin is empty."""
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd or self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def rawr_install(self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run ``rawr-install`` with this interpreter's package: forked off a warm server where that is the same."""
        environ = {**self.env, **(env or {})}
        if type(self).run is not Machine.run or not forked.can_fork(environ):
            return self.rawr_install_process(*words, cwd=cwd, env=env)
        return Ran(*forked.run(words, cwd or self.folder, environ))

    def rawr_install_process(
        self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Ran:
        """The same as a new process, start-up and all."""
        return self.run(sys.executable, "-m", "rawr_install", *words, cwd=cwd, env=env)

    def tree(self) -> dict[str, str]:
        """Everything under the machine's folder, for "nothing was written": kind, mode, size or target, mtime."""
        return snapshot(self.folder)


def snapshot(folder: Path) -> dict[str, str]:
    """A comparable picture of a folder: path -> kind, mode, content identity."""
    picture = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        shown = os.readlink(path) if path.is_symlink() else f"{info.st_size} {info.st_mtime_ns}"
        picture[str(path.relative_to(folder))] = f"{info.st_mode:o} {info.st_ino} {shown}"
    return picture
