"""``state.lock`` when it is ours: a lease prepared, published in one step, withdrawn.

The name is the lock: whoever creates it holds it (``link(2)`` and ``O_EXCL``
admit one), whoever removes it frees it. A lease of ours appears complete, in
one step, and its inode stays locked (``flock``) by its living holder: the
kernel frees this *liveness lock* with the process, whatever kills it, so that "is the holder
alive" is a question to the kernel and not to a process table, where ids are
used again, containers hide each other, and clocks step.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from functools import lru_cache

from rawr_install.atomic import discard, write_all
from rawr_install.ecmascript import now
from rawr_install.state.directory import Directory, Identity, close_noted, open_noted
from rawr_install.state.system import boot_id, pid_namespace, start_ticks, this_host

_MAKE = os.O_RDWR
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EMLINK, errno.EISDIR, errno.EINVAL}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

_tokens: set[str] = set()


def is_ours(token: object) -> bool:
    """Whether a lease with this token is one that this process has not yet closed."""
    return token in _tokens


class Lease:
    """One lease of ours: prepared under no name, then published, then withdrawn.

    Its ``token`` is that of no other lease: where inode numbers tell nothing, it says whose the name is.
    The process that prepared it owns it; in a child of a fork it does nothing.
    """

    __slots__ = ("_temporary", "_written", "directory", "fd", "identity", "owner", "token")

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.owner = os.getpid()
        self.fd = -1
        self.identity: Identity = (0, 0)
        self.token = os.urandom(8).hex()
        _tokens.add(self.token)
        self._temporary = ""
        self._written = 0.0

    def prepare(self) -> None:
        """Write the record and take the liveness lock, outside every lock; raises OSError."""
        if not self.directory.links:
            return  # nothing can be prepared: the file appears under its final name
        self.fd = self._open_unnamed() if self.directory.unnamed else self._open_named()
        self._fill()

    def _open_unnamed(self) -> int:
        try:
            return open_noted(self.directory.path, _MAKE | os.O_TMPFILE, self.directory.mode)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self.directory.unnamed = False
            return self._open_named()

    def _open_named(self) -> int:
        # Pid and serial would not do: in another container they may be the same.
        name = f"{self.directory.lock_path}.{self.owner}.{os.urandom(8).hex()}.tmp"
        fd = open_noted(name, _MAKE | os.O_CREAT | os.O_EXCL, self.directory.mode)
        self._temporary = name  # only now: another's is not ours to remove
        return fd

    def _fill(self) -> None:
        info = self.directory.hand_over(self.fd)
        self.identity = (info.st_dev, info.st_ino)
        self._lock_for_life()
        self._write()

    def _lock_for_life(self) -> None:
        if self.directory.liveness:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.directory.liveness = False

    def publish(self) -> bool:
        """Take the name in one step; False when it is taken already. Raises OSError."""
        self._renew()
        try:
            if not self.directory.links:
                self._create()
            elif self._temporary:
                self._link_named()
            else:
                self._link_unnamed()
        except FileExistsError:
            # A request that a server carried out and whose answer was lost is sent again (link(2), NFS).
            return not self.directory.filesystem.local and self.is_published()
        return True

    def _link_unnamed(self) -> None:
        # src_dir_fd makes Python call linkat(AT_SYMLINK_FOLLOW); plain link(2) would link the /proc entry itself.
        try:
            os.link(f"/proc/self/fd/{self.fd}", self.directory.lock_path, src_dir_fd=self.fd, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:  # no /proc, no links, the directory gone: a named file tells which
            self.directory.unnamed = False
            self._close()
            self.prepare()
            self._link_named()

    def _link_named(self) -> None:
        try:
            os.link(self._temporary, self.directory.lock_path)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            if self._can_link():  # SFTP has one error for everything: the name was taken
                raise FileExistsError from None
            self._drop_temporary()
            self._close()
            self.directory.links = False
            self._create()

    def _can_link(self) -> bool:
        other = f"{self._temporary.removesuffix('.tmp')}.0.tmp"
        try:
            os.link(self._temporary, other)
        except OSError:
            return False
        discard(other)
        return True

    def _create(self) -> None:
        """Without hard links: create, then write. A crash in between leaves an unreadable lease."""
        try:
            self.fd = open_noted(self.directory.lock_path, _MAKE | os.O_CREAT | os.O_EXCL, self.directory.mode)
        except PermissionError:
            if os.path.lexists(self.directory.lock_path):
                raise FileExistsError from None
            raise
        self._fill()

    def _renew(self) -> None:
        """Set the record's time to now, after a wait and before publishing."""
        if self.fd >= 0 and time.monotonic() - self._written > 1.0:
            os.lseek(self.fd, 0, os.SEEK_SET)
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_all(self.fd, record(self.owner, self.token, self.directory.liveness))

    def is_published(self) -> bool:
        """Whether the name is ours: it leads to the very inode that we prepared, which our descriptor pins."""
        if self.fd < 0 or os.getpid() != self.owner:
            return False
        if not self.directory.filesystem.local:
            return self._has_our_token()
        try:
            info = os.lstat(self.directory.lock_path)
        except FileNotFoundError:
            return False
        return (info.st_dev, info.st_ino) == self.identity

    def _has_our_token(self) -> bool:
        """Whether the record at the name is ours.

        Through sshfs a name has another inode number than the descriptor that made it, and what lstat(2) says of a
        network's name may be seconds old; to open it asks the server.
        """
        try:
            fd = open_noted(self.directory.lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            return f'"token":"{self.token}"'.encode() in os.read(fd, 4096)
        finally:
            close_noted(fd)

    def withdraw(self) -> None:
        """Free the name if it is ours; raises OSError. The liveness lock is held until :meth:`close`."""
        if self.is_published():
            os.unlink(self.directory.lock_path)

    def close(self) -> None:
        """Free the liveness lock."""
        if os.getpid() == self.owner:
            self._close()
            self._drop_temporary()
            _tokens.discard(self.token)

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_noted(fd)

    def _drop_temporary(self) -> None:
        name, self._temporary = self._temporary, ""
        if name:
            discard(name)


def record(pid: int, token: str, beacon: bool) -> bytes:
    """The lease's content: the two keys of the wire, and who we are in terms that survive a reused pid."""
    start = f'{{"pid":{pid},"acquiredAt":"{now()}","owner":{{"kind":"py","v":1,"token":"{token}",'
    return (start + _about_us(pid) + (',"beacon":true}}\n' if beacon else ',"beacon":false}}\n')).encode()


@lru_cache(maxsize=1)
def _about_us(pid: int) -> str:
    about = {
        "start": start_ticks(pid),
        "boot": boot_id(),
        "pidns": pid_namespace(),
        "host": this_host(),
    }
    return json.dumps(about, separators=(",", ":"))[1:-1]
