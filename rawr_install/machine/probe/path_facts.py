"""What stands at every path that a change may touch; part of the look (:mod:`~rawr_install.machine.probe`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rawr_install.dispatch.program import mounted_noexec
from rawr_install.errors import RefusedError, os_error_in_words
from rawr_install.files import free_name, same_folder
from rawr_install.machine.entry import Entry, classify
from rawr_install.machine.facts import Facts, Instance, PathFacts
from rawr_install.machine.origin import not_installed
from rawr_install.machine.toolkit import shell_entry

if TYPE_CHECKING:
    from rawr_install.machine.records import Item, Record


def with_paths(facts: Facts, environ: Mapping[str, str], bin_dir: str | None = None) -> Facts:
    """``facts`` and what stands at every path that a change may touch; raises as :func:`probe_setup`."""
    from rawr_install.machine.change import file_with, read_path

    entries, waiting = _entry_paths(facts, bin_dir), _set_asides(facts.records.receipt, facts.records.history)
    try:
        seen = {path: _at_entry(path, waiting.get(path, set()), facts.instance) for path in entries}
        for path in {facts.owner_file, facts.owner_target, facts.receipt_file, *waiting} - seen.keys():
            problem = _folder_problem(os.path.dirname(path))
            in_the_way = os.path.dirname(path) if problem == "not-a-folder" else path
            seen[path] = PathFacts(read_path(path), problem=problem, set_aside=_set_aside(in_the_way))
    except OSError as error:
        raise RefusedError(
            f"What could not be put back is not changed: {os_error_in_words(error)}.",
            code="UNREADABLE",
            hint="make it readable for you, or move it away",
        ) from None
    made = file_with(shell_entry(), 0o755)
    return facts._replace(seen=seen, shell_entry=made, not_installed=not_installed(facts.home, environ))


def named_by(entry: Entry, instance: Instance | None) -> Entry:
    """The entry, seen as a link to ``instance`` by that one's name for it.

    Also where that CLI's own file is a link to somewhere else, and where it leads to another real path of the folder.
    """
    if instance is None or entry.link is None or entry.kind not in ("foreign", "workspace-link"):
        return entry
    if entry.real == instance.cli.real:
        return entry._replace(kind="workspace-link", instance=instance.root)
    if entry.instance and same_folder(entry.instance, instance.root):
        return entry._replace(real=instance.cli.real, instance=instance.root)
    return entry


def _entry_paths(facts: Facts, bin_dir: str | None) -> list[str]:
    """Every place of an entry: on PATH, the default ones, the asked one, and those that the records name."""
    on_path = (folder.entry.path for folder in facts.path.folders if folder.entry.kind != "missing")
    asked = (os.path.join(bin_dir, "rawr"),) if bin_dir else ()
    changes = (change for record in facts.records.history for change in record.changes)
    recorded = [item.path for item in facts.records.receipt if item.role == "entry"]
    recorded += [change.path for change in changes if change.role == "entry"]
    usual = (facts.bun_entry.path, facts.local_entry, *facts.environment.pnpm_shims)
    return list(dict.fromkeys((*on_path, *usual, *asked, *recorded)))


def _set_asides(items: Sequence[Item], history: Sequence[Record]) -> dict[str, set[str]]:
    """By path, the names under which the records say that something foreign waits."""
    waiting: dict[str, set[str]] = {}
    for item in items:
        waiting.setdefault(item.path, set()).add(item.setAside or "")
    for change in (change for record in history for change in record.changes):
        waiting.setdefault(change.path, set()).add(change.backup or "")
    return {path: names - {""} for path, names in waiting.items()}


def _at_entry(path: str, backups: set[str], instance: Instance | None) -> PathFacts:
    from rawr_install.machine.change import read_path

    folder = os.path.dirname(path)
    return PathFacts(
        read_path(path),
        named_by(classify(path), instance),
        os.path.realpath(folder),
        _folder_problem(folder),
        frozenset(filter(os.path.lexists, backups)),
        free_name(path, "before-rawr-install"),
        _set_aside(path),
    )


def _set_aside(path: str) -> str:
    """A free name in the real folder of ``path``: the same for each spelling of one place."""
    return free_name(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), "set-aside")


def _folder_problem(folder: str) -> str:
    """Why no entry can be made in ``folder``, in the words of :class:`PathFacts`."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder) or "."
    if not os.path.isdir(folder):
        return "not-a-folder"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "read-only"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "not-writable"
    return "noexec" if mounted_noexec(folder) else ""
