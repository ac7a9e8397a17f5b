"""Bytes and text: a path or an argument is bytes, and what other programs read of ours is UTF-8 whatever the locale.

Python decodes the former by the locale. Written as UTF-8 as they are, the letters of a path would then be encoded
twice in ISO-8859-1, and some multi-byte locales do not even give the bytes of an argument back. So the program runs in
Python's UTF-8 mode (:func:`ensure_utf8_mode`); the two functions for paths hold in a program of any locale, which may
use the package as a library. A byte that is not UTF-8 is a lone surrogate in text (PEP 383), which no other program's
JSON reader need accept.

Standard library only, and of that ``os`` and ``sys``: the dispatch path loads it.
"""

from __future__ import annotations

import os
import sys

_UTF8_MODE = ["-X", "utf8"]


def ensure_utf8_mode() -> None:
    """Start this process over, by exec, where Python decodes paths and arguments as something else than UTF-8."""
    if sys.getfilesystemencoding() == "utf-8":
        return
    try:
        os.execv(sys.executable, [*map(os.fsencode, (sys.executable, *_UTF8_MODE)), *_arguments()])
    except (OSError, ValueError):
        return  # no Python to start again (it was removed, or is part of another program): go on as it is


def _arguments() -> list[bytes]:
    """This process's own, as the kernel has them: not every locale's decoding can be taken back."""
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return file.read().split(b"\0")[1:-1]
    except OSError:
        return [os.fsencode(word) for word in sys.orig_argv[1:]]


def prepare_streams() -> None:
    """Give every standard stream a descriptor, and let what is written be escaped where it cannot be encoded.

    A stream that the caller has closed is None, and its number would be the next file's. stdin is then empty and
    stderr for nobody, but a command whose answer is for nobody fails: a descriptor for reading says EBADF.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            setattr(sys, name, open(os.open(os.devnull, flags), mode))
    for stream in (sys.stdout, sys.stderr):
        try:  # it asks the descriptor where it stands, which may fail
            # After starting over they carry a path's bytes as they are, unless the locale is plain ASCII.
            stream.reconfigure(encoding=_plain_encoding(), errors="backslashreplace")  # type: ignore[union-attr]
        except OSError:
            pass


def _plain_encoding() -> str | None:
    if sys.orig_argv[1:3] != _UTF8_MODE or "PYTHONIOENCODING" in os.environ:
        return None  # as Python has chosen
    import codecs
    import locale

    return "ascii" if codecs.lookup(locale.getencoding()).name == "ascii" else None


def to_wire(path: str) -> str:
    """The text that names ``path`` in a file shared with other programs; raises UnicodeError where UTF-8 has none."""
    return os.fsencode(path).decode("utf-8")


def from_wire(text: str) -> str:
    """The path that ``text`` of such a file names; raises UnicodeError for a lone surrogate."""
    return os.fsdecode(text.encode("utf-8"))


def shown(path: str) -> str:
    """``path`` as text for a record that is only read by people: always UTF-8, other bytes escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def well_formed(document: str) -> str:
    r"""ASCII JSON text that every reader takes: a lone surrogate (``\udcff``) becomes the text of its escape."""
    if "\\ud" not in document:
        return document
    import re

    # An escaped backslash and a surrogate pair are read over, so that neither's second half is taken for one.
    escapes = r"\\\\|\\ud[89ab]..\\ud[c-f]..|(\\ud[89a-f]..)"
    return re.sub(escapes, lambda found: "\\" + found[0] if found[1] else found[0], document)
