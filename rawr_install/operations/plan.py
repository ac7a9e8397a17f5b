"""From facts to a plan. Pure: nothing here touches the machine.

A plan is a list of changes in the order in which they are made, and a view of
how things stand afterwards. An empty list means that everything is in place.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rawr_install import history, receipt
from rawr_install.errors import RefusedError, UsageError
from rawr_install.links import ABSENT, KEPT, Change, Value, file_value, link_value
from rawr_install.operations.look import Facts, Instance
from rawr_install.receipt import Item
from rawr_install.workspace import WHITE_SPACE, seam_status

SHIM, LINK = "shim", "bun-symlink"


@dataclass(frozen=True)
class Plan:
    """What a command will change, what it has to say, and how things stand afterwards (``view``)."""

    command: str
    changes: tuple[Change, ...]
    view: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rewound: int | None = None

    def to_json(self) -> list[dict[str, object]]:
        """The changes as a program reads them; file contents stay out."""
        return [{"role": each.role, "path": each.path, "step": each.describe()} for each in self.changes]


def plan_install(facts: Facts) -> Plan:
    """Put the entry in place; the owner stays as it is.

    Raises RefusedError: ``OWNER_OTHER_INSTANCE``, ``FOREIGN_ENTRY``,
    ``WORKSPACE_CLI_*``, ``WORKSPACE_NOT_TRUSTED``, ``BIN_DIR_*``.
    """
    instance = _usable(facts)
    notes: tuple[str, ...] = ()
    if facts.owner.status == "valid" and facts.owner.real != instance.root:
        if not facts.request.force:
            raise _owned_by_other(facts, instance)
        notes = _owner_elsewhere(facts, instance)
    mode = facts.request.mode or LINK
    view = _view(facts, instance, mode, seam_status(facts.owner, instance.root), facts.owner.path)
    changes = _with_receipt(facts, _entry_change(facts, instance, mode))
    return Plan("install", changes, view, notes + _path_notes(facts, mode))


def plan_activate(facts: Facts) -> Plan:
    """Make the instance the owner and let the entry lead to it; an entry that is our shim stays one.

    Raises RefusedError as :func:`plan_install`, and ``OWNER_FILE_UNUSABLE``,
    ``WORKSPACE_PATH_UNSUITABLE``.
    """
    instance = _usable(facts)
    mode = facts.request.mode or (SHIM if facts.entry.kind == SHIM else LINK)
    view = _view(facts, instance, mode, "owner-current-instance", instance.root)
    view |= {"ownership": _ownership(facts, instance), "previousOwner": facts.owner.path or facts.owner.raw or None}
    wanted = (*_owner_change(facts, instance), *_entry_change(facts, instance, mode))
    return Plan("activate", _with_receipt(facts, wanted), view, _path_notes(facts, mode))


def plan_deactivate(facts: Facts) -> Plan:
    """Remove the owner file; the entry stays, since it is install's and uninstall's."""
    view: dict[str, object] = {"ownerFilePath": facts.owner_path, "entryPath": facts.entry.path}
    view["previousOwner"] = facts.owner.path or facts.owner.raw or None
    if facts.owner_value == ABSENT:
        return Plan("deactivate", (), view)
    _writable_owner(facts)
    notes: tuple[str, ...] = ()
    if facts.entry.instance:
        notes = (f"{facts.entry.path} still runs {facts.entry.instance}; to remove it: rawr-install uninstall",)
    change = Change("owner", facts.owner_path, facts.owner_value, ABSENT)
    return Plan("deactivate", _with_receipt(facts, (change,), adopt=False), view, notes)


def plan_rollback(facts: Facts, to: int | None = None) -> Plan:
    """Go back to how things stood before the last change, or after change number ``to`` (0: before the first).

    Raises RefusedError ``NOTHING_TO_ROLL_BACK`` or ``FOREIGN_ENTRY``, UsageError ``NO_SUCH_CHANGE``.
    """
    if to is not None:
        _known_change(facts, to)
        return _rewind(facts, to + 1)
    plans = (_rewind(facts, number) for number in history.steps_back(facts.history))
    plan = next((plan for plan in plans if plan.changes), None)
    if plan is None:
        raise RefusedError(
            "There is no earlier change to go back to.",
            code="NOTHING_TO_ROLL_BACK",
            remedy=("rawr-install", "history"),
        )
    return plan


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
        changes.append(Change("receipt", facts.receipt_file, facts.receipt_value, receipt.value_of(kept)))
    view: dict[str, object] = {"removed": [item.path for item in gone], "left": [item.path for item in left]}
    view["restored"] = [change.path for change in changes if change.after == KEPT]
    return Plan("uninstall", tuple(changes), view, tuple(_left_notes(facts, left)))


# -- the instance ------------------------------------------------------------


def _usable(facts: Facts) -> Instance:
    instance = facts.instance
    assert instance is not None  # the callers of install and activate always name one
    if instance.cli_status == "missing":
        raise RefusedError(
            f"The workspace {instance.root} has no CLI at {instance.cli}.",
            code="WORKSPACE_CLI_MISSING",
            hint=f"check out or build the workspace so that {instance.cli} exists",
        )
    if instance.cli_status != "ok":
        raise RefusedError(
            f"The workspace CLI {instance.cli} is not an executable file.",
            code="WORKSPACE_CLI_NOT_EXECUTABLE",
            remedy=("chmod", "+x", instance.cli),
        )
    if not instance.trusted:
        raise RefusedError(
            f"The workspace {instance.root} belongs to another user and is not trusted.",
            code="WORKSPACE_NOT_TRUSTED",
            remedy=("rawr-install", "trust", "add", instance.root),
        )
    return instance


def _owned_by_other(facts: Facts, instance: Instance) -> RefusedError:
    return RefusedError(
        f"The machine's owner is another workspace, {facts.owner.path} (in {facts.owner_path}).",
        code="OWNER_OTHER_INSTANCE",
        remedy=("rawr-install", "activate", instance.root),
        details={"ownerWorkspacePath": facts.owner.path, "instanceRoot": instance.root},
    )


def _view(facts: Facts, instance: Instance, mode: str, seam: str, owner: str | None) -> dict[str, object]:
    return {
        "mode": mode,
        "entryPath": facts.entry.path,
        "target": instance.cli,
        "instanceRoot": instance.root,
        "aliasInstanceSeamStatus": seam,
        "ownerFilePath": facts.owner_path,
        "ownerWorkspacePath": owner,
    }


# -- the owner ---------------------------------------------------------------


def _ownership(facts: Facts, instance: Instance) -> str:
    if facts.owner.real == instance.root:
        return "already"
    return "transferred" if facts.owner.raw else "initialized"


def _owner_change(facts: Facts, instance: Instance) -> tuple[Change, ...]:
    # Two spellings of one real path are one instance: nothing to write.
    if facts.owner.real == instance.root:
        return ()
    _writable_owner(facts)
    mode = facts.owner_value.mode if facts.owner_value.kind == "file" else 0o644
    after = file_value(_owner_line(instance.root), mode)
    return (Change("owner", facts.owner_path, facts.owner_value, after),)


def _writable_owner(facts: Facts) -> None:
    if facts.owner_value == KEPT:
        raise RefusedError(
            f"The owner file {facts.owner_path} is no small regular file that you can read, so it is not replaced.",
            code="OWNER_FILE_UNUSABLE",
            remedy=("mv", facts.owner_path, facts.owner_path + ".broken"),
        )


def _owner_line(root: str) -> bytes:
    """The owner file's bytes; the file's grammar is one line of UTF-8 whose edges are stripped."""
    try:
        line = root.encode("utf-8")
    except UnicodeEncodeError:
        line = b""
    if not line or root != root.strip(WHITE_SPACE) or any(char in root for char in "\n\r"):
        raise RefusedError(
            f"The path {root} cannot be written to the owner file: it is not one line of UTF-8 without outer spaces.",
            code="WORKSPACE_PATH_UNSUITABLE",
            hint="rename the folder",
        )
    return line + b"\n"


def _owner_elsewhere(facts: Facts, instance: Instance) -> tuple[str, ...]:
    return (
        f"Note: the global rawr owner still points to another checkout: {facts.owner.path}",
        f"Note: to transfer ownership, run: {shlex.join(('rawr-install', 'activate', instance.root))}",
    )


# -- the entry ---------------------------------------------------------------


def _entry_change(facts: Facts, instance: Instance, mode: str) -> tuple[Change, ...]:
    wanted = facts.shell_entry if mode == SHIM else link_value(instance.cli)
    if _in_place(facts, instance, mode, wanted):
        return ()
    _writable_folder(facts)
    if _is_ours(facts):
        return (Change("entry", facts.entry.path, facts.entry_value, wanted),)
    if not facts.request.force:
        raise _foreign(facts.entry.path, facts.entry.kind, instance.root)
    return (Change("entry", facts.entry.path, KEPT, wanted, facts.entry_aside),)


def _in_place(facts: Facts, instance: Instance, mode: str, wanted: Value) -> bool:
    if mode == SHIM:
        # A link to a shell entry is a package manager's: it follows the installed version by itself.
        return facts.entry_value == wanted or (facts.entry.kind == SHIM and facts.entry.link is not None)
    return facts.entry_value == wanted or facts.entry.instance == instance.root


def _is_ours(facts: Facts) -> bool:
    listed = any(item.path == facts.entry.path and item.matches(facts.entry_value) for item in facts.receipt)
    return facts.entry.ours or facts.entry_value == ABSENT or listed


def _writable_folder(facts: Facts) -> None:
    folder = facts.entry.path.rpartition("/")[0] or "/"
    if facts.bin_dir_problem == "not-a-folder":
        raise RefusedError(
            f"The bin folder {folder} cannot hold an entry: it, or a parent of it, is no folder.",
            code="BIN_DIR_NOT_A_FOLDER",
            hint="move that file away, or choose another folder with --bin-dir",
        )
    if facts.bin_dir_problem:
        raise RefusedError(
            f"The bin folder {folder} is not writable for you.",
            code="BIN_DIR_NOT_WRITABLE",
            hint="make it writable, or choose another folder with --bin-dir",
        )


def _foreign(path: str, kind: str, root: str | None = None) -> RefusedError:
    named = ("--workspace", root) if root else ()
    return RefusedError(
        f"{path} is not ours ({kind}), so it is left alone.",
        code="FOREIGN_ENTRY",
        remedy=("rawr-install", "install", *named, "--force") if root else ("mv", path, path + ".mine"),
        details={"path": path, "kind": kind},
    )


def _path_notes(facts: Facts, mode: str) -> tuple[str, ...]:
    """What a person should know about PATH once the entry is in place."""
    folder = facts.entry.path.rpartition("/")[0]
    if folder not in [named.rstrip("/") for named in facts.path_folders]:
        return (f"Note: {folder} is not on PATH; add it to run rawr by name.",)
    shims = [found.path for found in facts.path_entries if found.kind == SHIM and found.path != facts.entry.path]
    if mode == SHIM or not shims or _first(facts, shims[0]) != facts.entry.path:
        return ()
    said = f"Note: {facts.entry.path} comes before the shell entry {shims[0]} on PATH, so rawr runs this workspace in"
    return (f"{said} every folder; to run the workspace you stand in: rawr-install install --mode shim",)


def _first(facts: Facts, other: str) -> str:
    """Which of our entry's place and ``other`` a search of PATH meets first."""
    names = (f"{folder.rstrip('/')}/rawr" for folder in facts.path_folders)
    return next((name for name in names if name in (facts.entry.path, other)), other)


# -- receipt, uninstall, rollback --------------------------------------------


def _with_receipt(facts: Facts, changes: Sequence[Change], adopt: bool = True) -> tuple[Change, ...]:
    """The changes and the receipt's own; ``adopt`` also lists what was in place already."""
    if not changes:
        return ()
    items = facts.receipt
    for change in (*(_held(facts) if adopt else ()), *changes):
        items = receipt.record(items, change)
    written = Change("receipt", facts.receipt_file, facts.receipt_value, receipt.value_of(items))
    return (*changes, written) if written.before != written.after else tuple(changes)


def _held(facts: Facts) -> Iterable[Change]:
    if facts.entry.ours:
        yield Change("entry", facts.entry.path, facts.entry_value, facts.entry_value)
    if facts.owner.status == "valid":
        yield Change("owner", facts.owner_path, facts.owner_value, facts.owner_value)


def _removal(facts: Facts, item: Item) -> Change | None:
    found = facts.seen[item.path]
    aside = item.setAside if item.setAside in found.asides else None
    if found.value != ABSENT and not item.matches(found.value):
        return None
    if found.value == ABSENT and aside is None:
        return None
    return Change(item.role, item.path, found.value, KEPT if aside else ABSENT, aside)


def _left_notes(facts: Facts, left: Sequence[Item]) -> Iterable[str]:
    for item in left:
        yield f"Left {item.path}: it was modified since it was installed."
        if item.setAside:
            yield f"Left {item.setAside}: what stood at {item.path} before; uninstall again once that is moved away."
    if facts.entry_value != ABSENT and facts.entry.path not in [item.path for item in facts.receipt]:
        yield f"Left {facts.entry.path}: not in the receipt, so not put there by this toolkit."


def _known_change(facts: Facts, to: int) -> None:
    if to != 0 and all(record.id != to for record in facts.history):
        raise UsageError(
            f"There is no change number {to} in the history.", code="NO_SUCH_CHANGE", remedy=("rawr-install", "history")
        )


def _rewind(facts: Facts, number: int) -> Plan:
    """The plan that undoes record ``number`` and all after it."""
    wanted = history.before(facts.history, number)
    changes = [change for each in wanted.values() if (change := _rewound(facts, each)) is not None]
    order = {"owner": 0, "entry": 1, "receipt": 2}
    changes.sort(key=lambda change: order.get(change.role, 1))
    return Plan("rollback", tuple(changes), _view_after(changes) | {"undoneFrom": number}, rewound=number)


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


def _rewound(facts: Facts, earliest: Change) -> Change | None:
    """One name back to what it was before ``earliest``; None where it is so already."""
    path, target, found = earliest.path, earliest.before, facts.seen[earliest.path]
    if target == KEPT:
        waits = earliest.aside in found.asides
        return Change(earliest.role, path, found.value, KEPT, earliest.aside) if waits and not found.foreign else None
    if found.value == target:
        return None
    if not found.foreign:
        return Change(earliest.role, path, found.value, target)
    last = [change for record in facts.history for change in record.changes if change.path == path][-1]
    if last.after != KEPT or last.aside is None or found.asides:
        raise _foreign(path, "changed since by somebody else")
    return Change(earliest.role, path, KEPT, target, last.aside)
