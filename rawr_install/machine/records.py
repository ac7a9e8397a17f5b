"""The toolkit's two records, read as carefully as any input: the history of its changes, the receipt of what is its.

``history.json`` in the state folder: ``{"version": 1, "records": [{"id", "at", "command", "status", "changes",
"rewound"?}]}``. It is also the journal that mends a crash: ``status`` is ``pending`` from before the first change until
the last one is verified, then ``done``, or ``undone`` when the values were put back. ``rewound`` is, on a rollback, the
number of the oldest record that it undid. A change is ``{"role", "path", "before", "after", "aside"?}``. The newest
:data:`RECORDS_KEPT` stay.

``receipt.json`` beside it: ``{"version": 1, "items": [{"path", "role", "kind", "fingerprint", "setAside"}]}`` in the
order of installation. ``fingerprint`` is a link's target or a file's SHA-256; ``setAside`` names the foreign thing that
waits beside ``path``. An empty receipt is not written.

Whoever obeys a record may be led anywhere by it, so reading refuses what the toolkit never writes: an entry that is not
called ``rawr``, a set-aside that is not beside it, a value of another type (``HISTORY_UNREADABLE``,
``RECEIPT_UNREADABLE``). That an owner file or a receipt is this home's, :func:`require_own` says before anything is
carried out. A record of a newer toolkit is left alone (``RECORD_NEWER``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from rawr_install import atomic
from rawr_install.ecmascript import now
from rawr_install.errors import RawrError, os_error_in_words
from rawr_install.files import free_name
from rawr_install.machine.change import ABSENT, FOREIGN, Change, PathState, file_with, link_to, read_path
from rawr_install.machine.entry import LINK, SHIM
from rawr_install.paths import Paths

VERSION = 1
RECORDS_KEPT = 50
HISTORY_LIMIT = 64 << 20  # bytes; fifty changes of the largest values that are read
_ROLES = ("owner", "entry", "receipt")
_STATUSES = ("pending", "done", "undone")

T = TypeVar("T")


class Item(NamedTuple):
    """One name that is ours."""

    path: str
    role: str
    kind: str
    fingerprint: str
    setAside: str | None = None  # noqa: N815 - the key in the file

    @property
    def mode(self) -> str:
        """The mode of an item whose role is ``entry``."""
        return LINK if self.kind == "link" else SHIM

    def matches(self, value: PathState) -> bool:
        """Whether ``value`` is still what was put there."""
        return (self.kind, self.fingerprint) == (value.kind, value.fingerprint)


Receipt = tuple[Item, ...]


class Record(NamedTuple):
    """One change of the machine."""

    id: int
    at: str
    command: str
    status: str
    changes: tuple[Change, ...]
    rewound: int | None = None

    def to_json(self) -> dict[str, object]:
        """The record as ``history.json`` holds it."""
        shown: dict[str, object] = {"id": self.id, "at": self.at, "command": self.command, "status": self.status}
        shown["changes"] = [_change_to_json(change) for change in self.changes]
        return shown if self.rewound is None else shown | {"rewound": self.rewound}


# -- the receipt ---------------------------------------------------------------


def read_receipt(receipt_file: str) -> Receipt:
    """The items; raises RawrError ``RECEIPT_UNREADABLE`` or ``RECORD_NEWER``."""
    return receipt_in(_read(receipt_file, "RECEIPT_UNREADABLE"), receipt_file)


def receipt_in(state: PathState, receipt_file: str) -> Receipt:
    """The items that a receipt in this state holds; raises as :func:`read_receipt`."""
    return tuple(_parse(state, receipt_file, "RECEIPT_UNREADABLE", "items", _item))


def receipt_state(items: Receipt) -> PathState:
    """The receipt as what stands at its place."""
    if not items:
        return ABSENT
    document = {"version": VERSION, "items": [item._asdict() for item in items]}
    return file_with((json.dumps(document, indent=2) + "\n").encode(), 0o600)


def after_change(items: Receipt, change: Change) -> Receipt:
    """The receipt after ``change``: what was put in place comes last, what was removed is gone."""
    others = tuple(item for item in items if item.path != change.path)
    known = next((item for item in items if item.path == change.path), None)
    if change.after.kind in ("absent", "kept"):
        # An owner file that is gone is gone under each of its names: its own, and where a link there led.
        return tuple(item for item in others if not item.role == change.role == "owner")
    made = Item(change.path, change.role, change.after.kind, change.after.fingerprint, change.backup)
    if known and change.backup is None:
        made = made._replace(setAside=known.setAside)
    return (*others, made)


# -- the history ---------------------------------------------------------------


def read_history(history_file: str) -> list[Record]:
    """All records, oldest first; raises RawrError ``HISTORY_UNREADABLE`` or ``RECORD_NEWER``."""
    code = "HISTORY_UNREADABLE"
    records = _parse(_read(history_file, code), history_file, code, "records", _record)
    if any(later.id <= earlier.id for earlier, later in pairwise(records)):
        raise _unreadable(history_file, code, "its records are not in order")
    return records


def pending(records: Iterable[Record]) -> list[Record]:
    """Records of changes that were begun and not ended: a crash, or a command that runs right now."""
    return [record for record in records if record.status == "pending"]


def begin(
    history_file: str, records: Sequence[Record], command: str, changes: Sequence[Change], rewound: int | None = None
) -> Sequence[Record]:
    """Write the history with a pending record at its end, durably, before anything is changed; raises OSError."""
    number = records[-1].id + 1 if records else 1
    made = Record(number, now(), command, "pending", tuple(changes), rewound)
    return _write(history_file, [*records, made][-RECORDS_KEPT:])


def close(history_file: str, records: Sequence[Record], record: Record, status: str) -> Sequence[Record]:
    """Write the history with the record marked ``done`` or ``undone``, durably; raises OSError."""
    return _write(history_file, [old._replace(status=status) if old.id == record.id else old for old in records])


def _write(history_file: str, records: Sequence[Record]) -> Sequence[Record]:
    document = {"version": VERSION, "records": [record.to_json() for record in records]}
    # The user's own link is followed: dotfile managers make them.
    atomic.write_file(os.path.realpath(history_file), (json.dumps(document, indent=1) + "\n").encode(), 0o600)
    return records


def before(records: Sequence[Record], number: int) -> dict[str, Change]:
    """Path -> the first change of it in record ``number`` or later: its ``before`` is the value to go back to."""
    found: dict[str, Change] = {}
    for record in records:
        if record.id >= number and record.status == "done":
            for change in record.changes:
                found.setdefault(change.path, change)
    return found


def steps_back(records: Sequence[Record]) -> list[int]:
    """The records that a plain rollback may undo, nearest first: a rollback after a rollback goes further back."""
    done = [record for record in records if record.status == "done"]
    limit = done[-1].id + 1 if done else 0
    if done and done[-1].rewound is not None:
        limit = done[-1].rewound
    return [record.id for record in reversed(done) if record.id < limit and record.rewound is None]


# -- whom a record may lead where ------------------------------------------------


def require_own(paths: Paths, changes: Iterable[Change], code: str = "HISTORY_UNREADABLE") -> None:
    """Raise RawrError ``code`` unless every owner file and receipt that recorded ``changes`` name is this home's."""
    record = paths.receipt_file if code == "RECEIPT_UNREADABLE" else paths.history_file
    allowed = {
        "owner": (paths.owner_file, os.path.realpath(paths.owner_file)),
        "receipt": (paths.receipt_file, os.path.realpath(paths.receipt_file)),
    }
    for change in changes:
        if change.path not in allowed.get(change.role, (change.path,)):
            raise _unreadable(record, code, f"it says that the {change.role} file is {change.path}")


# -- reading, with every value checked -------------------------------------------


def _read(path: str, code: str) -> PathState:
    try:
        return read_path(os.path.realpath(path), HISTORY_LIMIT)
    except OSError as error:
        raise _unreadable(path, code, os_error_in_words(error)) from None


def _parse(found: PathState, path: str, code: str, key: str, parse: Callable[[Mapping[str, Any]], T]) -> list[T]:
    if found == ABSENT:
        return []
    try:
        _need(found.kind == "file", "it is not a regular file that you can read")
        document = _object(json.loads(found.data), "the document")
        version = document.get("version")
        if type(version) is int and version > VERSION:
            raise _newer(path, version)
        _need(type(version) is int and version == VERSION, "its version is not known")
        return [parse(_object(shown, f"one of its {key}")) for shown in _list(document.get(key), key)]
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, code, str(error)) from None


_SENTENCES = {
    "HISTORY_UNREADABLE": "The history {} cannot be read",
    "RECEIPT_UNREADABLE": "The receipt {} cannot be read, so what is ours cannot be told",
}


def _unreadable(path: str, code: str, why: str) -> RawrError:
    return RawrError(
        f"{_SENTENCES[code].format(path)}: {why}.", code=code, remedy=("mv", path, free_name(path, "broken"))
    )


def _newer(path: str, version: int) -> RawrError:
    return RawrError(
        f"{path} was written by a newer rawr-install (version {version} of its format), so nothing was changed.",
        code="RECORD_NEWER",
        hint="upgrade rawr-install, then run the command again",
        details={"path": path, "version": version, "known": VERSION},
    )


def _record(shown: Mapping[str, Any]) -> Record:
    number, rewound = _number(shown, "id"), shown.get("rewound")
    _need(rewound is None or 1 <= _number(shown, "rewound") <= number, "a rewound that is not an earlier record")
    changes = tuple(_change(_object(each, "a change")) for each in _list(shown.get("changes"), "changes"))
    status = _one_of(_STATUSES, shown, "status")
    return Record(number, _text(shown, "at"), _text(shown, "command"), status, changes, rewound)


def _change(shown: Mapping[str, Any]) -> Change:
    ends = _path_state(_object(shown.get("before"), "before")), _path_state(_object(shown.get("after"), "after"))
    role, path, backup = *_place(shown), shown.get("aside")
    one_is_foreign = (ends[0] == FOREIGN) != (ends[1] == FOREIGN)
    _need((backup is not None) == one_is_foreign, "a change that loses what it replaces")
    if backup is not None:
        _beside(role, path, backup)
    return Change(role, path, *ends, backup)


def _item(shown: Mapping[str, Any]) -> Item:
    role, path, backup = *_place(shown), shown.get("setAside")
    if backup is not None:
        _beside(role, path, backup)
    return Item(path, role, _one_of(("link", "file"), shown, "kind"), _text(shown, "fingerprint"), backup)


def _place(shown: Mapping[str, Any]) -> tuple[str, str]:
    """Role and path; an entry is called ``rawr``, whatever its folder."""
    role, path = _one_of(_ROLES, shown, "role"), _path(shown, "path")
    _need(role != "entry" or os.path.basename(path) == "rawr", f"an entry that is not called rawr: {path}")
    return role, path


def _beside(role: str, path: str, backup: object) -> None:
    name = re.compile(re.escape(path) + r"\.before-rawr-install(\.\d{1,9})?")
    good = role == "entry" and isinstance(backup, str) and name.fullmatch(backup)
    _need(bool(good), f"a set-aside that is not beside {path}")


def _path_state(shown: Mapping[str, Any]) -> PathState:
    kind = _one_of(("absent", "kept", "link", "file"), shown, "kind")
    if kind == "link":
        return link_to(_name(shown, "target"))
    if kind != "file":
        return PathState(kind)
    mode = shown.get("mode")
    _need(type(mode) is int and 0 <= mode <= 0o7777, "a mode that is none")
    # surrogateescape: the owner file may hold any bytes, and they must come back as they were.
    return file_with(_text(shown, "text").encode("utf-8", "surrogateescape"), int(shown["mode"]))


def _change_to_json(change: Change) -> dict[str, object]:
    shown: dict[str, object] = {"role": change.role, "path": change.path}
    shown |= {"before": _path_state_to_json(change.before), "after": _path_state_to_json(change.after)}
    return shown | ({"aside": change.backup} if change.backup else {})


def _path_state_to_json(state: PathState) -> dict[str, object]:
    if state.kind == "file":
        return {"kind": "file", "text": state.data.decode("utf-8", "surrogateescape"), "mode": state.mode}
    return {"kind": "link", "target": state.target} if state.kind == "link" else {"kind": state.kind}


def _need(good: bool, why: str) -> None:
    if not good:
        raise ValueError(why)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")
    return value


def _text(shown: Mapping[str, Any], key: str) -> str:
    value = shown.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a text")
    value.encode("utf-8", "surrogateescape")  # UnicodeEncodeError is a ValueError
    return value


def _name(shown: Mapping[str, Any], key: str) -> str:
    """A text that a system call takes as a name."""
    value = _text(shown, key)
    _need(bool(value) and "\0" not in value, f"{key} is not a path")
    return value


def _path(shown: Mapping[str, Any], key: str) -> str:
    value = _name(shown, key)
    _need(os.path.isabs(value) and os.path.normpath(value) == value, f"{key} is not an absolute path in its plain form")
    return value


def _number(shown: Mapping[str, Any], key: str) -> int:
    value = shown.get(key)
    if type(value) is not int or not 1 <= value < 1 << 53:
        raise ValueError(f"{key} is not a number of a record")
    return value


def _one_of(words: Sequence[str], shown: Mapping[str, Any], key: str) -> str:
    value = _text(shown, key)
    _need(value in words, f"{key} is {value!r}, which is none of {', '.join(words)}")
    return value
