"""A home whose event log the tests read line by line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.distribution import PROJECT

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACED = pytest.mark.contract("C2", "trace.context", "a caller's trace is kept with the run and handed on as a child")


def is_child_of_trace(handed: str) -> bool:
    """Whether it is a place of its own in :data:`TRACE`."""
    return re.fullmatch(TRACE.replace("00f067aa0ba902b7", "[0-9a-f]{16}"), handed) is not None and handed != TRACE


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own event log, in a home of its own; not there yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "RAWR_EVENTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".local/state/rawr/events.jsonl"


def documented() -> dict[str, set[str]]:
    """Type of event -> the fields that docs/events.md gives it."""
    found: dict[str, set[str]] = {}
    known: set[str] = set()
    page = (PROJECT / "docs/events.md").read_text()
    for name, cell in re.findall(r"^\| `([a-z.]+)` \| .* \| (.*) \|$", page, re.M):
        words = {word for code in re.findall(r"`([\w., ]+)`", cell) for word in re.split(r"[.,] ?", code)}
        known = found[name] = words | (known if cell.startswith("the same") else set())
    return {name: fields | {"eventId", "ts", "type", "pid", "runId"} for name, fields in found.items()}


def read_events(path: Path) -> list[dict[str, Any]]:
    """The lines of one file, each of which must be an event."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
