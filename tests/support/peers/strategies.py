"""Other ways to guard the same change of the same file, for comparison: the floor, and ``filelock`` around it.

Each is a function ``(folder, change, durable)`` that runs ``change`` on the list of enabled ids under its lock. The
work inside is the same JSON read, change, temporary file and rename for all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

Change = Callable[[list[str]], list[str]]


def rewrite(folder: Path, change: Change, durable: bool) -> None:
    """Read, change and replace ``state.json``; with ``durable`` the file and the folder are synced."""
    path = f"{folder}/state.json"
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    state["plugins"]["enabled"] = sorted(change(state["plugins"]["enabled"]))
    staged = f"{path}.{os.getpid()}.tmp"
    with open(staged, "w", encoding="utf-8") as file:
        file.write(json.dumps(state, indent=2) + "\n")
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.rename(staged, path)
    if durable:
        os.fsync(_folder(str(folder)))


@cache
def _folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@cache
def _guard(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def floor(folder: Path, change: Change, durable: bool) -> None:
    """A blocking ``flock`` on a descriptor that stays open: nothing that waits in order can be cheaper."""
    fd = _guard(f"{folder}/floor.guard")
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        rewrite(folder, change, durable)
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


@cache
def _file_lock(name: str, path: str) -> Any:
    import filelock

    return getattr(filelock, name)(path)


def file_lock(folder: Path, change: Change, durable: bool) -> None:
    with _file_lock("FileLock", f"{folder}/filelock.guard"):
        rewrite(folder, change, durable)


def soft_file_lock(folder: Path, change: Change, durable: bool) -> None:
    with _file_lock("SoftFileLock", f"{folder}/soft.guard"):
        rewrite(folder, change, durable)


STRATEGIES: dict[str, Callable[[Path, Change, bool], None]] = {
    "floor": floor,
    "FileLock": file_lock,
    "SoftFileLock": soft_file_lock,
}
