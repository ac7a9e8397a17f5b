"""What the toolkit's own records say, held against the disk; part of the look (:mod:`rawr_install.machine.probe`).

Reads only. Records that cannot be read are a problem to report, not a reason to stop.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rawr_install.dispatch.program import find, interpreter_of, is_program
from rawr_install.errors import RawrError
from rawr_install.files import read_bytes
from rawr_install.machine.entry import Entry
from rawr_install.machine.facts import Problem, Records
from rawr_install.paths import Paths

if TYPE_CHECKING:
    from rawr_install.machine.records import Receipt

SHIM_LIMIT = 16 * 1024


def look(paths: Paths) -> Records:
    """The receipt's items that are missing or modified, and the changes that were begun and not ended."""
    problems: list[Problem] = []
    installed: tuple[tuple[str, str], ...] = ()
    astray: tuple[tuple[str, str], ...] = ()
    pending: tuple[str, ...] = ()
    # The records' modules are imported only where there are records: a doctor is quick.
    if os.path.lexists(paths.receipt_file):
        from rawr_install.machine import records

        try:
            items = records.read_receipt(paths.receipt_file)
            installed = tuple((item.path, item.mode) for item in items if item.role == "entry")
            astray = tuple(_astray(paths, items))
        except RawrError as error:
            problems.append(Problem("receipt.unreadable", error.message, error.remedy))
    if os.path.lexists(paths.history_file):
        try:
            pending = tuple(_pending(paths))
        except RawrError as error:
            problems.append(Problem("history.unreadable", error.message, error.remedy))
    return Records(installed, astray, pending, tuple(problems))


def _astray(paths: Paths, items: Receipt) -> Iterable[tuple[str, str]]:
    from rawr_install.machine.change import ABSENT, read_path

    written = os.stat(paths.receipt_file).st_ctime_ns
    for item in items:
        if item.kind == "file" and _untouched_since(item.path, written):
            continue  # spares the hash, and with it loading OpenSSL
        try:
            found = read_path(item.path)
        except OSError as error:
            yield item.path, error.strerror or "unreadable"
            continue
        if not item.matches(found):
            yield item.path, "missing" if found == ABSENT else "modified"


def _untouched_since(path: str, moment: int) -> bool:
    """Whether nothing has happened to the file since: no call can set ``st_ctime``, and a rename renews it."""
    try:
        return os.lstat(path).st_ctime_ns <= moment
    except OSError:
        return False


def _pending(paths: Paths) -> Iterable[str]:
    from rawr_install.machine import records

    history = records.read_history(paths.history_file)
    return (f"{record.command} of {record.at}" for record in records.pending(history))


def toolkits_gone(entries: Iterable[Entry], paths: Paths, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Our shell entries that find no toolkit that could start."""
    path = environ.get("PATH", "")
    return tuple(
        entry.path for entry in entries if entry.kind == "shim" and toolkit_of(entry.path, paths.home, path) is None
    )


def toolkit_of(shim: str, home: str, path_variable: str) -> str | None:
    """The ``rawr-install`` that a shell entry would start: beside it, recorded in it, on PATH, in ``~/.local/bin``."""
    named = find("rawr-install", path_variable)
    candidates = (
        os.path.join(os.path.dirname(shim), "rawr-install"),
        _recorded(shim),
        named if named and os.path.isabs(named) else None,  # not one from the current folder
        os.path.join(home, ".local", "bin", "rawr-install"),
    )
    return next((path for path in candidates if path and _starts(path, path_variable)), None)


def _recorded(shim: str) -> str | None:
    """The value of the line ``toolkit=...`` that installing the shell entry fills in, quoted for sh."""
    lines = read_bytes(shim, SHIM_LIMIT).decode("utf-8", "surrogateescape").splitlines()
    value = next((line.removeprefix("toolkit=") for line in lines if line.startswith("toolkit=")), "")
    try:
        return "".join(shlex.split(value)) or None
    except ValueError:
        return None


def _starts(path: str, path_variable: str) -> bool:
    if not is_program(path):
        return False
    shebang, interpreter = interpreter_of(path, path_variable)
    return not shebang or interpreter is not None


def version_of_toolkit(toolkit: str) -> str | None:
    """The toolkit's version, read from the name of its metadata folder; None where that is laid out otherwise."""
    library = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(toolkit))), "lib")
    for python in _names(library, "python"):
        for name in _names(os.path.join(library, python, "site-packages"), "rawr_install-"):
            if name.endswith(".dist-info"):
                return name.removeprefix("rawr_install-").removesuffix(".dist-info")
    return None


def _names(folder: str, start: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.startswith(start)]
    except OSError:
        return []
