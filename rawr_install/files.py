"""Bounded reads of what may be hostile: nothing here raises, blocks, or takes more than it was told to."""

from __future__ import annotations

import os
import stat

from rawr_install.dispatch.program import find, is_program, shebang

PACKAGE_LIMIT = 1 << 20
PATH_FOLDERS = 4096


def read_bytes(path: str, limit: int) -> bytes:
    """At most ``limit`` bytes of a regular file; empty when it cannot be read or is something else."""
    try:
        # O_NONBLOCK: opening a FIFO for reading would otherwise wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


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


def path_folders(path_variable: str) -> tuple[list[str], int]:
    """The distinct folders of PATH and how many were left out; an empty one is the current folder (POSIX)."""
    distinct = list(dict.fromkeys(path_variable.split(os.pathsep))) if path_variable else []
    return [folder or "." for folder in distinct[:PATH_FOLDERS]], max(0, len(distinct) - PATH_FOLDERS)


def interpreter_of(path: str, path_variable: str) -> tuple[str, str | None]:
    """The program that a script's first line asks for, and the file it leads to (None: not there)."""
    interpreter, program = shebang(read_bytes(path, 256))
    wanted = program or interpreter
    if not wanted or not is_program(interpreter):
        return wanted, None
    return wanted, find(wanted, path_variable)
