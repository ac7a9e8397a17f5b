"""Whether a program can be started, or why not: the ``#!`` line as the kernel and ``env`` read it, and PATH.

:func:`examine` is the one answer, for dispatch, activation, the doctor and ``which``; the shell entry knows the same
rules (``_rawr_starts`` in ``shims/rawr``). What the toolkit starts by itself (:func:`resolve`, :func:`environment`) is
never taken from the current folder. Standard library only, and of that ``os`` and ``sys``: the dispatch path loads it.
"""

from __future__ import annotations

import os
import sys

from rawr_install.files import is_ours, is_sticky, read_beginning

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Mapping

_SHELL_ENTRY = b"rawr-install shell entry"
_HEAD = 4096  # bytes; the kernel itself reads 256 of a first line (BINPRM_BUF_SIZE)
_ELF = (b"\x7fELF",)  # elf(5)
# <mach-o/loader.h> and <mach-o/fat.h>: 32 and 64 bits in either order, and several architectures in one file.
_MACH_O = tuple(map(bytes.fromhex, ("feedface", "cefaedfe", "feedfacf", "cffaedfe", "cafebabe", "cafebabf")))


class Program:
    """What stands at ``path``, and whether the system can start it.

    ``reason`` is "" if it can, else ``missing``, ``dangling`` (a link that leads nowhere), ``folder``, ``not-a-file``,
    ``not-executable``, ``noexec`` (its file system is mounted so), ``own-entry`` (the toolkit's shell entry),
    ``windows-line-end`` (of the first line),
    ``no-interpreter`` (it is not there), ``no-shebang``, ``other-system`` (compiled for one).
    ``wanted`` is the program that the first line asks for, "" for none; ``interpreter`` is the file that it leads to.
    """

    __slots__ = ("interpreter", "path", "reason", "wanted")

    def __init__(self, path: str, reason: str = "", wanted: str = "", interpreter: str | None = None) -> None:
        self.path = path
        self.reason = reason
        self.wanted = wanted
        self.interpreter = interpreter


def examine(path: str, search: str | None) -> Program:
    """Look whether ``path`` can be started where PATH is ``search``; starts nothing, and raises nothing."""
    if not is_program(path):
        return Program(path, _no_program(path))
    try:
        head = read_beginning(path, _HEAD)
    except OSError:
        return Program(path)  # executable and not readable: what is compiled starts even so
    if shell_entry_version(head) is not None:
        return Program(path, "own-entry")
    interpreter, program = _first_line(head)
    if interpreter:
        wanted = program or interpreter
        found = find(wanted, search) if is_program(interpreter) else None
        at_fault = interpreter if program and not is_program(interpreter) else wanted
        if _has_windows_line_end(head, interpreter):
            return Program(path, "windows-line-end", at_fault.rstrip("\r"))
        return Program(path, "" if found else "no-interpreter", at_fault, found)
    if head.startswith(_ELF if sys.platform == "darwin" else _MACH_O):
        return Program(path, "other-system")
    # Of what is neither text nor known the kernel knows more (binfmt_misc).
    return Program(path, "" if b"\0" in head else "no-shebang")


def _no_program(path: str) -> str:
    if not os.path.exists(path):
        return "dangling" if os.path.islink(path) else "missing"
    if os.path.isfile(path):
        return "noexec" if mounted_noexec(path) else "not-executable"
    return "folder" if os.path.isdir(path) else "not-a-file"


def mounted_noexec(path: str) -> bool:
    """Whether nothing on the file system of ``path`` can be started, whatever its mode."""
    try:
        return bool(os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0))
    except OSError:
        return False


def shell_entry_version(head: bytes) -> str | None:
    """The version of the toolkit's shell entry that begins with ``head``; "" for one without, None for another file."""
    if _SHELL_ENTRY not in head:
        return None
    return head.partition(b"\n_rawr_version='")[2].partition(b"'")[0].decode("ascii", "replace")


def read_head(path: str) -> bytes:
    """The beginning of a file; empty where it cannot be read."""
    try:
        return read_beginning(path, _HEAD)
    except OSError:
        return b""


def _first_line(head: bytes) -> tuple[str, str]:
    """The interpreter that ``#!`` names, and the program that ``env`` is to find for it; "" for none.

    Only spaces and tabs separate, so a Windows line end stays part of the last word, as it does for the kernel.
    Of ``env`` options only ``-S`` is looked through, which splits at a carriage return, too.
    """
    if not head.startswith(b"#!"):
        return "", ""
    line = os.fsdecode(head[2:].split(b"\n", 1)[0])
    words = [word for word in line.replace("\t", " ").split(" ") if word]
    interpreter, *rest = words or [""]
    if not interpreter.endswith("/env"):
        return interpreter, ""
    program = next(iter(" ".join(rest[1:]).split() if rest[:1] == ["-S"] else rest), "")
    return interpreter, "" if program.startswith("-") or "=" in program else program


def _has_windows_line_end(head: bytes, interpreter: str) -> bool:
    line = head.split(b"\n", 1)[0]
    return line.endswith(b"\r") and not (interpreter.endswith("/env") and b" -S" in line.replace(b"\t", b" "))


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


def resolve(program: str, path: str | None) -> str | None:
    """The file that the toolkit itself starts for ``program``: by an absolute name, and the user's or root's.

    A relative element of ``path`` (an empty one, too) is the current folder or one in it, which anybody may have
    filled; it is passed over, and so is what another user has put, or could exchange.
    """
    found = (find(program, folder) for folder in absolute(os.defpath if path is None else path))
    return next((file for file in found if file and os.path.isabs(file) and is_put_by_us(file)), None)


def is_put_by_us(file: str) -> bool:
    """Whether nobody but the user and root can have put ``file`` there, as the shell entry asks (``_rawr_safe``)."""
    folder = os.path.dirname(file)
    return is_ours(file) and is_ours(folder) and not is_sticky(os.stat(folder))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a program that the toolkit starts: no search in it leads to the current folder."""
    searches = {name: os.pathsep.join(absolute(environ[name])) for name in ("PATH", "PYTHONPATH") if name in environ}
    # An empty PYTHONPATH is an unset one, an empty PATH is the current folder.
    return {**environ, **searches, "PATH": searches.get("PATH") or os.defpath}


def absolute(path: str) -> list[str]:
    """The folders of a PATH variable that do not depend on the current folder."""
    return [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]
