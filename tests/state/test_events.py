"""What the log says of waits for the lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rawr_install import (
    LockTimeoutError,
    RepoStateMutationOptions,
    mutate_repo_state_atomically,
    state_lock_path,
)
from rawr_install.ecmascript import now
from tests.events.conftest import documented, read_events
from tests.state.conftest import DEAD_PID, add, lease_of, leave_lock, lock_file, mutate, once_at, sleeper

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

begun = time.monotonic()
for _ in range(short):
    meet(0.01, lambda state: None)
time.sleep(0.2)
try:
    change = {"!": fail, "~": lambda state: time.sleep(1)}.get(ending[-1], lambda state: None)
    meet(float(ending.strip("!~")), change)
except RuntimeError:
    pass
print(contended, time.monotonic() - begun)
"""


def events_of(tmp_path: Path, *words: str) -> tuple[list[dict[str, Any]], int, float]:
    """The events of a process whose threads meet at the lock: so many short waits, a pause, a last wait.

    And how many of the changes that succeeded had to wait, and how many seconds all of it took.
    """
    home, root = tmp_path / "home", tmp_path / "ws"
    home.mkdir()
    root.mkdir()
    environ = {**os.environ, "HOME": str(home)}
    environ.pop("XDG_STATE_HOME", None)
    command = [sys.executable, "-c", MEET, str(root), *words]
    done = subprocess.run(command, env=environ, check=True, timeout=60, stdout=subprocess.PIPE)
    log = home / ".local/state/rawr/events.jsonl"
    waits, seconds = done.stdout.split()
    return [json.loads(line) for line in log.read_text().splitlines()], int(waits), float(seconds)


def told_of(home: Path) -> list[dict[str, Any]]:
    """The events of this process's own log, which is new afterwards."""
    log = home / ".local/state/rawr/events.jsonl"
    told = read_events(log)
    log.unlink()
    assert all(event.keys() <= documented()[event["type"]] for event in told)
    return told


@pytest.mark.contract("C2", "lock.emits", "every event of a lock that the contract names is emitted")
def test_every_event_of_a_lock_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "RAWR_EVENTS"):
        monkeypatch.delenv(name, raising=False)
    leave_lock(root, lease_of(DEAD_PID))
    proof = mutate(root).takeover
    told = told_of(tmp_path)
    assert [event["type"] for event in told] == ["lock.contended", "lock.takeover", "lock.released"]
    assert (told[1]["proof"], told[1]["holder"]["pid"], told[1]["root"]) == (proof, DEAD_PID, str(root))
    once_at("staged", lock_file(root).unlink)
    mutate(root, add("again"))
    (lost,) = told_of(tmp_path)
    assert (lost["type"], lost["root"], lost["attempts"]) == ("lock.lost", str(root), 1)
    with sleeper() as pid:
        leave_lock(root, lease_of(pid, now()))
        with pytest.raises(LockTimeoutError):
            mutate(root, lock_timeout=0.3)
    contended, timeout = told_of(tmp_path)
    assert (contended["type"], timeout["type"]) == ("lock.contended", "lock.timeout")
    assert timeout["holder"]["pid"] == pid and 300 <= timeout["waitedMs"] < 3000


@pytest.mark.contract("C2", "lock.counted", "every contended lock is counted")
def test_of_many_short_waits_some_are_told_and_all_are_counted(tmp_path: Path) -> None:
    told, waits, seconds = events_of(tmp_path, "40", "0.01")
    contended = [event for event in told if event["type"] == "lock.contended"]
    assert sum(1 + event["untold"] for event in contended) == waits > 0
    # One in a tenth of a second. On a busy machine so much time may lie between the waits that each is told.
    assert len(contended) <= min(waits, 1 + seconds / 0.1)
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"] * len(contended)


def test_one_short_wait_is_told(tmp_path: Path) -> None:
    told, *_ = events_of(tmp_path, "0", "0.05")
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"]


@pytest.mark.contract("C2", "lock.waited", "what is told as waiting is the wait")
def test_a_wait_is_told_also_when_the_mutator_raises(tmp_path: Path) -> None:
    told, *_ = events_of(tmp_path, "0", "0.3!")
    assert [event["type"] for event in told] == ["lock.contended", "lock.released"]
    assert told[1]["waitedMs"] >= 250
    (tmp_path / "longer").mkdir()
    longer, *_ = events_of(tmp_path / "longer", "0", "0.6!")
    assert longer[1]["waitedMs"] >= 550 and longer[1]["waitedMs"] != told[1]["waitedMs"]


@pytest.mark.contract("C2", "lock.waited", "what is told as waiting is the wait")
def test_what_is_told_is_the_wait_and_not_the_change(tmp_path: Path) -> None:
    told, *_ = events_of(tmp_path, "0", "0.05~")
    assert [event["waitedMs"] < 600 for event in told] == [True, True], "the change's own second is told as waiting"


@pytest.mark.contract("C2", "lock.holder", "a timeout names who held the lock then")
def test_a_timeout_names_who_held_the_lock_then_and_not_who_held_it_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    lock = Path(state_lock_path(tmp_path))
    lock.parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as second:
        try:
            lock.write_text(json.dumps({"pid": first.pid, "acquiredAt": now()}) + "\n")

            def pass_on() -> None:
                """A peer releases, and another takes the lock, while we wait."""
                time.sleep(0.3)
                (tmp_path / "next").write_text(json.dumps({"pid": second.pid, "acquiredAt": now()}) + "\n")
                (tmp_path / "next").rename(lock)

            passing = threading.Thread(target=pass_on)
            passing.start()
            with pytest.raises(LockTimeoutError) as raised:
                mutate_repo_state_atomically(tmp_path, lambda state: None, RepoStateMutationOptions(lock_timeout=1.0))
            passing.join()
        finally:
            first.kill()
            second.kill()
    assert raised.value.details["holder"]["pid"] == second.pid
    told = [json.loads(line) for line in (tmp_path / ".local/state/rawr/events.jsonl").read_text().splitlines()]
    assert [event["holder"]["pid"] for event in told if event["type"] == "lock.timeout"] == [second.pid]
