"""The history: every change with the values before and after it; also the journal that mends a crash.

``history.json`` in the state folder: ``{"version": 1, "records": [{"id", "at",
"command", "status", "changes", "rewound"?}]}``. ``status`` is ``pending`` from
before the first change until the last one is verified, then ``done``, or
``undone`` when the values were put back. ``rewound`` is, on a rollback, the
number of the oldest record that it undid. The newest :data:`KEPT_RECORDS` stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rawr_install import atomic as durable
from rawr_install.errors import RawrError
from rawr_install.machine.change import Change

KEPT_RECORDS = 50


class Record(NamedTuple):
    """One change of the machine."""

    id: int
    at: str
    command: str
    status: str
    changes: tuple[Change, ...]
    rewound: int | None = None

    def to_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"id": self.id, "at": self.at, "command": self.command, "status": self.status}
        shown["changes"] = [change.to_json() for change in self.changes]
        return shown if self.rewound is None else shown | {"rewound": self.rewound}

    @classmethod
    def from_json(cls, shown: Mapping[str, Any]) -> Record:
        """Inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError on another shape."""
        changes = tuple(Change.from_json(change) for change in shown["changes"])
        plain = int(shown["id"]), str(shown["at"]), str(shown["command"]), str(shown["status"])
        return cls(*plain, changes, shown.get("rewound"))


def read(history_file: str) -> list[Record]:
    """All records, oldest first; a broken file is no empty one: RawrError ``HISTORY_UNREADABLE``."""
    try:
        with open(history_file, "rb") as file:
            document = json.loads(file.read())
        if document["version"] != 1:
            raise ValueError(f"version {document['version']} is not known")
        return [Record.from_json(record) for record in document["records"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RawrError(
            f"The history {history_file} cannot be read: {error}.",
            code="HISTORY_UNREADABLE",
            remedy=("mv", history_file, history_file + ".broken"),
        ) from None


def pending(history_file: str) -> list[Record]:
    """Records of changes that were begun and not ended: a crash, or a command that runs right now."""
    return [record for record in read(history_file) if record.status == "pending"]


def begin(history_file: str, command: str, changes: Sequence[Change], rewound: int | None = None) -> Record:
    """Write the pending record, durably, before anything is changed; raises OSError."""
    records = read(history_file)
    number = records[-1].id + 1 if records else 1
    made = Record(number, now(), command, "pending", tuple(changes), rewound)
    _write(history_file, [*records, made][-KEPT_RECORDS:])
    return made


def close(history_file: str, record: Record, status: str) -> None:
    """Mark the record ``done`` or ``undone``, durably; raises OSError."""
    records = read(history_file)
    _write(history_file, [old._replace(status=status) if old.id == record.id else old for old in records])


def _write(history_file: str, records: Sequence[Record]) -> None:
    document = {"version": 1, "records": [record.to_json() for record in records]}
    durable.write_file(history_file, (json.dumps(document, indent=1) + "\n").encode(), 0o600)


def now() -> str:
    """The time as everywhere in the toolkit's files: ISO 8601, UTC, milliseconds, ``Z``."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
