"""Bounded reads of what may be hostile: nothing here blocks, or takes more than it was told to.

:func:`read_regular` is the one that opens; it raises OSError (ENOENT and the like as the system gives them, EINVAL
for what is not a regular file, EFBIG for one that is too large). The others answer "empty" instead.
Nothing of the toolkit's own is imported here: the dispatch path loads it.
"""

from __future__ import annotations

import errno
import os
import stat

PACKAGE_LIMIT = 1 << 20
PATH_FOLDERS = 4096


def read_regular(path: str, limit: int) -> bytes:
    """The whole regular file at ``path``; raises OSError, EFBIG where it holds more than ``limit`` bytes."""
    data = _read(path, limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", path)
    return data


def read_bytes(path: str, limit: int) -> bytes:
    """At most ``limit`` bytes of a regular file; empty when it cannot be read or is something else."""
    try:
        return _read(path, limit)
    except OSError:
        return b""


def _read(path: str, limit: int) -> bytes:
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


def path_folders(path_variable: str) -> tuple[list[str], int]:
    """The distinct folders of PATH and how many were left out; an empty one is the current folder (POSIX)."""
    distinct = list(dict.fromkeys(path_variable.split(os.pathsep))) if path_variable else []
    return [folder or "." for folder in distinct[:PATH_FOLDERS]], max(0, len(distinct) - PATH_FOLDERS)
