"""One reading of ``state.json``, pinned: what was read, and whether that is still what stands there."""

from __future__ import annotations

import errno
import json
import os
import shlex
import stat
from collections.abc import Callable
from typing import TypeVar

from rawr_install.atomic import stage_file
from rawr_install.errors import StateCorruptError, StateUnreadableError, os_error_name
from rawr_install.state.system import filesystem_of

Read = TypeVar("Read")

_TRIES = 10
LIMIT = 64 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Snapshot:
    """The file at ``path`` as read: ``data`` is None where there is none.

    The descriptor stays open: it keeps the inode's number from being used
    again, and keeps the work of freeing the old file out of the time under lock.
    """

    __slots__ = ("data", "fd", "info", "target")

    def __init__(self, path: str) -> None:
        """Read the file; raises StateUnreadableError. A symbolic link is followed, and will be written through."""
        self.target = path
        self.fd = -1
        self.info: os.stat_result | None = None
        self.data: bytes | None = None
        try:
            self._read()
        except OSError as error:
            self.close()
            raise unreadable(path, os_error_name(error)) from None
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        try:
            self.fd = self._open()
        except FileNotFoundError:
            return
        self.info = os.fstat(self.fd)
        if not stat.S_ISREG(self.info.st_mode):
            raise unreadable(self.target, "not a regular file")
        if self.info.st_size > LIMIT:
            raise unreadable(self.target, f"larger than {LIMIT >> 20} MiB")
        self.data = _read_all(self.fd, self.info.st_size)

    def _open(self) -> int:
        try:
            return os.open(self.target, _READ | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        self.target = os.path.realpath(self.target)
        return os.open(self.target, _READ)

    def is_current(self) -> bool:
        """Whether nobody has replaced, changed, made or removed the file since."""
        try:
            now = os.stat(self.target)
        except FileNotFoundError:
            return self.info is None
        then = self.info
        return then is not None and _version(now) == _version(then)

    def stage(self, data: bytes, durable: bool) -> str:
        """Write ``data`` to a temporary file beside the target, with the old mode and owner; raises OSError."""
        info = self.info
        if info is None:
            return stage_file(self.target, data, None, durable)
        return stage_file(self.target, data, stat.S_IMODE(info.st_mode), durable, (info.st_uid, info.st_gid))

    def close(self) -> None:
        """Let the old file go."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            try:
                os.close(fd)
            except OSError:
                pass  # nothing was written through it; it is free whatever close(2) says


def whole(path: str) -> Snapshot:
    """The file read as something that is JSON, as far as that helps; raises StateUnreadableError.

    Through FUSE a reader may see a new file with the length of the one before it. Opened again at once it is whole;
    pauses make it worse.
    """
    for _ in range(_TRIES - 1):
        snapshot = Snapshot(path)
        if snapshot.data is None or _is_json(snapshot.data):
            return snapshot
        snapshot.close()
    return Snapshot(path)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def use(path: str, reader: Callable[[bytes | None], Read]) -> Read:
    """What ``reader`` makes of the file's content, without a lock; raises StateUnreadableError, and what it raises.

    Where the directory is not local, what it calls corrupt is read again (:func:`whole`).
    """
    snapshot = Snapshot(path)
    snapshot.close()
    try:
        return reader(snapshot.data)
    except StateCorruptError:
        if filesystem_of(os.path.dirname(path)).local:
            raise
    snapshot = whole(path)
    snapshot.close()
    return reader(snapshot.data)


def _version(info: os.stat_result) -> tuple[int, ...]:
    return info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size


def _read_all(fd: int, size: int) -> bytes:
    data = os.read(fd, size + 1)
    if len(data) == size:  # one more was asked for: that is the end
        return data
    while more := os.read(fd, 1 << 16):
        data += more
    return data


def unreadable(path: str, reason: str) -> StateUnreadableError:
    """The error for a state file that is there and cannot be read."""
    return StateUnreadableError(
        f"{path} cannot be read ({reason}).",
        hint=f"look at it with: ls -ld {shlex.quote(path)}",
        details={"path": path},
    )
