"""A state directory: what works there, what may be made there, and what others left there.

Also fork safety. A kernel lock belongs to the open file, which a child shares:
it would keep its dead parent's liveness lock and its place in the queue taken.
``O_CLOEXEC`` closes such descriptors when a child execs; those opened here are
closed in one that does not.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import threading
from dataclasses import dataclass, field

from rawr_install.atomic import discard
from rawr_install.errors import StateError, os_error_name, os_error_reason
from rawr_install.state.system import Filesystem, filesystem_of, is_dead, time_at

Identity = tuple[int, int]

_OLD = 60.0  # seconds
_TEMPORARY = re.compile(r"\.?state\.(?:json\.|last-good\.json\.|lock\.|lock\.stale\.)?(\d+)\.[0-9a-f.]+(?:\.tmp)?")


@dataclass(slots=True)
class Directory:
    """One state directory.

    What the file system can do is found out by trying: ``unnamed`` (files without a name), ``links``, ``liveness``
    (kernel locks that can be believed). ``peers_seen`` is when a peer's lease was last met there (monotonic seconds).
    ``made`` is the directory itself: what we make there is nobody's business who cannot change the directory, and its
    owner's where we are root.
    """

    path: str
    filesystem: Filesystem
    made: os.stat_result | None = None
    unnamed: bool = hasattr(os, "O_TMPFILE")
    links: bool = True
    peers_seen: float = -math.inf
    liveness: bool = field(init=False)
    state_path: str = field(init=False)
    lock_path: str = field(init=False)

    def __post_init__(self) -> None:
        self.liveness = self.filesystem.local
        self.state_path = f"{self.path}/state.json"
        self.lock_path = f"{self.path}/state.lock"

    @classmethod
    def at(cls, path: str) -> Directory:
        """The directory at a real path, where nothing will be made."""
        return cls(path, filesystem_of(path))

    @property
    def mode(self) -> int:
        """The mode of a new file here."""
        return 0o644 if self.made is None or self.made.st_mode & 0o022 else 0o600

    def hand_over(self, fd: int) -> os.stat_result:
        """Let a file of ours be for its directory's users alone: whoever can read a lock file can hold it.

        Also one that an older version made; and as root we would lock the directory's owner out of it.
        """
        info = os.fstat(fd)
        if self.made is None:
            return info
        try:
            if info.st_uid == 0 != self.made.st_uid:
                os.fchown(fd, self.made.st_uid, self.made.st_gid)
            if info.st_mode & 0o777 & ~self.mode and info.st_nlink <= 1:
                os.fchmod(fd, self.mode)
        except OSError:
            pass  # another user's, or a root that may not give files away
        return info

    def sweep_temporary_files(self) -> int:
        """Remove the temporary files that dead processes left more than a minute ago; returns how many.

        Younger ones stay: what is not a process here may be a peer's in a container, or on another machine.
        """
        matches = (_TEMPORARY.fullmatch(name) for name in os.listdir(self.path))
        left = [f"{self.path}/{match[0]}" for match in matches if match and is_dead(int(match[1]))]
        now = time_at(self.path, self.filesystem) if left else 0.0
        old = [path for path in left if _age(path, now) > _OLD]
        for path in old:
            discard(path)
        return len(old)


def _age(path: str, now: float) -> float:
    try:
        return now - os.lstat(path).st_mtime
    except OSError:
        return 0.0


def failed(path: str, error: OSError) -> StateError:
    """The error for a system call that failed before anything was changed."""
    where = os.fspath(error.filename) if isinstance(error.filename, str) else path
    there = path
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    there = shlex.quote(there)
    return StateError(
        f"The state in {path} could not be changed: {where}: {os_error_reason(error)}.",
        code="STATE_WRITE_FAILED",
        hint=f"look at the folder with: ls -lad {there} && df {there} && df -i {there}",
        details={"path": path, "errno": os_error_name(error)},
    )


# -- fork safety -----------------------------------------------------------------

_birth = threading.RLock()  # no fork between opening a descriptor and noting it
_noted: set[int] = set()


def open_noted(path: str, flags: int, mode: int = 0o666) -> int:
    """``os.open`` of a descriptor that no child inherits; raises OSError."""
    with _birth:
        fd = os.open(path, flags | os.O_CLOEXEC, mode)
        _noted.add(fd)
        return fd


def close_noted(fd: int) -> None:
    """Close such a descriptor."""
    with _birth:
        _noted.discard(fd)
        try:
            os.close(fd)
        except OSError:
            pass  # nothing was written through it that matters; it is free whatever close(2) says


def _in_child() -> None:
    global _birth
    _birth = threading.RLock()
    for fd in _noted:
        os.close(fd)
    _noted.clear()


os.register_at_fork(before=lambda: _birth.acquire(), after_in_parent=lambda: _birth.release(), after_in_child=_in_child)
