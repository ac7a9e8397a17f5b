"""``state.guard``: the fair lock at which our own programs queue for the lease.

Threads of one process take turns at a mutex, processes at a kernel lock on a
permanent, empty file. Waiting for that is waiting in the kernel's queue, first
come first served, without polling; the kernel frees it when its holder dies.
Safety never depends on it: a deleted guard, a file system without locks or a
stopped queue head cost order and speed, not updates.

``flock(2)`` has no timeout, so a helper thread does the waiting and its
caller waits for the thread. A caller that gives up leaves the thread in the
queue; the next one finds its place kept, and if nobody wants the turn when it comes,
the thread passes it on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable

from rawr_install.atomic import sync_folder
from rawr_install.errors import os_error_name
from rawr_install.state.directory import Directory, Identity, close_noted, failed, open_noted
from rawr_install.state.system import filesystem_of

LOOK_EVERY = 0.25  # seconds
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF}


class Unavailable(Exception):  # noqa: N818 - a state of the world, not a failure
    """There is no fair lock here; the text says why."""


class FairLock:
    """The fair lock of one state directory: ``mutex`` among the threads, the rest for the one that has it."""

    def __init__(self, directory: Directory, identity: Identity) -> None:
        self.directory = directory
        self.identity = identity
        self.path = os.path.join(directory.path, "state.guard")
        self.mutex = threading.RLock()
        self.fd = -1
        self._locked: Identity = (0, 0)  # the file that the descriptor leads to
        self._waiter: _Waiter | None = None

    def enter_at_once(self) -> bool:
        """Take the turn if it is free; raises Unavailable."""
        if self._waiter is not None and self._waiter.in_queue:
            return False
        for _ in range(8):
            if self.fd < 0:
                self.fd = self._open()
            if not _try_lock(self.fd):
                return False
            if self._is_current():
                return True
            self.close()  # deleted or replaced: whoever comes next would lock another inode
        return False

    def wait(self, deadline: float, meanwhile: Callable[[], None]) -> bool:
        """Queue until ``deadline`` (monotonic seconds); False when the turn did not come. Raises Unavailable.

        ``meanwhile`` is called every :data:`LOOK_EVERY` seconds.
        """
        while time.monotonic() < deadline:
            if not self._queue(deadline, meanwhile):
                return False
            if self._is_current():
                return True
            self.close()
            if self.enter_at_once():
                return True
        return False

    def _queue(self, deadline: float, meanwhile: Callable[[], None]) -> bool:
        try:
            self._waiter = self._waiter or _Waiter(self.fd)
        except RuntimeError:  # no more threads, or the interpreter is ending
            return _poll(self.fd, deadline, meanwhile)
        return self._waiter.wait(deadline, meanwhile)

    def leave(self) -> None:
        """Let the next one through; harmless when the turn is not ours."""
        if self.fd >= 0 and not (self._waiter is not None and self._waiter.in_queue):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_UN)
            except OSError:  # no locks here, or they broke down: without the descriptor there is none
                self.close()

    def close(self) -> None:
        """Forget the guard's descriptor, and with it any turn."""
        fd, self.fd = self.fd, -1
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.retire():
            return  # the thread still waits on the descriptor and will close it
        if fd >= 0:
            close_noted(fd)

    def _open(self) -> int:
        try:
            fd = self._open_either_way()
        except OSError as error:
            raise Unavailable(f"{self.path}: {os_error_name(error)}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            close_noted(fd)
            raise Unavailable(f"{self.path}: not a regular file")
        info = self.directory.hand_over(fd)
        self._locked = (info.st_dev, info.st_ino)
        return fd

    def _open_either_way(self) -> int:
        try:
            return open_noted(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, self.directory.mode)
        except PermissionError:
            return open_noted(self.path, os.O_RDONLY | _FLAGS)  # flock(2) asks for no write permission

    def _is_current(self) -> bool:
        try:
            info = os.lstat(self.path)
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == self._locked


_known: dict[str, FairLock] = {}
_MOST = 64


def guard_of(path: str) -> FairLock:
    """The fair lock of the state directory at a real path, made when missing, and swept on first use.

    Raises StateError.
    """
    try:
        info = _stat_or_make(path)
        known = _known.get(path)
        if known is not None and known.identity == (info.st_dev, info.st_ino):
            known.directory.made = info
            return known
        _forget_idle(path if known else "")
        directory = Directory(path, filesystem_of(path), info)
        _known[path] = made = FairLock(directory, (info.st_dev, info.st_ino))
        directory.sweep_temporary_files()
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
    """Close what is known of ``path``, and of every directory when they have become many: each holds a descriptor."""
    for name in [path] if path else [*_known] if len(_known) >= _MOST else []:
        guard = _known[name]
        if guard.mutex.acquire(blocking=False):
            guard.close()
            del _known[name]
            guard.mutex.release()


os.register_at_fork(after_in_child=_known.clear)


class _Waiter:
    """A thread that waits in the kernel's queue on behalf of a caller who may give up."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._mutex = threading.Lock()
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self.in_queue = False
        self._wanted = self._retired = False
        self._error = ""
        threading.Thread(target=self._run, name="rawr-guard", daemon=True).start()

    def wait(self, deadline: float, meanwhile: Callable[[], None]) -> bool:
        """Wait for the turn; raises Unavailable."""
        with self._mutex:
            self._wanted = True
            if not self.in_queue:
                self.in_queue = True
                self._go.release()
        try:
            while not self._done.acquire(timeout=min(LOOK_EVERY, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    break
                meanwhile()
        finally:
            came = self._came()
        if came and self._error:
            raise Unavailable(self._error)
        return came

    def _came(self) -> bool:
        with self._mutex:
            self._wanted = False
            self._done.acquire(blocking=False)
            return not self.in_queue

    def retire(self) -> bool:
        """End the thread; False when it is still in the queue and keeps the descriptor."""
        with self._mutex:
            self._retired = True
            if self.in_queue:
                return False
            self._go.release()
            return True

    def _run(self) -> None:
        while True:
            self._go.acquire()
            if self._retired:
                return
            self._error = _wait_in_kernel(self._fd)
            with self._mutex:
                self.in_queue = False
                if self._wanted:
                    self._done.release()
                elif self._retired:
                    close_noted(self._fd)
                    return
                elif not self._error:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)


def _wait_in_kernel(fd: int) -> str:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        return os_error_name(error)
    return ""


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise Unavailable(os_error_name(error)) from None
        raise
    return True


def _poll(fd: int, deadline: float, meanwhile: Callable[[], None]) -> bool:
    """Where there is no thread to be had: try, every 5 ms."""
    look_at = time.monotonic() + LOOK_EVERY
    while not _try_lock(fd):
        now = time.monotonic()
        if now >= deadline:
            return False
        if now >= look_at:
            meanwhile()
            look_at = now + LOOK_EVERY
        time.sleep(0.005)
    return True
