"""What the lock's tests share: files by hand, hooks that let a rival in, programs with a fault injected."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rawr_install.ecmascript import now as now
from rawr_install.errors import LockTimeoutError
from rawr_install.state import (
    RepoState,
    RepoStateMutationOptions,
    RepoStateMutationResult,
    failpoints,
    store as state,
    system,
)
from tests.support.peers.actors import Actor

DEAD_PID = 4_194_304 - 7  # just below the largest that Linux gives out; checked by the fixture below


def can_trace() -> bool:
    return bool(shutil.which("strace")) and not subprocess.run(["strace", "true"], capture_output=True).returncode


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def _no_hook_survives() -> Iterator[None]:
    yield
    failpoints.handler = None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace root whose state folder exists."""
    (tmp_path / ".rawr/state").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A workspace root that other users may change; each new pytest session closes pytest's own folder to them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        state_folder = Path(made) / ".rawr/state"
        state_folder.mkdir(parents=True)
        state_folder.chmod(0o777)
        yield Path(made)


@pytest.fixture
def through_fuse(root: Path) -> Iterator[Path]:
    """The same workspace through a FUSE mount that forwards no locks."""
    if shutil.which("bindfs") is None or not os.path.exists("/dev/fuse"):
        pytest.skip("needs bindfs and /dev/fuse")
    place = root.with_name(f"{root.name}-fuse")
    place.mkdir()
    if subprocess.run(["bindfs", str(root), str(place)], capture_output=True).returncode:
        pytest.skip("needs the right to mount FUSE")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


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


LONG_AGO = "2026-01-01T00:00:00.000Z"  # before every process that runs here started


def lease_of(pid: int, acquired_at: str = LONG_AGO) -> str:
    """A peer's lease."""
    return f'{{"pid":{pid},"acquiredAt":"{acquired_at}"}}\n'


def ours(pid: int, acquired_at: str = LONG_AGO, **owner: object) -> str:
    """A lease of our kind, made on this kernel in this pid namespace, but for what ``owner`` says."""
    here = {"boot": system.boot_id(), "pidns": system.pid_namespace(), "host": system.this_host()}
    about = {"kind": "py", "v": 1, "start": 0, **here, "beacon": True, **owner}
    return json.dumps({"pid": pid, "acquiredAt": acquired_at, "owner": about}) + "\n"


@contextmanager
def sleeper() -> Iterator[int]:
    """A living process that has nothing to do with any lock."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def killed_holder(root: Path) -> None:
    """Leave a lock of our kind whose process was killed."""
    with Actor.python() as holder:
        holder.send("hold", root)
        holder.expect("held")
        holder.signal(signal.SIGKILL)
        holder.wait_dead()


def inode(path: Path) -> int:
    return path.lstat().st_ino


def is_refused(root: Path, timeout: float = 0.6) -> bool:
    """Whether a mutation times out and leaves the lock as it is."""
    before = inode(lock_file(root)), lock_file(root).read_bytes()
    with pytest.raises(LockTimeoutError):
        mutate(root, lock_timeout=timeout)
    return (inode(lock_file(root)), lock_file(root).read_bytes()) == before


def add(name: str) -> Callable[[RepoState], RepoState]:
    """A mutator: enable ``name``."""

    def mutator(found: RepoState) -> RepoState:
        found["plugins"]["enabled"].append(name)
        return found

    return mutator


MINE = add("mine")


def mutate(root: Path, change: Callable[[RepoState], Any] = MINE, **options: Any) -> RepoStateMutationResult:
    """With a tenth of the usual grace period: two seconds in a few tests show that the rule is there."""
    return state.mutate_repo_state_atomically(
        root, change, RepoStateMutationOptions(**{"grace_period": 0.2, **options})
    )


def enabled(root: Path) -> list[str]:
    return state.get_repo_state(root)["plugins"]["enabled"]


def once_at(point: str, act: Callable[[], object]) -> list[str]:
    """Run ``act`` when the protocol reaches ``point`` for the first time; the list fills with the points met."""
    met: list[str] = []

    def reached(name: str) -> None:
        met.append(name)
        if name == point and met.count(point) == 1:
            act()

    failpoints.handler = reached
    return met


def leftovers(root: Path) -> list[str]:
    """What lies in the state folder beside the files that belong there."""
    kept = {"state.json", "state.guard", "state.last-good.json", "state.shared"}
    return sorted(name for name in os.listdir(folder(root)) if name not in kept)


def age_leftovers(root: Path) -> None:
    """Make what lies there old enough to be swept."""
    for name in leftovers(root):
        if name != "state.lock":
            os.utime(folder(root) / name, (1, 1))


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
