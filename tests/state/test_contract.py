"""Two promises of the lock's contract in their plainest form: what stands there while it is held, and who waits."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from rawr_install import get_repo_state
from tests.state.conftest import lock_file, mutate

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.mark.contract("C1", "lock.record", "a lock of ours says who holds it, as the wire writes it")
def test_the_lock_is_the_wires_record_and_gone_afterwards(root: Path) -> None:
    seen: list[bytes] = []

    def look(state: object) -> None:
        seen.append(lock_file(root).read_bytes())

    mutate(root, look)
    (text,) = seen
    record = json.loads(text)
    assert list(record)[:2] == ["pid", "acquiredAt"] and record["pid"] == os.getpid()
    assert STAMP.fullmatch(record["acquiredAt"]) and text.endswith(b"}\n")
    assert not lock_file(root).exists()


@pytest.mark.contract("C1", "read.no-lock", "a reader takes no lock and waits for none")
def test_a_reader_neither_waits_for_the_lock_nor_takes_it(root: Path) -> None:
    mutate(root)
    left = json.dumps({"pid": os.getpid(), "acquiredAt": "2026-01-01T00:00:00.000Z"}) + "\n"
    lock_file(root).write_text(left)
    before = sorted(os.listdir(lock_file(root).parent))
    assert get_repo_state(root)["plugins"]["enabled"] == ["mine"]
    assert lock_file(root).read_text() == left and sorted(os.listdir(lock_file(root).parent)) == before
