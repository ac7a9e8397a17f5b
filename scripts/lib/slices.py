"""The slices of the contract that are proven by tests, and the promises that each must prove."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

C1 = """
exclusion.rival-inside exclusion.crowd lock.record lock.dead-holder lock.dead-peer peer.respected peer.old-and-alive
lost.not-acknowledged lost.done-again lost.at-the-rename write.atomic write.durable write.only-changes
format.bytes format.unknown-keys format.one-list refuse.foreign-content refuse.newer-version
mutator.nested mutator.raises survive.link-and-mode read.no-lock root.real-path
"""
C2 = """
event.shape event.lifecycle event.peers trace.links trace.context
run.completed run.failed run.none run.killed run.terminated run.times run.recorded
lock.emits lock.counted lock.waited lock.holder
log.crowd log.append log.bounded log.never-fails log.local log.lines log.numbers log.secrets log.switch
reader.all-lines reader.choice reader.follow reader.whole reader.shown
"""
C3 = """
install.lines install.cli-missing install.other-owner install.foreign-entry install.managed-entry install.keeps-kind
activate.idempotent activate.dry-run activate.rivals activate.all-or-nothing activate.killed
rollback deactivate uninstall owner.grammar doctor.document dispatch.table dispatch.fallback dispatch.trust
plugins.document
"""
C4 = "D-010.ends-once D-010.never-fails D-010.bounded"

REQUIRED: dict[str, frozenset[str]] = {
    name: frozenset(ids.split()) for name, ids in {"C1": C1, "C2": C2, "C3": C3, "C4": C4}.items()
}

# What belongs to a slice though its room does not; then the rooms. What is named nowhere is C3's.
FILES = {
    "C4": "docs/dispositions/* scripts/assess_* scripts/lib/[tw]r*.py tests/scripts/test_triggers.py "
    "tests/events/test_end_of_run.py",
}
DOCS = ("state", "events", "dispatch", "doctor", "plugins")  # rooms that have pages of their name
NAMED = {"docs": "tests/test_docs.py", "project": "tests/test_docs.py", "data": "tests/test_schemas.py"}
ROOMS = {"state": "C1", "foundation": "C1", "events": "C2", "scripts": "C5"}


def slice_of(path: str) -> str:
    """The slice of the contract that a file of the project belongs to."""
    listed = (name for name, patterns in FILES.items() if any(fnmatch(path, each) for each in patterns.split()))
    return next(listed, ROOMS.get(room_of(path), "C3"))


def room_of(path: str) -> str:
    """Who owns a file: its room, which tests and docs mirror."""
    top, _, rest = path.partition("/")
    inner = rest.partition("/")[0]
    if top in ("rawr_install", "tests"):
        return inner if "/" in rest else "foundation"
    if top == "docs":
        return next((room for room in DOCS if inner.startswith(room)), "docs")
    if top.startswith((".", "scripts")):
        return "scripts"
    return {"shims": "dispatch", "fleet": "fleet"}.get(top, "project")


def tests_of(path: str, tree: Path) -> str:
    """The tests of a file: the folder that mirrors its room, else the test file that bears its name or imports it."""
    room, stem = room_of(path), Path(path).stem.replace("__init__", "rawr_install")
    name = NAMED.get(room, f"tests/{room}")
    if path.startswith("tests/") and stem.startswith("test_"):
        name = path
    elif room == "foundation":
        importing = re.compile(rf"^ *(from|import) .*\b{stem}\b", re.M)
        files = [tree / f"tests/test_{stem}.py", *sorted((tree / "tests").rglob("test_*.py"))]
        found = (
            each for each in files if each.exists() and (each == files[0] or importing.search(each.read_text("utf-8")))
        )
        name = next((each.relative_to(tree).as_posix() for each in found), "tests")
    return name if name and (tree / name).exists() else ""
