"""Which program starts a file: the ``#!`` line as the kernel and ``env`` read it, and the search on PATH.

The shell entry knows the same rules (``_rawr_starts`` in ``shims/rawr``). And what the toolkit starts by itself
(:func:`resolve`, :func:`environment`), which is never taken from the current folder.
Standard library only, and of that ``os``: the dispatch path loads it.
"""

from __future__ import annotations

import os

from rawr_install.files import read_bytes

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Mapping

_SHELL_ENTRY = b"rawr-install shell entry"
_HEAD = 4096  # bytes; the kernel itself reads 256 of a first line (BINPRM_BUF_SIZE)


def read_head(path: str, limit: int = _HEAD) -> bytes | None:
    """The first ``limit`` bytes; None where the file cannot be read (a compiled program may still start)."""
    return read_bytes(path, limit) or None


def shell_entry_version(head: bytes) -> str | None:
    """The version of the toolkit's shell entry that begins with ``head``; "" for one without, None for another file."""
    if _SHELL_ENTRY not in head:
        return None
    return head.partition(b"\n_rawr_version='")[2].partition(b"'")[0].decode("ascii", "replace")


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


def interpreter_of(path: str, path_variable: str) -> tuple[str, str | None]:
    """The program that a script's first line asks for, and the file it leads to (None: not there)."""
    interpreter, program = shebang(read_head(path, 256) or b"")
    wanted = program or interpreter
    if not wanted or not is_program(interpreter):
        return wanted, None
    return wanted, find(wanted, path_variable)


def resolve(program: str, path: str | None) -> str | None:
    """The file that the toolkit itself starts for ``program``: by an absolute name, and the user's or root's.

    A relative element of ``path`` (an empty one, too) is the current folder or one in it, which anybody may have
    filled; it is passed over, and so is another user's file.
    """
    found = (find(program, folder) for folder in _absolute(os.defpath if path is None else path))
    return next((file for file in found if file and os.path.isabs(file) and _owned_by_us(file)), None)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a program that the toolkit starts: no search in it leads to the current folder."""
    searches = {name: os.pathsep.join(_absolute(environ[name])) for name in ("PATH", "PYTHONPATH") if name in environ}
    # An empty PYTHONPATH is an unset one, an empty PATH is the current folder.
    return {**environ, **searches, "PATH": searches.get("PATH") or os.defpath}


def _absolute(path: str) -> list[str]:
    return [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]


def _owned_by_us(file: str) -> bool:
    try:
        return os.stat(file).st_uid in (0, os.geteuid())
    except OSError:
        return False
