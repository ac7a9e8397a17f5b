"""From facts to a plan: what ``install`` and ``activate`` change. Pure.

A plan is a list of changes in the order in which they are made, and how things stand afterwards. An empty list means
that everything is in place. :mod:`~rawr_install.machine.undo` plans what takes things away again,
:func:`rawr_install.machine.outcome.after` gives the facts as a plan would leave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from rawr_install.dispatch.messages import as_refused
from rawr_install.dispatch.workspace import seam_status
from rawr_install.ecmascript import trim
from rawr_install.encoding import to_wire
from rawr_install.machine import messages, records
from rawr_install.machine.change import ABSENT, FOREIGN, Change, PathState, file_with, link_to
from rawr_install.machine.entry import LINK, SHIM, UNFILLED, Entry, first_command
from rawr_install.machine.facts import Facts, Instance, PathFacts
from rawr_install.report import command_line

R = TypeVar("R")


class Request(NamedTuple):
    """What was asked for on the command line; ``bin_dir`` is absolute."""

    mode: str | None = None
    bin_dir: str | None = None
    force: bool = False


class Step(NamedTuple):
    """A change as a program reads it; file contents stay out."""

    role: str
    path: str
    step: str


class Plan(NamedTuple, Generic[R]):
    """What a command will change, how things stand afterwards, and what it has to say."""

    changes: tuple[Change, ...]
    result: R
    notes: tuple[str, ...] = ()
    rewound: int | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The changes in words."""
        return tuple(Step(each.role, each.path, each.describe()) for each in self.changes)


class Installed(NamedTuple):
    """How things stand after ``install``, in the words of its JSON."""

    mode: str
    entry_path: str
    target: str | None
    instance_root: str | None
    alias_instance_seam_status: str
    owner_file_path: str
    owner_workspace_path: str | None


class Activated(NamedTuple):
    """How things stand after ``activate``; ``ownership`` is ``initialized``, ``already`` or ``transferred``."""

    mode: str
    entry_path: str
    target: str | None
    instance_root: str
    alias_instance_seam_status: str
    owner_file_path: str
    owner_workspace_path: str
    ownership: str
    previous_owner: str | None


def plan_install(facts: Facts, request: Request) -> Plan[Installed]:
    """Put the entry in place; the owner stays as it is. Where a shim of ours runs already there is nothing to do.

    Raises RefusedError: ``TOOLKIT_NOT_INSTALLED``, ``FOREIGN_ENTRY``, ``MANAGED_ENTRY``, ``BIN_DIR_*``; for
    a link also ``OWNER_OTHER_INSTANCE``, ``WORKSPACE_CLI_*``, ``WORKSPACE_NOT_TRUSTED``.
    """
    mode, path = entry_place(facts, request)
    notes = _pass_over_owner(facts, _usable(facts), request) if mode == LINK else ()
    root = facts.instance.root if facts.instance else None
    seam, cli = seam_status(facts.owner, root), facts.instance.cli.path if facts.instance else None
    result = Installed(mode, path, cli, root, seam, facts.owner_target, facts.owner.path)
    again = ("install", "--workspace", root) if root else ("install",)
    changes = _entry_change(facts, request, mode, facts.seen[path], again)
    return Plan(with_receipt(facts, changes), result, notes + _path_notes(facts, mode, path))


def plan_activate(facts: Facts, request: Request) -> Plan[Activated]:
    """Make the instance the owner, with an entry that runs it; where a shim of ours runs the owner alone changes.

    Raises RefusedError as :func:`plan_install`, and ``OWNER_FILE_UNUSABLE``,
    ``WORKSPACE_PATH_UNSUITABLE``.
    """
    mode, path = entry_place(facts, request)
    instance, owner = _usable(facts), facts.owner
    root = instance.root
    ownership = "already" if owner.real == root else "transferred" if owner.raw else "initialized"
    seam, before = "owner-current-instance", owner.path or owner.raw or None
    result = Activated(mode, path, instance.cli.path, root, seam, facts.owner_target, root, ownership, before)
    entry = _entry_change(facts, request, mode, facts.seen[path], ("activate", root))
    wanted = (*_owner_change(facts, instance), *entry)
    return Plan(with_receipt(facts, wanted), result, _path_notes(facts, mode, path))


# What a command has always called these.
_CODES = {
    "CLI_MISSING": "WORKSPACE_CLI_MISSING",
    "CLI_DANGLING": "WORKSPACE_CLI_MISSING",
    "CLI_NOT_EXECUTABLE": "WORKSPACE_CLI_NOT_EXECUTABLE",
}


def _usable(facts: Facts) -> Instance:
    instance = facts.instance
    assert instance is not None  # activate, and install of a link, always look for one
    cli = instance.cli
    # Bun may be missing yet: that is one of the needs that are reported afterwards.
    if cli.refusal and (cli.refusal.code != "CLI_INTERPRETER_MISSING" or cli.shebang != "bun"):
        raise as_refused(cli.refusal, _CODES.get(cli.refusal.code, ""))
    refusal = messages.untrusted(instance.root, instance.obstacle, instance.trust_remedy, instance.writable)
    if refusal is not None:
        raise refusal
    return instance


def _pass_over_owner(facts: Facts, instance: Instance, request: Request) -> tuple[str, ...]:
    """The note that another valid instance is the owner; RefusedError ``OWNER_OTHER_INSTANCE`` without ``--force``."""
    if facts.owner.status != "valid" or facts.owner.real == instance.root:
        return ()
    activate = ("rawr-install", "activate", instance.root)
    if not request.force:
        raise messages.other_owner(facts.owner.path or "", facts.owner_target, instance.root)
    return (
        f"Note: the global rawr owner still points to another checkout: {facts.owner.path}",
        f"Note: to transfer ownership, run: {command_line(activate)}",
    )


# -- the owner ---------------------------------------------------------------


def _owner_change(facts: Facts, instance: Instance) -> tuple[Change, ...]:
    # Two spellings of one real path are one instance: nothing to write.
    if facts.owner.real == instance.root:
        return ()
    before = writable_owner(facts)
    after = file_with(_owner_line(instance.root), before.mode if before.kind == "file" else 0o644)
    return (Change("owner", facts.owner_target, before, after),)


def _owner_line(root: str) -> bytes:
    """The owner file's bytes; the file's grammar is one line of UTF-8 whose edges are stripped."""
    try:
        line = to_wire(root)
    except UnicodeError:
        line = ""
    if not line or line != trim(line) or any(char in line for char in "\n\r"):
        raise messages.unsuitable_path(root)
    return f"{line}\n".encode()


def writable_owner(facts: Facts) -> PathState:
    """The owner file as it stands; raises RefusedError ``OWNER_FILE_UNUSABLE`` for what could not be put back."""
    path = facts.owner_target
    found, folder = facts.seen[path], path.rpartition("/")[0]
    if found.problem == "not-a-folder":
        said = f"{folder} is not a folder, so the owner file has no place."
        raise messages.unusable_owner(said, folder, found.set_aside)
    if found.state == FOREIGN:
        said = f"The owner file {path} is not a small regular file that you can read, so it is not replaced."
        raise messages.unusable_owner(said, path, found.set_aside)
    return found.state


# -- where the entry goes ----------------------------------------------------


def entry_place(facts: Facts, request: Request) -> tuple[str, str]:
    """The entry's mode and path: as asked for, else as the machine has them, else their defaults."""
    mode = request.mode or facts.mode
    if request.bin_dir:
        return mode, f"{request.bin_dir.rstrip('/')}/rawr"
    if mode == SHIM:
        return mode, _shim_path(facts)
    links = [path for path, installed in facts.records.installed if installed == LINK]
    return mode, facts.bun_entry.path if facts.bun_entry.path in links or not links else links[-1]


def _shim_path(facts: Facts) -> str:
    on_path = _before(facts, None)
    first = first_command(iter(on_path))
    # What comes first of ours is what a shim has to take the place of, or it would not be the one that runs.
    ours = first if first and first.kind == "shim" else next((entry for entry in on_path if entry.ours), None)
    installed = [path for path, _ in facts.records.installed]
    if ours:
        # PATH may spell the folder in another way than the receipt does.
        known, folder = (*installed, facts.bun_entry.path), facts.seen[ours.path].folder
        return next((name for name in known if facts.seen[name].folder == folder), ours.path)
    if installed:
        return installed[-1]
    bun = facts.bun_entry.path
    return bun if _is_on_path(facts, bun) else facts.local_entry


def _is_on_path(facts: Facts, path: str) -> bool:
    # A relative folder does not count: what it holds depends on where one stands.
    return any(each.real == facts.seen[path].folder for each in facts.path.folders if each.path.startswith("/"))


def _before(facts: Facts, path: str | None) -> tuple[Entry, ...]:
    """Every ``rawr`` on PATH before the folder of ``path``; all of them for None."""
    found: list[Entry] = []
    for each in facts.path.folders:
        if path and each.real == facts.seen[path].folder:
            break
        if each.path.startswith("/") and each.entry.kind != "missing":
            found.append(each.entry)
    return tuple(found)


# -- the entry ---------------------------------------------------------------


def _entry_change(
    facts: Facts, request: Request, mode: str, place: PathFacts, again: tuple[str, ...]
) -> tuple[Change, ...]:
    """The entry's change, if any; ``again`` are the command's words, for a remedy that asks for force."""
    entry = place.entry
    assert entry is not None and facts.shell_entry is not None
    if facts.not_installed is not None:
        raise facts.not_installed
    wanted = facts.shell_entry if mode == SHIM else link_to(facts.instance.cli.path if facts.instance else "")
    shipped = is_shipped(facts, place)
    made = entry.executable and place.state._replace(mode=wanted.mode) == wanted
    if made or place.state == wanted or _in_place(facts, mode, entry, shipped):
        return ()
    if entry.managed or shipped:
        raise messages.managed_entry(entry, "choose another folder with --bin-dir, or ")
    # A link may stand on a noexec file system: what it leads to is started from where that is.
    if place.problem and (place.problem, mode) != ("noexec", LINK):
        raise messages.unusable_folder(entry.path, place.problem)
    unmodified = any(item.path == entry.path and item.matches(place.state) for item in facts.records.receipt)
    if entry.ours or place.state == ABSENT or unmodified:
        return (Change("entry", entry.path, place.state, wanted),)
    if not request.force:
        place_words = ("--bin-dir", entry.path.rpartition("/")[0]) if request.bin_dir else ()
        mode_words = ("--mode", request.mode) if request.mode else ()
        with_force = ("rawr-install", *again, *mode_words, *place_words, "--force")
        raise messages.foreign_entry(entry.path, entry.kind, with_force)
    return (Change("entry", entry.path, FOREIGN, wanted, place.backup_name),)


def is_shipped(facts: Facts, place: PathFacts) -> bool:
    """Whether a package manager put it there as a file, which its update renews: it lacks the way back of a copy."""
    entry = place.entry
    if entry is None or entry.kind != "shim" or UNFILLED not in place.state.data:
        return False
    return all(item.path != entry.path for item in facts.records.receipt)


def _in_place(facts: Facts, mode: str, entry: Entry, shipped: bool) -> bool:
    """Whether an entry that is not the one we would make does the same, and is not ours to bring up to date."""
    if mode == LINK:
        return facts.instance is not None and entry.instance == facts.instance.root
    return entry.kind == "shim" and entry.executable and (entry.link is not None or shipped)


def _path_notes(facts: Facts, mode: str, path: str) -> tuple[str, ...]:
    """What a person should know about PATH once the entry is in place."""
    ahead = first_command(iter(_before(facts, path)))
    if not _is_on_path(facts, path):
        instead = f", so {ahead.path} runs" if ahead else "; add it to run rawr by name"
        return (f"Note: {path.rpartition('/')[0]} is not on PATH{instead}.",)
    if ahead and (ahead.kind, mode) != ("shim", SHIM):
        return (f"Note: {ahead.path} ({ahead.kind}) comes before it on PATH and runs instead.",)
    if mode == SHIM:
        return ()
    said = "rawr runs this workspace in every folder; to run the workspace you stand in"
    return (f"Note: {said}: rawr-install install --mode shim",)


# -- the receipt -------------------------------------------------------------


def with_receipt(facts: Facts, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes and, where it has to change, the receipt's own."""
    touched = {change.path for change in changes}
    items = tuple(item for item in facts.records.receipt if item.path in touched or not _lost(facts, item))
    for change in changes:
        items = records.after_change(items, change)
    return (*changes, receipt_change(facts, items)) if items != facts.records.receipt else tuple(changes)


def receipt_change(facts: Facts, items: records.Receipt) -> Change:
    """The receipt becomes ``items``."""
    return Change("receipt", facts.receipt_file, facts.seen[facts.receipt_file].state, records.receipt_state(items))


def _lost(facts: Facts, item: records.Item) -> bool:
    """Whether the item is nothing to remove or put back any more: gone, or a package manager took its place."""
    found = facts.seen[item.path]
    taken = found.entry is not None and found.entry.managed
    return (found.state == ABSENT or taken) and item.setAside not in found.backups
