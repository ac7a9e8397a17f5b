"""The Node peer keeps the contract's protocol, flaws included: the other tests lean on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.peers.actors import Actor, crowd, needs_node, together

pytestmark = [needs_node, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / ".rawr/state"
    path.mkdir(parents=True)
    return path


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def leave(folder: Path, text: str, age: float) -> Path:
    lock = folder / "state.lock"
    lock.write_text(text)
    os.utime(lock, (time.time() - age,) * 2)
    return lock


def test_it_writes_the_contracts_bytes_and_leaves_no_lock(tmp_path: Path, folder: Path) -> None:
    with Actor.node() as peer:
        peer.do("enable", tmp_path, ids=["b", "a"])
    text = (folder / "state.json").read_text()
    found = json.loads(text)
    assert found["version"] == 1 and found["plugins"]["enabled"] == ["a", "b"]
    assert text == json.dumps(found, indent=2) + "\n"
    assert os.listdir(folder) == ["state.json"]


def test_it_waits_for_a_held_lock_and_gives_up_after_its_timeout(tmp_path: Path, folder: Path) -> None:
    leave(folder, json.dumps({"pid": os.getpid(), "acquiredAt": ""}), age=3600)
    with Actor.node() as peer:
        report = peer.do("enable", tmp_path, ids=["a"], timeout=200)
    assert [error["message"] for error in report["errors"]] == ["Timed out waiting for repo state lock"]
    assert (folder / "state.lock").exists() and not (folder / "state.json").exists()


@pytest.mark.parametrize("text", ["", "not json", "[]"])
def test_it_removes_an_old_unreadable_lock_and_respects_a_young_one(tmp_path: Path, folder: Path, text: str) -> None:
    with Actor.node() as peer:
        leave(folder, text, age=50)
        assert peer.do("enable", tmp_path, ids=["a"], timeout=100)["errors"]
        leave(folder, text, age=61)
        assert peer.do("enable", tmp_path, ids=["a"], timeout=100)["acked"] == ["a"]


def test_it_removes_an_old_lock_of_a_dead_process_only(tmp_path: Path, folder: Path) -> None:
    with Actor.node() as peer:
        leave(folder, json.dumps({"pid": 1}), age=61)
        assert peer.do("enable", tmp_path, ids=["a"], timeout=100)["errors"]
        leave(folder, json.dumps({"pid": dead_pid()}), age=61)
        assert peer.do("enable", tmp_path, ids=["a"], timeout=100)["acked"] == ["a"]


def test_it_publishes_the_lock_empty_and_unlinks_by_path_on_release(tmp_path: Path, folder: Path) -> None:
    lock = folder / "state.lock"
    with Actor.node() as peer:
        peer.send("hold", tmp_path, ms=50, stop="created")
        assert peer.expect("stopped")["point"] == "created"
        peer.wait_stopped()
        assert lock.read_text() == ""
        lock.unlink()
        lock.write_text("somebody else's")
        peer.signal(signal.SIGCONT)
        peer.expect("held")
        peer.report()
    assert not lock.exists()


def test_peers_among_themselves_lose_nothing_when_no_lock_is_abandoned(tmp_path: Path) -> None:
    with crowd("node", "node", "node") as peers:
        reports = together(peers, tmp_path, [{"verb": "count", "slot": f"p{n}", "times": 30} for n in range(3)])
    assert [(report["lost"], report["errors"], report["final"]) for report in reports] == [(0, [], 30)] * 3
