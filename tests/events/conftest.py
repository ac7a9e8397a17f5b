"""A home whose event log the tests read line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own event log, in a home of its own; not there yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "RAWR_EVENTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".local/state/rawr/events.jsonl"


def read_events(path: Path) -> list[dict[str, Any]]:
    """The lines of one file, each of which must be an event."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
