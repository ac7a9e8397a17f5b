"""What a writer does about those before it in the queue, and for the peers that poll behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.state.conftest import enabled, folder, lock_file
from tests.support.peers.actors import Actor

TAKE_THE_QUEUE = """
import fcntl, os, sys, time
guard = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(guard, fcntl.LOCK_EX)
print("at the head", flush=True)
time.sleep(600)
"""


@contextmanager
def stopped_head(root: Path) -> Iterator[None]:
    """Another process has the turn, and is stopped."""
    guard = str(folder(root) / "state.guard")
    with subprocess.Popen([sys.executable, "-c", TAKE_THE_QUEUE, guard], stdout=subprocess.PIPE, text=True) as head:
        assert head.stdout is not None
        assert head.stdout.readline() == "at the head\n"
        head.send_signal(signal.SIGSTOP)
        os.waitpid(head.pid, os.WUNTRACED)
        try:
            yield
        finally:
            head.kill()


def test_a_stopped_process_at_the_head_of_the_queue_costs_a_share_of_the_timeout_not_all_of_it(root: Path) -> None:
    with stopped_head(root), Actor.python() as writer:
        writer.send("enable", root, ids=["mine"], timeout=2000)
        blocked = writer.is_quiet(1.9)
        assert not blocked, "a stopped process, which does not hold the lock, blocked the writer until its timeout"
        report = writer.report()
    assert report["acked"] == ["mine"] and enabled(root) == ["mine"], report["errors"]


def test_a_name_that_falls_free_after_a_wait_is_left_free_for_a_moment_for_the_peers(root: Path) -> None:
    # A peer looks every 25 ms: whoever takes the name at the instant that it falls free leaves it none of our gaps.
    # A busy machine makes the gaps longer, never shorter.
    held_by_a_peer = json.dumps({"pid": os.getpid(), "acquiredAt": "2026-01-01T00:00:00.000Z"}) + "\n"
    gaps = []
    with Actor.python() as writer:
        for turn in range(6):
            lock_file(root).write_text(held_by_a_peer)
            writer.send("hold", root, ms=0, ids=[f"n{turn}"], stop="busy")
            writer.expect("stopped")
            writer.wait_stopped()
            writer.signal(signal.SIGCONT)
            time.sleep(0.03)
            released = time.monotonic()
            lock_file(root).unlink()
            writer.expect("held")
            gaps.append(round((time.monotonic() - released) * 1000, 1))
            assert writer.report()["errors"] == []
    assert min(gaps) >= 4, f"no gap for the peers: the lock was taken again {min(gaps)} ms after it was free ({gaps})"
