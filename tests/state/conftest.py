"""What the lock's tests share: files by hand, hooks that let a rival in, programs with a fault injected."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rawr_install.state import (
    RepoState,
    RepoStateMutationOptions,
    RepoStateMutationResult,
    failpoints as hooks,
    store as state,
)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

DEAD_PID = 4_194_304 - 7  # just below the largest that Linux gives out; checked by the fixture below


def can_trace() -> bool:
    return bool(shutil.which("strace")) and not subprocess.run(["strace", "true"], capture_output=True).returncode


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def _no_hook_survives() -> Iterator[None]:
    yield
    hooks.hook = None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace root whose state folder exists."""
    (tmp_path / ".rawr/state").mkdir(parents=True)
    return tmp_path


def folder(root: Path) -> Path:
    return root / ".rawr/state"


def lock_file(root: Path) -> Path:
    return folder(root) / "state.lock"


def leave_lock(root: Path, content: str | bytes, age: float = 0.0) -> Path:
    """An abandoned lock, ``age`` seconds old by its time stamp."""
    path = lock_file(root)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if age:
        now = path.stat().st_mtime - age
        os.utime(path, (now, now))
    return path


def lease_of(pid: int) -> str:
    """A peer's lease."""
    return f'{{"pid":{pid},"acquiredAt":"2026-01-01T00:00:00.000Z"}}\n'


def add(name: str) -> Callable[[RepoState], RepoState]:
    """A mutator: enable ``name``."""

    def mutator(found: RepoState) -> RepoState:
        found["plugins"]["enabled"].append(name)
        return found

    return mutator


MINE = add("mine")


def mutate(root: Path, change: Callable[[RepoState], Any] = MINE, **options: Any) -> RepoStateMutationResult:
    return state.mutate_repo_state_atomically(root, change, RepoStateMutationOptions(**options))


def enabled(root: Path) -> list[str]:
    return state.get_repo_state(root)["plugins"]["enabled"]


def once_at(point: str, act: Callable[[], object]) -> list[str]:
    """Run ``act`` when the protocol reaches ``point`` for the first time; the list fills with the points met."""
    met: list[str] = []

    def reached(name: str) -> None:
        met.append(name)
        if name == point and met.count(point) == 1:
            act()

    hooks.hook = reached
    return met


def litter(root: Path) -> list[str]:
    """What lies in the state folder beside the files that belong there."""
    kept = {"state.json", "state.guard", "state.last-good.json"}
    return sorted(name for name in os.listdir(folder(root)) if name not in kept)


def program(code: str, *before: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, under the words ``before`` (strace, unshare)."""
    return subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def strace(*words: str) -> tuple[str, ...]:
    return ("strace", "-f", "-qq", *words)
