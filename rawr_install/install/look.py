"""Look at the machine once: everything that a plan is made from, as frozen values."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from rawr_install.dispatch.locate import current_folder, find_workspace
from rawr_install.dispatch.workspace import Owner, cli_path, read_owner, same_folder
from rawr_install.errors import RefusedError, os_error_in_words
from rawr_install.install import shell_entry
from rawr_install.install.place import entries_in, mode_and_path, path_folders
from rawr_install.install.policy import trust_refusal
from rawr_install.machine import entry as entries
from rawr_install.machine.change import PathState, backup_name, file_with, read_path
from rawr_install.machine.entry import Entry
from rawr_install.machine.records import Receipt, Record, read_receipt
from rawr_install.paths import Paths


@dataclass(frozen=True)
class Instance:
    """One workspace: its real path, its CLI, and what stands in the way of running it."""

    root: str
    cli: str
    cli_status: str  # ok | missing | not-executable
    refusal: RefusedError | None


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    mode: str | None = None
    bin_dir: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Found:
    """What stands now at a name that the receipt or the history speaks of."""

    value: PathState
    foreign: bool
    backups: frozenset[str]


@dataclass(frozen=True)
class Facts:
    """The machine as found.

    ``mode`` and ``entry`` are the kind and place that a command is about.
    ``owner_path`` is ``owner_file``, or what the user's own link there leads to.
    ``on_path`` is whether PATH has the entry's folder; ``ahead`` is the command
    that PATH finds before it.
    """

    instance: Instance | None
    request: Request
    owner: Owner
    owner_file: str
    owner_file_value: PathState
    owner_path: str
    owner_value: PathState
    mode: str
    entry: Entry
    entry_value: PathState
    entry_backup: str
    bin_dir_problem: str | None
    on_path: bool
    ahead: Entry | None
    shell_entry: PathState
    receipt: Receipt
    receipt_file: str
    receipt_value: PathState
    history: tuple[Record, ...]
    seen: Mapping[str, Found]

    def about(self, instance: Instance) -> Facts:
        """These facts for a command about ``instance``, whose name owner and entry get where they lead to it."""
        entry = self.entry
        if entry.instance and same_folder(entry.instance, instance.root):
            entry = entry._replace(instance=instance.root)
        return replace(self, instance=instance, owner=self.owner.known_as(instance.root), entry=entry)


def look(paths: Paths, request: Request, records: Sequence[Record]) -> Facts:
    """Read everything that a plan may need but the instance; writes nothing.

    ``records`` are the history. Raises RawrError for a broken receipt.
    """
    items = read_receipt(paths.receipt_file)
    receipt_file = os.path.realpath(paths.receipt_file)
    folders = path_folders(paths)
    bin_dir = os.path.join(current_folder(), os.path.normpath(request.bin_dir)) if request.bin_dir else None
    mode, path = mode_and_path(paths, request.mode, bin_dir, entries_in(folders), items)
    try:
        owner_value, entry_value = read_path(owner_place(paths)), read_path(path)
        owner_file_value, receipt_value = read_path(paths.owner_file), read_path(receipt_file)
        seen = _look_at_known(items, records)
    except OSError as error:
        raise RefusedError(
            f"What could not be put back is not changed: {os_error_in_words(error)}.",
            code="UNREADABLE",
            hint="make it readable for you, or move it away",
        ) from None
    own = os.path.realpath(os.path.dirname(path))
    before = tuple(takewhile(lambda folder: os.path.realpath(folder) != own, folders))
    return Facts(
        instance=None,
        request=request,
        owner=read_owner(paths.owner_file),
        owner_file=paths.owner_file,
        owner_file_value=owner_file_value,
        owner_path=owner_place(paths),
        owner_value=owner_value,
        mode=mode,
        entry=entries.look(path),
        entry_value=entry_value,
        entry_backup=backup_name(path),
        bin_dir_problem=_folder_problem(os.path.dirname(path)),
        on_path=len(before) < len(folders),
        ahead=entries.first_command(iter(entries_in(before))),
        shell_entry=file_with(shell_entry.contents(), 0o755),
        receipt=items,
        receipt_file=receipt_file,
        receipt_value=receipt_value,
        history=tuple(records),
        seen=seen,
    )


def _look_at_known(items: Receipt, records: Sequence[Record]) -> dict[str, Found]:
    waiting: dict[str, set[str]] = {}
    roles: dict[str, str] = {}
    for item in items:
        roles[item.path] = item.role
        waiting.setdefault(item.path, set()).add(item.setAside or "")
    for change in (change for record in records for change in record.changes):
        roles[change.path] = change.role
        waiting.setdefault(change.path, set()).add(change.backup or "")
    return {path: _found(path, role, waiting[path]) for path, role in roles.items()}


def _found(path: str, role: str, backups: set[str]) -> Found:
    value = read_path(path)
    found = entries.look(path)
    foreign = role == "entry" and value.kind != "absent" and not found.ours
    return Found(value, foreign or value.kind == "kept", frozenset(filter(os.path.lexists, backups - {""})))


def owner_place(paths: Paths) -> str:
    """Where the owner file is written: through a link that leads to a file (dotfile managers make such links)."""
    path = paths.owner_file
    return os.path.realpath(path) if os.path.islink(path) and os.path.isfile(path) else path


def _folder_problem(folder: str) -> str | None:
    """Why no entry can be made in ``folder``: ``not-a-folder``, ``not-writable``, or None."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return "not-a-folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else "not-writable"


def find_instance(paths: Paths, named: str | None) -> Instance:
    """The workspace that a command is about; raises what ``find_workspace`` raises."""
    return _instance(find_workspace(named, paths.environ), paths)


def _instance(root: str, paths: Paths) -> Instance:
    cli = cli_path(root)
    return Instance(root, cli, _cli_status(cli), trust_refusal(root, paths.environ))


def _cli_status(cli: str) -> str:
    try:
        info = os.stat(cli)
    except OSError:
        return "missing"
    usable = stat.S_ISREG(info.st_mode) and os.access(cli, os.X_OK)
    return "ok" if usable else "not-executable"
