"""What the log says of waits for the lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MEET = """
import sys, threading, time
from rawr_install import mutate_repo_state_atomically as mutate
root, short, ending = sys.argv[1], int(sys.argv[2]), sys.argv[3]
contended = 0

def meet(seconds, change):
    global contended
    held = threading.Event()
    def hold(state):
        held.set()
        time.sleep(seconds)
    holder = threading.Thread(target=mutate, args=(root, hold))
    holder.start()
    held.wait()
    contended += mutate(root, change).contended  # on a busy machine the other may have left before we came
    holder.join()

def fail(state):
    raise RuntimeError("the mutator's own")

for _ in range(short):
    meet(0.01, lambda state: None)
time.sleep(0.2)
try:
    change = {"!": fail, "~": lambda state: time.sleep(1)}.get(ending[-1], lambda state: None)
    meet(float(ending.strip("!~")), change)
except RuntimeError:
    pass
print(contended)
"""


def events_of(tmp_path: Path, *words: str) -> tuple[list[dict[str, Any]], int]:
    """The events of a process whose threads meet at the lock: so many short waits, a pause, a last wait.

    And how many of the changes that succeeded had to wait.
    """
    home, root = tmp_path / "home", tmp_path / "ws"
    home.mkdir()
    root.mkdir()
    environ = {**os.environ, "HOME": str(home)}
    environ.pop("XDG_STATE_HOME", None)
    command = [sys.executable, "-c", MEET, str(root), *words]
    done = subprocess.run(command, env=environ, check=True, timeout=60, stdout=subprocess.PIPE)
    log = home / ".local/state/rawr/events.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()], int(done.stdout)


@pytest.mark.contract("C2", "lock.counted", "every contended lock is counted")
def test_of_many_short_waits_some_are_told_and_all_are_counted(tmp_path: Path) -> None:
    told, waits = events_of(tmp_path, "40", "0.01")
    contended = [event for event in told if event["type"] == "lock.contended"]
    assert sum(1 + event["untold"] for event in contended) == waits > 20
    assert len(contended) < waits
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"] * len(contended)


def test_one_short_wait_is_told(tmp_path: Path) -> None:
    told, _waits = events_of(tmp_path, "0", "0.05")
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"]


def test_a_wait_is_told_also_when_the_mutator_raises(tmp_path: Path) -> None:
    told, _waits = events_of(tmp_path, "0", "0.3!")
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"]
    assert told[1]["waitedMs"] >= 250


def test_what_is_told_is_the_wait_and_not_the_change(tmp_path: Path) -> None:
    told, _waits = events_of(tmp_path, "0", "0.05~")
    assert [event["waitedMs"] < 600 for event in told] == [True, True], "the change's own second is told as waiting"
