"""Files that anybody may have written: bounded reads, whose a file is, and whether two names lead to one.

Nothing here blocks, or takes more than it was told to. :func:`read_beginning` and :func:`read_regular` raise OSError
(ENOENT and the like as the system gives them, EINVAL for what is not a regular file, EFBIG for one that is too large);
the other readers answer "empty" instead.
Nothing of the toolkit's own is imported here: the dispatch path loads it.
"""

from __future__ import annotations

import errno
import os
import stat

PACKAGE_LIMIT = 1 << 20
PATH_FOLDERS = 4096
_PATH_MAX = 1024  # MAXPATHLEN in Apple's <sys/param.h>, and the most that fcntl.fcntl() takes


def read_regular(path: str, limit: int) -> bytes:
    """The whole regular file at ``path``; raises OSError, EFBIG where it holds more than ``limit`` bytes."""
    data = read_beginning(path, limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", path)
    return data


def read_bytes(path: str, limit: int) -> bytes:
    """At most ``limit`` bytes of a regular file; empty when it cannot be read or is something else."""
    try:
        return read_beginning(path, limit)
    except OSError:
        return b""


def read_beginning(path: str, limit: int) -> bytes:
    """At most the first ``limit`` bytes of the regular file at ``path``; raises OSError."""
    if "\0" in path:
        raise OSError(errno.EINVAL, "a NUL in the path", path)
    # O_NONBLOCK: opening a FIFO for reading would otherwise wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, "a folder", path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        parts: list[bytes] = []
        while limit > 0 and (part := os.read(fd, limit)):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        close_quietly(fd)


def close_quietly(fd: int) -> None:
    """Close what was only read, synced or locked: where that fails (EIO of a network file system) nothing is lost."""
    try:
        os.close(fd)
    except OSError:
        pass  # Linux has closed the descriptor all the same


def read_json(path: str) -> dict[str, object]:
    """A small JSON object; empty when it is unreadable, too large, too deep or something else."""
    import json

    data = read_bytes(path, PACKAGE_LIMIT + 1)
    if len(data) > PACKAGE_LIMIT:
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def free_name(path: str, suffix: str) -> str:
    """``path.suffix``, or with a number behind it where that is taken: what waits there is never overwritten."""
    number, name = 1, f"{path}.{suffix}"
    while os.path.lexists(name):
        number += 1
        name = f"{path}.{suffix}.{number}"
    return name


def same_folder(one: str, other: str) -> bool:
    """Whether two real paths lead to one folder: through a bind mount, a firmlink, or names that differ in case.

    For ownership and for what is reported; trust judges the path that was taken.
    """
    try:
        return one == other or os.path.samestat(os.stat(one), os.stat(other))
    except OSError:
        return False


def real_path(path: str) -> str:
    """The real path, spelled as the file system spells it.

    On macOS several names lead to one file (case, Unicode forms) and ``realpath`` keeps the one that was given; the
    peers' runtime does not, and fcntl(2)'s ``F_GETPATH`` gives what it gives.
    """
    return spelled_on_disk(os.path.realpath(path))


def spelled_on_disk(real: str) -> str:
    """The real path ``real`` as :func:`real_path` gives it."""
    import fcntl

    request = getattr(fcntl, "F_GETPATH", None)
    if request is None:
        return real
    try:
        fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return real
    try:
        return os.fsdecode(fcntl.fcntl(fd, request, bytes(_PATH_MAX)).partition(b"\0")[0]) or real
    except OSError:
        return real
    finally:
        close_quietly(fd)


def is_ours(file: str | os.stat_result) -> bool:
    """Whether a file (links followed) is the effective user's, or root's; not where it cannot be looked at."""
    return _owner_of(file) in (0, os.geteuid())


def is_owned_by_me(file: str | os.stat_result) -> bool:
    """Whether a file (links followed) is the effective user's; not where it cannot be looked at."""
    return _owner_of(file) == os.geteuid()


def is_sticky(info: os.stat_result) -> bool:
    """Whether it is a folder that others may have put files into, which they keep."""
    return stat.S_ISDIR(info.st_mode) and bool(info.st_mode & stat.S_ISVTX)


def link_of_another(path: str) -> str | None:
    """The first symbolic link in the absolute ``path``, as it is spelled, that is another user's; None without one."""
    place = ""
    for name in path.split(os.sep)[1:]:
        place = f"{place}/{name}"
        try:
            info = os.lstat(place)
        except OSError:
            return None
        if stat.S_ISLNK(info.st_mode) and not is_ours(info):
            return place
    return None


def _owner_of(file: str | os.stat_result) -> int:
    try:
        return (os.stat(file) if isinstance(file, str) else file).st_uid
    except OSError:
        return -1


def path_folders(path_variable: str) -> tuple[list[str], int]:
    """The distinct folders of PATH and how many were left out; an empty one is the current folder (POSIX)."""
    distinct = list(dict.fromkeys(path_variable.split(os.pathsep))) if path_variable else []
    return [folder or "." for folder in distinct[:PATH_FOLDERS]], max(0, len(distinct) - PATH_FOLDERS)
