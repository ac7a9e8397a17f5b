"""The one way to write a file: temp, sync, rename, sync of the folder.

A reader sees the old file or the new one, never a mixture and never none. A
temporary file lives beside its target (``rename(2)`` does not cross file
systems) under a name that starts with ``.`` and ends with ``.tmp``; whoever
fails removes its own.
"""

from __future__ import annotations

import errno
import os
import stat

from rawr_install.files import close_quietly

# What a file system says that does not know the request (Apple's SMB and FUSE among them).
_NO_SUCH_REQUEST = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY)

_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # without O_CLOEXEC: Python sets it, and Windows has none


def temporary_name(path: str) -> str:
    """A fresh name beside ``path`` for a file on its way to becoming ``path``."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"


def write_all(fd: int, data: bytes) -> None:
    """Write every byte; ``write(2)`` may take fewer than it is given."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def stage_file(
    path: str, data: bytes, mode: int | None, durable: bool = True, owner: tuple[int, int] | None = None
) -> str:
    """Write ``data`` to a temporary file beside ``path`` and return its name; raises OSError, leaves nothing.

    Without a ``mode`` the umask decides. ``owner`` (user, group) is kept as far as we may give files away.
    """
    name = temporary_name(path)
    # Until it is given away its group may be the wrong one: at first that gets no more than everybody.
    fd = os.open(name, _MAKE, 0o666 if mode is None else mode & 0o707 | mode & (mode & 0o007) << 3)
    try:
        try:
            write_all(fd, data)
            if mode is not None:
                _settle(fd, mode, owner)
            if durable:
                sync(fd)
        finally:
            os.close(fd)
    except BaseException:
        discard(name)
        raise
    return name


def _settle(fd: int, mode: int, owner: tuple[int, int] | None) -> None:
    made = os.fstat(fd)
    settled = stat.S_IMODE(made.st_mode) == mode
    if owner is not None and (made.st_uid, made.st_gid) != owner:
        settled = False  # fchown(2) clears bits
        try:
            os.fchown(fd, *owner)
        except PermissionError:
            pass  # only root gives files away
    if not settled:
        try:
            os.fchmod(fd, mode)
        except PermissionError:
            pass  # EPERM on a file of one's own: FAT and the like keep no modes


def stage_link(path: str, target: str) -> str:
    """Make a temporary symbolic link beside ``path`` and return its name; raises OSError."""
    name = temporary_name(path)
    os.symlink(target, name)
    return name


def commit(staged: str, path: str, durable: bool = True) -> None:
    """Rename ``staged`` over ``path`` and sync the folder; raises OSError, removes ``staged`` on failure."""
    try:
        os.replace(staged, path)
    except BaseException:
        discard(staged)
        raise
    if durable:
        sync_folder(os.path.dirname(path))


def write_file(path: str, data: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Replace ``path`` by a file with ``data`` in one step; raises OSError and then changes nothing."""
    commit(stage_file(path, data, mode, durable), path, durable)


def discard(name: str) -> None:
    """Remove a temporary file if it is there; a failure to tidy up never hides the real error."""
    try:
        os.unlink(name)
    except OSError:
        pass


def make_folder(path: str, mode: int = 0o755) -> None:
    """Make ``path`` and the parents that are missing, these as 0755; raises OSError.

    ``os.makedirs`` gives its mode to the last one alone: under umask 000 anybody could write to the others.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent not in ("", path):
        make_folder(parent)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):  # else another process was first
            raise


def sync_folder(folder: str) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        close_quietly(fd)


def sync(fd: int) -> None:
    """Return when what ``fd`` holds survives a power cut; raises OSError.

    On macOS fsync(2) stops at the drive, which may keep it in a cache and write it in another order; its own page
    names ``F_FULLFSYNC`` for this. A failure of the disk is not asked about again: the kernel tells it once.
    """
    import fcntl  # here, so that Windows is refused in words and not by an import

    request = getattr(fcntl, "F_FULLFSYNC", None)
    if request is not None:
        try:
            fcntl.fcntl(fd, request)
            return
        except OSError as error:
            if error.errno not in _NO_SUCH_REQUEST:
                raise
    os.fsync(fd)
