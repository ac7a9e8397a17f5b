"""Which program starts a file: the ``#!`` line as the kernel and ``env`` read it, and the search on PATH.

The shell entry knows the same rules (``_rawr_starts`` in ``shims/rawr``).
Standard library only, and of that ``os``: the dispatch path loads it.
"""

from __future__ import annotations

import os

_HEAD = 4096  # bytes; the kernel itself reads 256 of a first line (BINPRM_BUF_SIZE)


def read_head(path: str, limit: int = _HEAD) -> bytes | None:
    """The first ``limit`` bytes; None where the file cannot be read (a compiled program may still start)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, limit)
    except OSError:
        return None
    finally:
        os.close(fd)


def shebang(head: bytes) -> tuple[str, str]:
    """The interpreter that ``#!`` names, and the program that ``env`` is to find for it; "" for none.

    Only spaces and tabs separate, so a Windows line end stays part of the last
    word, as it does for the kernel. Of ``env`` options only ``-S`` is looked through.
    """
    if not head.startswith(b"#!"):
        return "", ""
    line = os.fsdecode(head[2:].split(b"\n", 1)[0])
    words = [word for word in line.replace("\t", " ").split(" ") if word]
    interpreter, *rest = words or [""]
    if not interpreter.endswith("/env"):
        return interpreter, ""
    program = next(iter(rest[1:] if rest[:1] == ["-S"] else rest), "")
    return interpreter, "" if program.startswith("-") or "=" in program else program


def is_program(path: str) -> bool:
    """Whether ``path`` is a regular file that this user may execute."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def find(program: str, path: str | None) -> str | None:
    """The file that a search of ``path`` (a PATH variable; None: the system's default) gives for ``program``."""
    if "/" in program:
        return program if is_program(program) else None
    folders = (os.defpath if path is None else path).split(os.pathsep)
    candidates = (os.path.join(folder, program) for folder in folders)
    return next((candidate for candidate in candidates if is_program(candidate)), None)
