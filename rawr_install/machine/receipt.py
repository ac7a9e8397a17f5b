"""The receipt: what the toolkit has put on this machine, so that it removes that and nothing else.

``receipt.json`` in the state folder: ``{"version": 1, "items": [{"path",
"role", "kind", "fingerprint", "setAside"}]}``. ``kind`` is ``link`` or
``file``; ``fingerprint`` is the link's target or the file's SHA-256;
``setAside`` names the foreign thing that waits beside ``path``. The order is
the order of installation. An empty receipt is no file.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from rawr_install.errors import RawrError
from rawr_install.machine.change import ABSENT, Change, Value, file_value, read_value
from rawr_install.machine.entry import LINK, SHIM


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

    def matches(self, value: Value) -> bool:
        """Whether ``value`` is still what was put there."""
        return (self.kind, self.fingerprint) == (value.kind, value.fingerprint)


Receipt = tuple[Item, ...]


def read(receipt_file: str) -> Receipt:
    """The items; raises RawrError ``RECEIPT_UNREADABLE`` when the file is no receipt."""
    try:
        value = read_value(receipt_file)
        return () if value == ABSENT else parse(value.data)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise RawrError(
            f"The receipt {receipt_file} cannot be read, so what is ours cannot be told: {error}.",
            code="RECEIPT_UNREADABLE",
            remedy=("mv", receipt_file, receipt_file + ".broken"),
        ) from None


def parse(data: bytes) -> Receipt:
    """Items of a receipt's bytes; raises ValueError, KeyError or TypeError on another shape."""
    document = json.loads(data)
    if document["version"] != 1:
        raise ValueError(f"version {document['version']} is not known")
    return tuple(Item(**item) for item in document["items"])


def value_of(items: Receipt) -> Value:
    """The receipt as what stands at its place."""
    if not items:
        return ABSENT
    document = {"version": 1, "items": [item._asdict() for item in items]}
    return file_value((json.dumps(document, indent=2) + "\n").encode())


def record(items: Receipt, change: Change) -> Receipt:
    """The receipt after ``change``: what was put in place comes last, what was removed is gone."""
    others = tuple(item for item in items if item.path != change.path)
    known = next((item for item in items if item.path == change.path), None)
    if change.after.kind in ("absent", "kept"):
        return others
    made = Item(change.path, change.role, change.after.kind, change.after.fingerprint, change.aside)
    if known and change.aside is None:
        made = made._replace(setAside=known.setAside)
    return (*others, made)
