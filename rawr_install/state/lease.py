"""``state.lock`` when it is ours: a lease prepared, published in one step, withdrawn.

The name is the lock: whoever creates it holds it (``link(2)`` and ``O_EXCL``
admit one), whoever removes it frees it. A lease of ours appears complete, in
one step, and its inode stays locked (``flock``) by its living holder: this
*beacon* goes out with the process, whatever kills it, so that "is the holder
alive" is a question to the kernel and not to a process table, where ids are
used again, containers hide each other, and clocks step.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from dataclasses import dataclass, field
from functools import lru_cache

from rawr_install.atomic import discard, write_all
from rawr_install.ecmascript import now
from rawr_install.state import processes
from rawr_install.state.filesystem import Volume
from rawr_install.state.forks import close_noted, open_noted

_MAKE = os.O_RDWR
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EMLINK, errno.EISDIR, errno.EINVAL}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

Identity = tuple[int, int]


@dataclass(slots=True)
class Place:
    """Where a lease goes, and what is known of that place.

    What the file system can do is found out by trying. ``peers_seen`` is when a
    peer's lease was last met there (monotonic seconds).
    """

    folder: str
    volume: Volume
    unnamed: bool = hasattr(os, "O_TMPFILE")
    links: bool = True
    peers_seen: float = -math.inf
    beacon: bool = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.beacon = self.volume.local
        self.name = os.path.join(self.folder, "state.lock")


class Lease:
    """One lease of ours: prepared under no name, then published, then withdrawn.

    The process that prepared it owns it; in a child of a fork it does nothing.
    """

    __slots__ = ("_serial", "_temporary", "fd", "identity", "owner", "place")

    def __init__(self, place: Place, serial: int) -> None:
        self.place = place
        self.owner = os.getpid()
        self.fd = -1
        self.identity: Identity = (0, 0)
        self._temporary = ""
        self._serial = serial

    def prepare(self) -> None:
        """Write the record and light the beacon, outside every lock; raises OSError."""
        if not self.place.links:
            return  # nothing can be prepared: the file appears under its final name
        self.fd = self._open_unnamed() if self.place.unnamed else self._open_named()
        self._fill()

    def _open_unnamed(self) -> int:
        try:
            return open_noted(self.place.folder, _MAKE | os.O_TMPFILE, 0o644)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self.place.unnamed = False
            return self._open_named()

    def _open_named(self) -> int:
        self._temporary = f"{self.place.name}.{self.owner}.{self._serial}.tmp"
        return open_noted(self._temporary, _MAKE | os.O_CREAT | os.O_EXCL, 0o644)

    def _fill(self) -> None:
        info = os.fstat(self.fd)
        self.identity = (info.st_dev, info.st_ino)
        self._light_beacon()
        write_all(self.fd, record(self.owner, self._serial, self.place.beacon))

    def _light_beacon(self) -> None:
        if self.place.beacon:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.place.beacon = False

    def publish(self) -> bool:
        """Take the name in one step; False when it is taken already. Raises OSError."""
        try:
            if not self.place.links:
                self._create()
            elif self._temporary:
                self._link_named()
            else:
                self._link_unnamed()
        except FileExistsError:
            return False
        return True

    def _link_unnamed(self) -> None:
        # src_dir_fd makes Python call linkat(AT_SYMLINK_FOLLOW); plain link(2) would link the /proc entry itself.
        try:
            os.link(f"/proc/self/fd/{self.fd}", self.place.name, src_dir_fd=self.fd, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:  # no /proc, no links, the folder gone: a named file tells which
            self.place.unnamed = False
            self._close()
            self.prepare()
            self._link_named()

    def _link_named(self) -> None:
        try:
            os.link(self._temporary, self.place.name)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._drop_temporary()
            self._close()
            self.place.links = False
            self._create()

    def _create(self) -> None:
        """Without hard links: create, then write. A crash in between leaves an unreadable lease."""
        self.fd = open_noted(self.place.name, _MAKE | os.O_CREAT | os.O_EXCL, 0o644)
        self._fill()

    def renew(self) -> None:
        """Set the record's time to now, after a wait and before publishing."""
        if self.fd >= 0:
            os.lseek(self.fd, 0, os.SEEK_SET)
            write_all(self.fd, record(self.owner, self._serial, self.place.beacon))

    def is_published(self) -> bool:
        """Whether the name is ours: it leads to the very inode that we prepared, which our descriptor pins."""
        try:
            info = os.lstat(self.place.name)
        except FileNotFoundError:
            return False
        return (info.st_dev, info.st_ino) == self.identity and self.fd >= 0 and os.getpid() == self.owner

    def withdraw(self) -> None:
        """Free the name if it is ours; raises OSError. The beacon burns on until :meth:`close`."""
        if self.is_published():
            os.unlink(self.place.name)

    def close(self) -> None:
        """Put the beacon out."""
        if os.getpid() == self.owner:
            self._close()
            self._drop_temporary()

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_noted(fd)

    def _drop_temporary(self) -> None:
        name, self._temporary = self._temporary, ""
        if name:
            discard(name)


def record(pid: int, serial: int, beacon: bool) -> bytes:
    """The lease's content: the two keys of the wire, and who we are in terms that survive a reused pid."""
    start = f'{{"pid":{pid},"acquiredAt":"{now()}","owner":{{"kind":"py","v":1,"token":"{pid}-{serial}",'
    return (start + _about_us(pid) + (',"beacon":true}}\n' if beacon else ',"beacon":false}}\n')).encode()


@lru_cache(maxsize=1)
def _about_us(pid: int) -> str:
    about = {
        "start": processes.start_ticks(pid),
        "boot": processes.boot_id(),
        "pidns": processes.pid_namespace(),
        "host": processes.host(),
    }
    return json.dumps(about, separators=(",", ":"))[1:-1]
