"""From facts to a plan: what ``deactivate``, ``rollback`` and ``uninstall`` change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from rawr_install.ecmascript import trim
from rawr_install.errors import RefusedError, UsageError
from rawr_install.machine import records
from rawr_install.machine.change import ABSENT, FOREIGN, Change
from rawr_install.machine.facts import Facts
from rawr_install.machine.messages import foreign_entry, managed_entry
from rawr_install.machine.plan import (
    Plan,
    Request,
    entry_place,
    is_shipped,
    receipt_change,
    with_receipt,
    writable_owner,
)
from rawr_install.machine.records import Item
from rawr_install.report import command_line


class Deactivated(NamedTuple):
    """How things stand after ``deactivate``, in the words of its JSON."""

    owner_file_path: str
    entry_path: str
    previous_owner: str | None


class RolledBack(NamedTuple):
    """What holds after ``rollback``, None for what it does not touch; ``undone_from`` is the oldest change undone."""

    undone_from: int
    owner_file_path: str | None = None
    owner_workspace_path: str | None = None
    entry_path: str | None = None
    target: str | None = None


class Uninstalled(NamedTuple):
    """What ``uninstall`` removed, left since it was modified, and put back."""

    removed: tuple[str, ...]
    left: tuple[str, ...]
    restored: tuple[str, ...]


def plan_deactivate(facts: Facts) -> Plan[Deactivated]:
    """Remove the owner file; the entry stays, since it is install's and uninstall's."""
    path = entry_place(facts, Request())[1]
    entry = facts.seen[path].entry
    result = Deactivated(facts.owner_target, path, facts.owner.path or facts.owner.raw or None)
    if facts.seen[facts.owner_target].state == ABSENT:
        return Plan((), result)
    writable_owner(facts)
    notes: tuple[str, ...] = ()
    if entry and entry.instance:
        notes = (f"{path} still runs {entry.instance}; to remove it: rawr-install uninstall",)
    return Plan(with_receipt(facts, (_owner_removal(facts),)), result, notes)


def _owner_removal(facts: Facts) -> Change:
    # The user's own link goes itself, and what it leads to stays: removing that would leave the link dangling.
    return Change("owner", facts.owner_file, facts.seen[facts.owner_file].state, ABSENT)


def plan_rollback(facts: Facts, to: int | None = None) -> Plan[RolledBack]:
    """Go back to how things stood before the last change, or after change number ``to`` (0: before the first).

    Raises RefusedError ``NOTHING_TO_ROLL_BACK``, ``FOREIGN_ENTRY`` or ``MANAGED_ENTRY``, UsageError ``NO_SUCH_CHANGE``.
    """
    history = facts.records.history
    if to is not None:
        if to != 0 and all(record.id != to for record in history):
            said, remedy = f"There is no change number {to} in the history.", ("rawr-install", "history")
            raise UsageError(said, code="NO_SUCH_CHANGE", remedy=remedy)
        return _rewind(facts, to + 1)
    plans = (_rewind(facts, number) for number in records.steps_back(history))
    plan = next((plan for plan in plans if plan.changes), None)
    if plan is None:
        raise RefusedError(
            "There is no earlier change to go back to.",
            code="NOTHING_TO_ROLL_BACK",
            remedy=("rawr-install", "history"),
        )
    return plan


def _rewind(facts: Facts, number: int) -> Plan[RolledBack]:
    """The plan that undoes record ``number`` and all after it."""
    wanted = records.before(facts.records.history, number).values()
    lost = {each.backup: each.path for each in wanted if each.before == FOREIGN and _is_lost(facts, each)}
    changes = [change for each in wanted if (change := _rewound(facts, each)) is not None]
    changes = [_true_receipt(facts, each, changes) if each.role == "receipt" else each for each in changes]
    order = {"owner": 0, "entry": 1, "receipt": 2}
    changes.sort(key=lambda change: order.get(change.role, 1))
    notes = tuple(
        f"Note: {backup} is gone, so what stood at {path} cannot be put back." for backup, path in lost.items()
    )
    return Plan(tuple(changes), _rolled_back(number, changes), notes, rewound=number)


def _is_lost(facts: Facts, earliest: Change) -> bool:
    found = facts.seen[earliest.path]
    return earliest.backup not in found.backups and not found.foreign


def _rewound(facts: Facts, earliest: Change) -> Change | None:
    """One name back to what it was before ``earliest``; None where it is so already."""
    path, target, found = earliest.path, earliest.before, facts.seen[earliest.path]
    entry, managed = found.entry, None
    if entry and (entry.managed or is_shipped(facts, found)):
        managed = managed_entry(entry)
    stranger = managed or foreign_entry(path, "changed since by another program", ("mv", "-n", path, found.set_aside))
    if target == FOREIGN and not _is_lost(facts, earliest):
        if earliest.backup not in found.backups:
            return None
        if found.foreign or managed:
            raise stranger
        return Change(earliest.role, path, found.state, FOREIGN, earliest.backup)
    target = ABSENT if target == FOREIGN else target
    if found.state == target:
        return None
    if managed:
        raise managed
    if not found.foreign:
        return Change(earliest.role, path, found.state, target)
    changes = (change for record in facts.records.history for change in record.changes if change.path == path)
    last = list(changes)[-1]
    if last.after != FOREIGN or last.backup is None or last.backup in found.backups:
        raise stranger
    return Change(earliest.role, path, FOREIGN, target, last.backup)


def _true_receipt(facts: Facts, change: Change, changes: Sequence[Change]) -> Change:
    """The receipt of that time without the set-asides that are not there any more, or again."""
    waiting = {backup for found in facts.seen.values() for backup in found.backups}
    waiting |= {each.backup for each in changes if each.backup and each.backs_up}
    items = records.receipt_in(change.after, change.path)
    true = tuple(item if item.setAside in waiting else item._replace(setAside=None) for item in items)
    return change if true == items else change._replace(after=records.receipt_state(true))


def _rolled_back(number: int, changes: Iterable[Change]) -> RolledBack:
    """Owner and entry after ``changes``, as far as they touch them, in install's and activate's words."""
    result = RolledBack(number)
    for change in changes:
        if change.role == "owner":
            text = trim(change.after.data.decode("utf-8", "replace"))
            result = result._replace(owner_file_path=change.path, owner_workspace_path=text or None)
        elif change.role == "entry":
            result = result._replace(entry_path=change.path, target=change.after.target or None)
    return result


def plan_uninstall(facts: Facts) -> Plan[Uninstalled]:
    """Remove what the receipt lists and nobody has modified, and put back what was set aside."""
    changes: list[Change] = []
    gone: list[Item] = []
    left: list[Item] = []
    receipt = facts.records.receipt
    for item in reversed(receipt):
        change = _removal(facts, item)
        if change is None and facts.seen[item.path].state != ABSENT:
            left.append(item)
        else:
            gone.append(item)
            changes += [change] if change else []
    if gone:
        changes.append(receipt_change(facts, tuple(item for item in receipt if item not in gone)))
    restored = tuple(change.path for change in changes if change.after == FOREIGN)
    result = Uninstalled(tuple(item.path for item in gone), tuple(item.path for item in left), restored)
    spoken_of = {change.backup for change in changes} | {item.setAside for item in left}
    notes = (*_left_notes(facts, left), *_waiting_notes(facts, spoken_of))
    return Plan(tuple(changes), result, notes)


def _removal(facts: Facts, item: Item) -> Change | None:
    found = facts.seen[item.path]
    aside = item.setAside if item.setAside in found.backups else None
    if found.state != ABSENT and not item.matches(found.state):
        return None
    if found.state == ABSENT and aside is None:
        return None
    if item.role == "owner" and item.path == facts.owner_target:
        return _owner_removal(facts)
    return Change(item.role, item.path, found.state, FOREIGN if aside else ABSENT, aside)


def _left_notes(facts: Facts, left: Sequence[Item]) -> Iterable[str]:
    for item in left:
        now = facts.seen[item.path].entry
        renewed = now and now.managed and f"{now.installer or 'a package manager'} has put its own there since"
        yield f"Left {item.path}: {renewed or 'it was modified since it was installed'}."
        if item.setAside:
            yield f"Left {item.setAside}: what stood at {item.path} before; uninstall again once that is moved away."
    entry = facts.seen[entry_place(facts, Request())[1]].entry
    if entry is None or entry.kind == "missing" or entry.path in [item.path for item in facts.records.receipt]:
        return
    path, manager = entry.path, entry.installer or "a package manager"
    by = f"{manager} put it there" if entry.managed else "not in the receipt, so this toolkit did not put it there"
    # A link of the older scripts: the user's to remove, by the command that does it.
    away = f"; to remove it: {command_line(('rm', path))}" if entry.ours and not entry.managed else "."
    yield f"Left {path}: {by}{away}"


def _waiting_notes(facts: Facts, spoken_of: Set[str | None]) -> Iterable[str]:
    """What was set aside earlier, before something else was set aside from the same place."""
    for path, found in facts.seen.items():
        yield from (f"Left {aside}: it once stood at {path}." for aside in sorted(found.backups - spoken_of))
