"""The facts as changes would leave them, so that a doctor can ask what a remedy would do before it prints it. Pure.

Of what changes bring that the facts have never seen (an older workspace's link, a foreign file put back) it is only
known that it is there: such an entry is ``foreign``, such an owner ``valid``.
"""

from __future__ import annotations

from collections.abc import Iterable

from rawr_install.dispatch.program import shell_entry_version
from rawr_install.dispatch.workspace import Owner
from rawr_install.ecmascript import trim
from rawr_install.machine import records
from rawr_install.machine.change import ABSENT, Change, PathState
from rawr_install.machine.entry import Entry
from rawr_install.machine.facts import Facts, Folder, PathFacts, Records, distinct


def after(facts: Facts, changes: Iterable[Change]) -> Facts:
    """``facts`` once ``changes`` are made; those need :func:`rawr_install.machine.probe.path_facts.with_paths`."""
    for change in changes:
        facts = _AFTER[change.role](facts, change)
    return facts._replace(records=_records(facts), off_path=_off_path(facts))


def moved_away(facts: Facts, path: str) -> tuple[Change, ...]:
    """The changes of ``mv PATH ELSEWHERE`` for an entry, or for the owner file."""
    role = "owner" if path == facts.owner_file else "entry"
    return (Change(role, path, facts.seen[path].state if path in facts.seen else ABSENT, ABSENT),)


def _after_owner(facts: Facts, change: Change) -> Facts:
    text = trim(change.after.data.decode("utf-8", "replace"))
    here = facts.instance is not None and text == facts.instance.root
    owner = Owner("valid", True, text, text if here else None, text) if text else Owner("missing", exists=False)
    seen = {**facts.seen, change.path: PathFacts(change.after)}
    return facts._replace(owner=owner, seen=seen)


def _after_receipt(facts: Facts, change: Change) -> Facts:
    receipt = records.receipt_in(change.after, change.path)
    seen = {**facts.seen, change.path: PathFacts(change.after)}
    return facts._replace(records=facts.records._replace(receipt=receipt), seen=seen)


def _after_entry(facts: Facts, change: Change) -> Facts:
    found = facts.seen[change.path]
    entry = _entry(facts, change.path, change.after)
    backups = found.backups | {change.backup} if change.backs_up and change.backup else found.backups - {change.backup}

    def of(folder: str, before: Entry) -> Entry:
        return entry._replace(path=before.path) if folder == found.folder else before

    # PATH may spell the folder in another way.
    same = {path: each for path, each in facts.seen.items() if each.entry and each.folder == found.folder}
    changed = {path: each._replace(state=change.after, entry=entry._replace(path=path)) for path, each in same.items()}
    seen = {**facts.seen, **changed, change.path: changed[change.path]._replace(backups=backups)}
    folders = tuple(Folder(each.path, each.real, of(each.real, each.entry)) for each in facts.path.folders)
    entries, also_at = distinct(folders)
    bun = facts.bun_entry.path
    gone, cached = (
        tuple(path for path in paths if path != change.path)
        for paths in (facts.environment.toolkits_gone, facts.environment.cached_toolkits)
    )
    return facts._replace(
        seen=seen,
        path=facts.path._replace(folders=folders, entries=entries, also_at=also_at),
        bun_entry=of(facts.seen[bun].folder if bun in facts.seen else "", facts.bun_entry),
        environment=facts.environment._replace(toolkits_gone=gone, cached_toolkits=cached),
    )


_AFTER = {"owner": _after_owner, "entry": _after_entry, "receipt": _after_receipt}


def _entry(facts: Facts, path: str, state: PathState) -> Entry:
    instance = facts.instance
    if state == ABSENT:
        return Entry(path, "missing")
    if state.kind == "link" and instance is not None and state.target == instance.cli.path:
        kind = "workspace-link" if instance.cli.real else "dangling"
        return Entry(path, kind, instance.cli.real, state.target, instance.root, instance.cli.executable)
    if state == facts.shell_entry:
        version = shell_entry_version(state.data)
        return Entry(path, "shim", f"{facts.seen[path].folder}/rawr", executable=True, version=version)
    return Entry(path, "foreign", path, state.target or None, executable=True)


def _records(facts: Facts) -> Records:
    """What a command put in place is as the receipt says."""
    modified = tuple(
        (item.path, "missing" if facts.seen[item.path].state == ABSENT else "modified")
        for item in facts.records.receipt
        if item.path in facts.seen and not item.matches(facts.seen[item.path].state)
    )
    return facts.records._replace(modified=modified)


def _off_path(facts: Facts) -> Entry | None:
    on_path = {folder.real for folder in facts.path.folders}
    known = (*(path for path, _ in facts.records.installed), facts.local_entry)
    found = (facts.seen[path] for path in known if path in facts.seen and facts.seen[path].folder not in on_path)
    return next((each.entry for each in found if each.entry and each.entry.ours and each.entry.executable), None)
