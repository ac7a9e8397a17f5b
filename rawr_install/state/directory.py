"""A state folder as this process knows it."""

from __future__ import annotations

import errno
import os
import threading

from rawr_install.atomic import sync_folder
from rawr_install.errors import StateError
from rawr_install.state.filesystem import volume_of
from rawr_install.state.guard import Turnstile
from rawr_install.state.lease import Identity, Place
from rawr_install.state.leftovers import sweep


class Folder:
    """A state folder as this process knows it: its lock within the process, its turnstile, what works there."""

    def __init__(self, path: str, info: os.stat_result) -> None:
        self.path = path
        self.state_path = os.path.join(path, "state.json")
        self.identity: Identity = (info.st_dev, info.st_ino)
        self.place = Place(path, volume_of(path), info)
        self.turnstile = Turnstile(self.place)
        self.mutex = threading.RLock()


_folders: dict[str, Folder] = {}
_MOST = 64


def folder_at(path: str) -> Folder:
    """The folder at a real path, made when missing, and swept on first use; raises StateError."""
    try:
        info = _stat_or_make(path)
        known = _folders.get(path)
        if known is not None and known.identity == (info.st_dev, info.st_ino):
            return known
        _forget_idle(path if known else "")
        made = _folders[path] = Folder(path, info)
        sweep(path, made.place.volume)
        return made
    except OSError as error:
        raise failed(path, error) from None


def _stat_or_make(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)
        sync_folder(os.path.dirname(path))
        sync_folder(os.path.dirname(os.path.dirname(path)))
        return os.stat(path)


def _forget_idle(path: str) -> None:
    """Close what is known of ``path``, and of every folder when they have become many: each holds a descriptor."""
    for name in [path] if path else [*_folders] if len(_folders) >= _MOST else []:
        folder = _folders[name]
        if folder.mutex.acquire(blocking=False):
            folder.turnstile.close()
            del _folders[name]
            folder.mutex.release()


def _forget_everything() -> None:
    _folders.clear()


os.register_at_fork(after_in_child=_forget_everything)


def failed(path: str, error: OSError) -> StateError:
    """The error for a system call that failed before anything was changed."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    where = os.fspath(error.filename) if isinstance(error.filename, str) else path
    return StateError(
        f"The state in {path} could not be changed: {where}: {os.strerror(error.errno or 0)} ({name}).",
        code="STATE_WRITE_FAILED",
        hint=f"look at the folder with: ls -la '{path}' && df '{path}'",
        details={"path": path, "errno": name},
    )
