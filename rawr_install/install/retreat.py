"""Plan ``deactivate``, ``rollback`` and ``uninstall``. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence, Set

from rawr_install.errors import RefusedError, UsageError
from rawr_install.install.look import Facts
from rawr_install.install.plan import Plan, foreign, with_receipt, writable_owner
from rawr_install.machine import records
from rawr_install.machine.change import ABSENT, FOREIGN, Change
from rawr_install.machine.records import Item


def plan_deactivate(facts: Facts) -> Plan:
    """Remove the owner file; the entry stays, since it is install's and uninstall's."""
    view: dict[str, object] = {"ownerFilePath": facts.owner_path, "entryPath": facts.entry.path}
    view["previousOwner"] = facts.owner.path or facts.owner.raw or None
    if facts.owner_value == ABSENT:
        return Plan((), view)
    writable_owner(facts)
    notes: tuple[str, ...] = ()
    if facts.entry.instance:
        notes = (f"{facts.entry.path} still runs {facts.entry.instance}; to remove it: rawr-install uninstall",)
    return Plan(with_receipt(facts, (_owner_removal(facts),)), view, notes)


def _owner_removal(facts: Facts) -> Change:
    # The user's own link goes itself, and what it leads to stays: removing that would leave the link dangling.
    return Change("owner", facts.owner_file, facts.owner_file_value, ABSENT)


def plan_rollback(facts: Facts, to: int | None = None) -> Plan:
    """Go back to how things stood before the last change, or after change number ``to`` (0: before the first).

    Raises RefusedError ``NOTHING_TO_ROLL_BACK`` or ``FOREIGN_ENTRY``, UsageError ``NO_SUCH_CHANGE``.
    """
    if to is not None:
        _known_change(facts, to)
        return _rewind(facts, to + 1)
    plans = (_rewind(facts, number) for number in records.steps_back(facts.history))
    plan = next((plan for plan in plans if plan.changes), None)
    if plan is None:
        raise RefusedError(
            "There is no earlier change to go back to.",
            code="NOTHING_TO_ROLL_BACK",
            remedy=("rawr-install", "history"),
        )
    return plan


def _known_change(facts: Facts, to: int) -> None:
    if to != 0 and all(record.id != to for record in facts.history):
        raise UsageError(
            f"There is no change number {to} in the history.", code="NO_SUCH_CHANGE", remedy=("rawr-install", "history")
        )


def _rewind(facts: Facts, number: int) -> Plan:
    """The plan that undoes record ``number`` and all after it."""
    wanted = records.before(facts.history, number)
    changes = [change for each in wanted.values() if (change := _rewound(facts, each)) is not None]
    order = {"owner": 0, "entry": 1, "receipt": 2}
    changes.sort(key=lambda change: order.get(change.role, 1))
    return Plan(tuple(changes), _view_after(changes) | {"undoneFrom": number}, rewound=number)


def _rewound(facts: Facts, earliest: Change) -> Change | None:
    """One name back to what it was before ``earliest``; None where it is so already."""
    path, target, found = earliest.path, earliest.before, facts.seen[earliest.path]
    if target == FOREIGN:
        waits = earliest.backup in found.backups
        return (
            Change(earliest.role, path, found.value, FOREIGN, earliest.backup) if waits and not found.foreign else None
        )
    if found.value == target:
        return None
    if not found.foreign:
        return Change(earliest.role, path, found.value, target)
    last = [change for record in facts.history for change in record.changes if change.path == path][-1]
    if last.after != FOREIGN or last.backup is None or last.backup in found.backups:
        raise foreign(path, "changed since by somebody else")
    return Change(earliest.role, path, FOREIGN, target, last.backup)


def _view_after(changes: Iterable[Change]) -> dict[str, object]:
    """Owner and entry after ``changes``, as far as they touch them, in install's and activate's words."""
    view: dict[str, object] = {}
    for change in changes:
        if change.role == "owner":
            text = change.after.data.decode("utf-8", "replace").strip()
            view |= {"ownerFilePath": change.path, "ownerWorkspacePath": text or None}
        elif change.role == "entry":
            view |= {"entryPath": change.path, "target": change.after.target or None}
    return view


def plan_uninstall(facts: Facts) -> Plan:
    """Remove what the receipt lists and nobody has modified, and put back what was set aside."""
    changes: list[Change] = []
    gone: list[Item] = []
    left: list[Item] = []
    for item in reversed(facts.receipt):
        change = _removal(facts, item)
        if change is None and facts.seen[item.path].value != ABSENT:
            left.append(item)
        else:
            gone.append(item)
            changes += [change] if change else []
    kept = tuple(item for item in facts.receipt if item not in gone)
    if gone:
        changes.append(Change("receipt", facts.receipt_file, facts.receipt_value, records.receipt_state(kept)))
    view: dict[str, object] = {"removed": [item.path for item in gone], "left": [item.path for item in left]}
    view["restored"] = [change.path for change in changes if change.after == FOREIGN]
    spoken_of = {change.backup for change in changes} | {item.setAside for item in left}
    notes = (*_left_notes(facts, left), *_waiting_notes(facts, spoken_of))
    return Plan(tuple(changes), view, notes)


def _removal(facts: Facts, item: Item) -> Change | None:
    found = facts.seen[item.path]
    aside = item.setAside if item.setAside in found.backups else None
    if found.value != ABSENT and not item.matches(found.value):
        return None
    if found.value == ABSENT and aside is None:
        return None
    if item.role == "owner" and item.path == facts.owner_path:
        return _owner_removal(facts)
    return Change(item.role, item.path, found.value, FOREIGN if aside else ABSENT, aside)


def _left_notes(facts: Facts, left: Sequence[Item]) -> Iterable[str]:
    for item in left:
        yield f"Left {item.path}: it was modified since it was installed."
        if item.setAside:
            yield f"Left {item.setAside}: what stood at {item.path} before; uninstall again once that is moved away."
    if facts.entry_value != ABSENT and facts.entry.path not in [item.path for item in facts.receipt]:
        path, manager = facts.entry.path, facts.entry.installer or "a package manager"
        by = (
            f"{manager} put it there"
            if facts.entry.managed
            else "not in the receipt, so this toolkit did not put it there"
        )
        # A link of the older scripts: the user's to remove, by the command that does it.
        away = f"; to remove it: {shlex.join(('rm', path))}" if facts.entry.ours and not facts.entry.managed else ""
        yield f"Left {path}: {by}{away}."


def _waiting_notes(facts: Facts, spoken_of: Set[str | None]) -> Iterable[str]:
    """What was set aside earlier, before something else was set aside from the same place."""
    for path, found in facts.seen.items():
        yield from (f"Left {aside}: it once stood at {path}." for aside in sorted(found.backups - spoken_of))
