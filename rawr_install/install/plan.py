"""From facts to a plan. Pure: nothing in the planning modules touches the machine.

A plan is a list of changes in the order in which they are made, and a view of
how things stand afterwards. An empty list means that everything is in place.
``claim`` plans what puts something there, ``retreat`` what takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rawr_install.errors import RefusedError
from rawr_install.install.look import Facts
from rawr_install.machine import records
from rawr_install.machine.change import ABSENT, FOREIGN, Change
from rawr_install.machine.records import Item


@dataclass(frozen=True)
class Plan:
    """What a command will change, what it has to say, and how things stand afterwards (``view``)."""

    changes: tuple[Change, ...]
    view: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rewound: int | None = None

    def to_json(self) -> list[dict[str, object]]:
        """The changes as a program reads them; file contents stay out."""
        return [{"role": each.role, "path": each.path, "step": each.describe()} for each in self.changes]


def with_receipt(facts: Facts, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes and, where it has to change, the receipt's own."""
    touched = {change.path for change in changes}
    items = tuple(item for item in facts.receipt if item.path in touched or not _lost(facts, item))
    for change in changes:
        items = records.after_change(items, change)
    written = Change("receipt", facts.receipt_file, facts.receipt_value, records.receipt_state(items))
    return (*changes, written) if items != facts.receipt else tuple(changes)


def _lost(facts: Facts, item: Item) -> bool:
    """Whether the item is nothing to remove or put back any more: gone, or a package manager took its place."""
    found = facts.seen[item.path]
    taken = item.path == facts.entry.path and facts.entry.managed
    return (found.value == ABSENT or taken) and item.setAside not in found.backups


def writable_owner(facts: Facts) -> None:
    """Raise RefusedError ``OWNER_FILE_UNUSABLE`` for what could not be put back."""
    if facts.owner_value == FOREIGN:
        raise RefusedError(
            f"The owner file {facts.owner_path} is no small regular file that you can read, so it is not replaced.",
            code="OWNER_FILE_UNUSABLE",
            remedy=("mv", facts.owner_path, facts.owner_path + ".broken"),
        )


def foreign(path: str, kind: str, again: tuple[str, ...] = ()) -> RefusedError:
    """The refusal of what is not ours; ``again`` is the command that sets it aside."""
    return RefusedError(
        f"{path} is not ours ({kind}), so it is left alone.",
        code="FOREIGN_ENTRY",
        remedy=again or ("mv", path, path + ".mine"),
        details={"path": path, "kind": kind},
    )
