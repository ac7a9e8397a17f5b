"""The one executor: carries a plan's changes out entirely, or puts everything back.

The sequence, under the machine lock:

1. write the pending record with the previous values (fsync);
2. stage every new thing beside its place, so that a full disk shows here;
3. rename them into place, one after the other;
4. look again;
5. mark the record done.

An error at any step puts back what was changed. A killed process leaves the
pending record; :func:`recover`, which every changing command calls first,
finishes it when every change was made and undoes it otherwise.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rawr_install import atomic as durable
from rawr_install.errors import RawrError
from rawr_install.events import log as events
from rawr_install.machine import change as links, history
from rawr_install.machine.change import Change
from rawr_install.machine.history import Record
from rawr_install.paths import Places

_CODES = {
    errno.ENOSPC: "DISK_FULL",
    errno.EDQUOT: "DISK_FULL",
    errno.EROFS: "READ_ONLY_FILE_SYSTEM",
    errno.EACCES: "PERMISSION_DENIED",
    errno.EPERM: "PERMISSION_DENIED",
}
_HINTS = {
    errno.ENOSPC: "free some space on this file system, then run the command again",
    errno.EDQUOT: "free some of your disk quota, then run the command again",
    errno.EROFS: "mount this file system writable, or choose another folder (--bin-dir, XDG_STATE_HOME)",
    errno.EACCES: "make the folder that holds this path writable for you",
    errno.EPERM: "make the folder that holds this path writable for you",
}


def execute(places: Places, command: str, changes: Sequence[Change], rewound: int | None = None) -> Record:
    """Make all ``changes`` or none; returns the record. Raises RawrError, with everything put back."""
    events.begin_run()
    try:
        with _about(places.history_file):
            _clear(places, changes)
            record = history.begin(places.history_file, command, changes, rewound)
    except OSError as error:
        raise _failed(command, error, "Nothing was changed.") from None
    try:
        _carry_out(changes)
        with _about(places.history_file):
            history.close(places.history_file, record, "done")
    except BaseException as error:
        raise _after_putting_back(places, record, error) from None
    return record


def _carry_out(changes: Sequence[Change]) -> None:
    staged: list[str | None] = []
    try:
        for change in changes:
            with _about(change.path):
                os.makedirs(os.path.dirname(change.path), mode=0o755, exist_ok=True)
                staged.append(links.stage(change))
        for change, made in zip(changes, staged, strict=True):
            with _about(change.path):
                links.apply(change, made)
    finally:
        for made in filter(None, staged):
            durable.discard(made)
    _verify(changes)


@contextmanager
def _about(path: str) -> Iterator[None]:
    """Let an OSError speak of ``path``: a call on a descriptor names no file, and a temporary name says nothing."""
    try:
        yield
    except OSError as error:
        named = error.filename
        if named is None or error.filename2 is not None or str(named).endswith(".tmp"):
            error.filename = path  # of two names, symlink(2) gives the target first, rename(2) the temporary one
        raise


def _verify(changes: Sequence[Change]) -> None:
    for change in changes:
        if links.standing(change) != "after":
            raise RawrError(f"{change.path} does not hold what was just put there.", code="CHANGED_MEANWHILE")


def put_back(changes: Sequence[Change]) -> list[str]:
    """Undo as far as each change came; returns the names that somebody else has changed since.

    One name that cannot be put back is no reason to leave the others: the first OSError is raised at the end.
    """
    left: list[str] = []
    failures: list[OSError] = []
    for change in reversed(changes):
        try:
            _put_one_back(change, left)
        except OSError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return left


def _put_one_back(change: Change, left: list[str]) -> None:
    with _about(change.path):
        where = links.standing(change)
    if where == "other":
        left.append(change.path)
    elif where != "before":
        _carry_out([change.inverse])


def remove(paths: Sequence[str]) -> None:
    """Unlink files that nobody needs any more; raises RawrError."""
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _failed("removing the toolkit's own files", error, "The rest is still there.") from None


def recover(places: Places) -> list[str]:
    """End what a killed process began; returns a sentence for each record. Raises RawrError when it cannot."""
    said = []
    for record in history.pending(places.history_file):
        try:
            said.append(_end(places, record))
        except OSError as error:
            why = f"The {record.command} of {record.at} was interrupted and is not mended yet."
            raise _failed("mending it", error, why) from None
    return said


def _end(places: Places, record: Record) -> str:
    _clear(places, record.changes)
    finished = all(links.standing(change) == "after" for change in record.changes)
    left = [] if finished else put_back(record.changes)
    history.close(places.history_file, record, "done" if finished else "undone")
    said = f"An interrupted {record.command} of {record.at} was {'finished' if finished else 'undone'}."
    return said + "".join(f" {path} was changed by somebody else and left alone." for path in left)


def _clear(places: Places, changes: Sequence[Change]) -> None:
    for path in (places.history_file, *(change.path for change in changes)):
        links.sweep(path)


def _after_putting_back(places: Places, record: Record, error: BaseException) -> BaseException:
    """Put everything back; the error to raise then."""
    try:
        left = put_back(record.changes)
        ending = "Everything was put back." if not left else f"Changed by somebody else and left: {', '.join(left)}."
    except OSError as second:
        ending = f"Putting things back failed too ({_words(second)}); the next changing command mends it."
    else:
        _close_quietly(places, record)
    if isinstance(error, OSError):
        return _failed(record.command, error, ending)
    if isinstance(error, RawrError):
        return type(error)(f"{error.message} {ending}", code=error.code, hint="run the command again")
    return error


def _close_quietly(places: Places, record: Record) -> None:
    try:
        history.close(places.history_file, record, "undone")
    except (OSError, RawrError):
        pass  # still pending: the next changing command finds nothing to undo and closes it


def _failed(command: str, error: OSError, ending: str) -> RawrError:
    number = error.errno or 0
    return RawrError(
        f"{command} failed: {_words(error)}. {ending}",
        code=_CODES.get(number, "WRITE_FAILED"),
        hint=_HINTS.get(number, "look at the file system that holds this path, then run the command again"),
        details={"errno": errno.errorcode.get(number, ""), "path": str(error.filename or "")},
    )


def _words(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "unknown")
    return f"{error.strerror or error} ({name})" + (f": {error.filename}" if error.filename else "")
