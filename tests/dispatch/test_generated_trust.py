"""Generated layouts of owners, modes, links, homes and grants: the shell entry never runs what Python refuses."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawr_install.dispatch.decide import decide
from rawr_install.errors import DispatchError
from tests.dispatch.scene import SHELLS, Scene

ME, OTHER = 12345, 23456
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users"),
]


class Layout:
    """One machine: ``me`` (root or an ordinary user), a path to a workspace, and what may let it run."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.s, self.random, self.links = scene, random.Random(seed), 0
        self.me = self.random.choice((0, ME, ME))
        # How often something is not plainly the user's: seldom, or nothing would ever run.
        self.oddity = self.random.choice((0.0, 0.04, 0.15, 0.4))
        self.own(scene.folder, scene.bin, scene.home)

    def odd(self) -> bool:
        return self.random.random() < self.oddity

    def own(self, *paths: Path) -> None:
        """Give each to somebody, with a mode and now and then a sticky bit."""
        for path in paths:
            owner = self.random.choice((0, OTHER, ME)) if self.odd() else self.me
            os.chown(path, owner, owner, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(self.random.choice((0o777, 0o1777, 0o1755, 0o775, 0o711)) if self.odd() else 0o755)

    def folder(self, path: Path) -> Path:
        """Make ``path``; now and then as a link to a folder that lies in one of its own."""
        if self.odd():
            self.links += 1
            above = self.s.folder / f"elsewhere{self.links}"
            (above / "real").mkdir(parents=True)
            path.symlink_to(above / "real")
            self.own(above, above / "real")
        else:
            path.mkdir()
        self.own(path)
        return path

    def workspace(self, root: Path) -> Path:
        (root / "package.json").write_text("{}")
        (root / "plugins").mkdir()
        at = root
        for name in ("apps", "cli", "bin"):
            at = self.folder(at / name)
        cli = at / "run.js"
        cli.write_text("#!/bin/sh\necho ran\n")
        cli.chmod(0o755)
        if self.odd():
            cli.rename(self.s.folder / "real-cli")
            cli.symlink_to(self.s.folder / "real-cli")
            self.own(self.s.folder / "real-cli")
        owner = self.random.choice((0, OTHER)) if self.odd() else self.me
        os.chown(cli, owner, owner, follow_symlinks=False)
        return root

    def build(self) -> None:
        at, chain = self.s.folder, []
        for number in range(self.random.randint(1, 4)):
            at = self.folder(at / f"d{number}")
            chain.append(at)
        root = self.workspace(at)
        way = self.random.choice(("stand", "stand", "variable", "owner"))
        cwd = self.folder((root if way == "stand" else self.s.folder) / "here")
        self.s.cwd = cwd
        home = self.random.choice((self.s.home, self.s.home, *chain))
        self.s.env["HOME"] = self.random.choice((str(home),) * 5 + (f"{home}/", os.path.realpath(home), "/", ""))
        self.policy(Path(home), way, root, chain)
        if way == "variable":
            self.s.env["RAWR_WORKSPACE_ROOT"] = self.random.choice((str(root), os.path.realpath(root), f"{root}/"))

    def policy(self, home: Path, way: str, root: Path, chain: list[Path]) -> None:
        places = [os.path.realpath(place) for place in (root, *chain)] + [str(root), "/", "*", "", "ws", f"{root}/"]
        if self.random.random() < 0.3:
            self.s.env["RAWR_TRUSTED_WORKSPACES"] = ":".join(self.random.sample(places, 2))
        dot_rawr = home / ".rawr"
        dot_rawr.mkdir()
        files = [dot_rawr]
        for name, content, wanted in (
            ("trusted-workspaces", "\n".join(self.random.sample(places, 2)), self.random.random() < 0.3),
            ("global-owner-fallback", "enabled\n", way == "owner"),
            ("global-rawr-owner-path", f"{self.random.choice((str(root), os.path.realpath(root)))}\n", way == "owner"),
        ):
            if wanted:
                (dot_rawr / name).write_text(content)
                files.append(dot_rawr / name)
        self.own(*files)


def in_child(user: int, call: Callable[[], str]) -> str:
    """What ``call`` answers in a process of ``user``'s."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "died"
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            answer = call()
        finally:
            os.write(write, answer.encode())
            os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def python_says(s: Scene, user: int) -> str:
    def ask() -> str:
        os.environ.clear()
        os.environ.update(s.env)
        try:
            os.chdir(s.cwd)
            return decide(("x",), os.getcwd(), s.env).action
        except DispatchError as error:
            return error.code
        except OSError:
            return "not entered"

    return in_child(user, ask)


def shells() -> Iterator[tuple[str, str]]:
    for name, (program, _) in SHELLS.items():
        if shutil.which(program):
            yield name, program


def shell_runs(s: Scene, shell: str, user: int) -> bool:
    try:
        done = subprocess.run(
            [s.entry(shell), "x"], cwd=s.cwd, env=s.env, user=user, group=user, extra_groups=[], capture_output=True
        )
    except PermissionError:  # the current folder, or the entry, is out of reach
        return False
    return done.stdout == b"ran\n"


def test_no_shell_runs_what_python_refuses(count: Callable[[int, int], int]) -> None:
    installed, seen = list(shells()), {"both": 0, "Python alone": 0, "none": 0}
    assert len(installed) > 1
    for seed in range(count(80, 2700)):
        with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
            scene = Scene(Path(os.path.realpath(folder)))
            scene.toolkit = ""  # what the entry leaves to Python is nothing here
            layout = Layout(scene, seed)
            layout.build()
            said = python_says(scene, layout.me)
            ran = {name for name, _ in installed if shell_runs(scene, name, layout.me)}
        assert said == "run" or not ran, f"layout {seed}: {said}, and run by {ran}"
        assert ran in (set(), {name for name, _ in installed}), f"layout {seed}: run only by {ran}"
        seen["both" if ran else "Python alone" if said == "run" else "none"] += 1
    assert min(seen.values()) >= 8, seen
