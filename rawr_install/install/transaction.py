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

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rawr_install import atomic
from rawr_install.errors import RawrError, os_error_code, os_error_hint, os_error_in_words, os_error_name
from rawr_install.events import log
from rawr_install.machine import records
from rawr_install.machine.change import Change, apply, progress, stage, sweep
from rawr_install.machine.records import Record
from rawr_install.paths import Paths


def execute(
    paths: Paths, history: Sequence[Record], command: str, changes: Sequence[Change], rewound: int | None = None
) -> Record:
    """Make all ``changes`` or none, recorded after ``history``. Raises RawrError, with everything put back."""
    log.begin_run()
    try:
        with _about(paths.history_file):
            _clear(paths, changes)
            history = records.begin(paths.history_file, history, command, changes, rewound)
            record = history[-1]
    except OSError as error:
        raise _failed(command, error, "Nothing was changed.") from None
    try:
        _apply_all(changes)
        with _about(paths.history_file):
            records.close(paths.history_file, history, record, "done")
    except BaseException as error:
        raise _after_putting_back(paths, history, error) from None
    return record


def _apply_all(changes: Sequence[Change]) -> None:
    staged: list[str | None] = []
    try:
        for change in changes:
            with _about(change.path):
                atomic.make_folder(os.path.dirname(change.path))
                staged.append(stage(change))
        for change, made in zip(changes, staged, strict=True):
            with _about(change.path):
                apply(change, made)
    finally:
        for made in filter(None, staged):
            atomic.discard(made)
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
        if progress(change) != "after":
            raise RawrError(f"{change.path} does not hold what was just put there.", code="CHANGED_MEANWHILE")


def put_back(changes: Sequence[Change]) -> list[str]:
    """Undo as far as each change came; returns the names that another program has changed since.

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
        where = progress(change)
    if where == "other":
        left.append(change.path)
    elif where != "before":
        _apply_all([change.inverse])


def remove(names: Sequence[str]) -> None:
    """Unlink files that nobody needs any more; raises RawrError."""
    for path in names:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _failed("removing the toolkit's own files", error, "The rest is still there.") from None


def recover(paths: Paths, history: Sequence[Record]) -> tuple[Sequence[Record], tuple[str, ...]]:
    """End what a killed process began: the history then, and a sentence for each record. Raises RawrError."""
    said: list[str] = []
    for record in records.pending(history):
        records.require_own(paths, record.changes)
        try:
            status, ending = _end(paths, record)
            history = records.close(paths.history_file, history, record, status)
            said.append(ending)
        except OSError as error:
            why = f"The {record.command} of {record.at} was interrupted and is not mended yet."
            raise _failed("mending it", error, why) from None
    return history, tuple(said)


def _end(paths: Paths, record: Record) -> tuple[str, str]:
    _clear(paths, record.changes)
    finished = all(progress(change) == "after" for change in record.changes)
    left = [] if finished else put_back(record.changes)
    said = f"An interrupted {record.command} of {record.at} was {'finished' if finished else 'undone'}."
    said += "".join(f" {path} was changed by another program and left alone." for path in left)
    return "done" if finished else "undone", said


def _clear(paths: Paths, changes: Sequence[Change]) -> None:
    for path in (paths.history_file, *(change.path for change in changes)):
        sweep(path)


def _after_putting_back(paths: Paths, history: Sequence[Record], error: BaseException) -> BaseException:
    """Put back what the newest record changed; the error to raise then."""
    record = history[-1]
    try:
        left = put_back(record.changes)
        ending = "Everything was put back." if not left else f"Changed by another program and left: {', '.join(left)}."
    except OSError as second:
        ending = f"Putting things back failed too ({os_error_in_words(second)}); the next changing command mends it."
    else:
        _close_quietly(paths, history, record)
    if isinstance(error, OSError):
        return _failed(record.command, error, ending)
    if isinstance(error, RawrError):
        return type(error)(f"{error.message} {ending}", code=error.code, hint="run the command again")
    return error


def _close_quietly(paths: Paths, history: Sequence[Record], record: Record) -> None:
    try:
        records.close(paths.history_file, history, record, "undone")
    except OSError:
        pass  # still pending: the next changing command finds nothing to undo and closes it


def _failed(command: str, error: OSError, ending: str) -> RawrError:
    return RawrError(
        f"{command} failed: {os_error_in_words(error)}. {ending}",
        code=os_error_code(error, "WRITE_FAILED"),
        hint=os_error_hint(error),
        details={"errno": os_error_name(error), "path": str(error.filename or "")},
    )
