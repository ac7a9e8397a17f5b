"""The machine lock: one changing command at a time for one user on one machine.

A kernel lock (flock, through filelock) on a file in the toolkit's state folder, which stays there between runs. Whoever
can read a lock file can hold it, so the folder is the user's alone (0700) and the file too (0600), also where an older
toolkit made them. The file is opened here, not by filelock, lest a link lead to another file; a file with a second name
is locked and never written. The holder writes who it is into the file, for the message of whoever waits in vain; safety
does not depend on that text, and where the kernel names another holder, it is believed.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rawr_install.atomic import make_folder
from rawr_install.ecmascript import now
from rawr_install.errors import RawrError, RefusedError, os_error_code, os_error_hint, os_error_in_words
from rawr_install.files import close_quietly, free_name

WAIT = 10.0  # seconds
POLL = 0.01  # seconds
ATTEMPTS = 50  # one for each purge that may come in between
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def locked(lock_file: str, command: str, wait: float = WAIT) -> Iterator[None]:
    """Hold the machine lock; waits up to ``wait`` seconds.

    Raises RefusedError ``MACHINE_BUSY``, which names the holder, or ``STATE_DIR_NOT_YOURS``; and RawrError
    ``STATE_DIR_UNUSABLE``, or the code of a full disk and the like, where no lock file can be made.
    """
    try:
        fd = acquire(lock_file, wait)
    except OSError as error:
        raise _unusable(lock_file, error) from None
    try:
        _sign(fd, command)
        yield
    finally:
        close_quietly(fd)  # the change is made all the same


def acquire(lock_file: str, wait: float, before_open: Callable[[], None] = lambda: None) -> int:
    """A descriptor that holds the lock; ``before_open`` is called between making the folder and opening the file."""
    from filelock import lock_descriptor

    deadline = time.monotonic() + wait
    while True:
        fd = _open(lock_file, before_open)
        try:
            if lock_descriptor(fd, blocking=False) and _is_named(fd, lock_file):
                _tighten(fd, lock_file)
                return fd
        except BaseException:
            os.close(fd)
            raise
        if time.monotonic() >= deadline:
            raise _busy(lock_file, fd, wait)
        os.close(fd)
        time.sleep(POLL)


def _open(lock_file: str, before_open: Callable[[], None]) -> int:
    folder = os.path.dirname(lock_file)
    for attempt in range(ATTEMPTS):
        try:
            make_folder(folder, 0o700)
            before_open()
            fd = os.open(lock_file, _FLAGS, 0o600)
            break
        except (FileNotFoundError, FileExistsError):
            # A purge removed the empty folder again, just now. A file in the folder's place stays there.
            if attempt == ATTEMPTS - 1 or os.path.isfile(folder):
                raise
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        os.close(fd)
        raise RefusedError(
            f"{lock_file} is not a regular file of yours, so nothing was changed.",
            code="STATE_DIR_NOT_YOURS",
            remedy=("mv", lock_file, free_name(lock_file, "broken")),
        )
    return fd


def _is_named(fd: int, lock_file: str) -> bool:
    """Whether the locked file is the one that others will lock: a purge may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(lock_file))
    except FileNotFoundError:
        return False


def _tighten(fd: int, lock_file: str) -> None:
    """What older toolkits made readable for others becomes the user's alone."""
    info, folder = os.fstat(fd), os.path.dirname(lock_file)
    try:
        if info.st_mode & 0o177 and info.st_nlink == 1:
            os.fchmod(fd, 0o600)
        around = os.stat(folder)
        if around.st_mode & 0o077 and around.st_uid == os.geteuid():
            os.chmod(folder, 0o700)
    except (FileNotFoundError, PermissionError):
        pass  # the folder was removed just now by hand; or EPERM: FAT and the like keep no modes


def _sign(fd: int, command: str) -> None:
    text = json.dumps({"pid": os.getpid(), "command": command, "since": now()}) + "\n"
    try:
        if os.fstat(fd).st_nlink == 1:
            os.ftruncate(fd, 0)
            os.pwrite(fd, text.encode(), 0)
    except OSError:
        pass  # a full disk must not stop what needs no space; the change itself says what fails


def _busy(lock_file: str, fd: int, wait: float) -> RefusedError:
    found = _holder(fd)
    os.close(fd)
    said = "process {pid}, rawr-install {command}, since {since}" if "command" in found else "process {pid}"
    who = said.format_map({"since": "?"} | found) if found else "the system does not say which process"
    return RefusedError(
        f"Another process is changing this machine ({who}); waited {wait:g} s for {lock_file}.",
        code="MACHINE_BUSY",
        hint="wait for it to end, or try again with a longer --wait SECONDS",
        details={"holder": found, "lockFile": lock_file},
    )


def _holder(fd: int) -> dict[str, object]:
    """Who holds the lock: ``pid``, and ``command`` and ``since`` where it signed; empty where nobody can say."""
    try:
        signed = json.loads(os.pread(fd, 4096, 0))
    except (OSError, ValueError, RecursionError):
        signed = None
    signed = signed if isinstance(signed, dict) and type(signed.get("pid")) is int else {}
    pid = _pid_by_kernel(os.fstat(fd))
    if pid is None:
        return signed if signed and _lives(signed["pid"]) else {}
    return signed if signed.get("pid") == pid else {"pid": pid}


def _pid_by_kernel(info: os.stat_result) -> int | None:
    """The holder of a flock by Linux's /proc/locks (proc(5)); None elsewhere, and for one of another container."""
    file = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            held = (line.split() for line in locks)
            return next((int(words[4]) for words in held if words[1] == "FLOCK" and words[5] == file), 0) or None
    except (OSError, ValueError, IndexError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _unusable(lock_file: str, error: OSError) -> RawrError:
    folder = os.path.dirname(lock_file)
    code = os_error_code(error, "STATE_DIR_UNUSABLE")
    of_disk = code in ("DISK_FULL", "READ_ONLY_FILE_SYSTEM")
    return RawrError(
        f"The toolkit's state folder {folder} cannot be used: {os_error_in_words(error)}.",
        code="STATE_DIR_UNUSABLE" if code == "PERMISSION_DENIED" else code,
        hint=os_error_hint(error)
        if of_disk
        else f"make {folder} a folder that you can write to, or set XDG_STATE_HOME",
    )
