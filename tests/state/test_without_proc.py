"""A system without ``/proc``, as macOS: what is left to tell whether a holder is gone. ps(1) is a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.state.conftest import DEAD_PID, lease_of, leave_lock, lock_file
from tests.support.masked import MASKED, beside, needs_masking

pytestmark = needs_masking

# fcntl(2) of macOS has no read leases, so nobody can tell who has a file open.
JUDGE = """
import fcntl, sys
del fcntl.F_SETLEASE
from rawr_install.state import holder, system
found = holder.read_lease(sys.argv[1])
is_open = holder.is_open(found, system.filesystem_of(sys.argv[1]))
assert is_open is None, is_open
print(holder.stale_reason(found, holder.Observation(is_open, steady=3.0, age=float(sys.argv[2]))))
"""
ACQUIRED, BEFORE, AFTER = "2030-01-31T10:00:00.500Z", "Thu Jan 31 09:59:59 2030", "Thu Jan 31 10:00:01 2030"
OLD, YOUNG = 61, 10
GONE = "stale: old, and its process is dead"

# name: what ps says of the process that has the holder's pid, the age of the lock, the proof
PS = {
    "it started before the lock was taken": (f"echo 'S+   {BEFORE}'", OLD, ""),
    "it started in the same second": ("echo 'S    Thu Jan 31 10:00:00 2030'", OLD, ""),
    "it started after the lock was taken": (f"echo 'Ss   {AFTER}'", OLD, GONE),
    "it started later, but a minute has not passed": (f"echo 'Ss   {AFTER}'", YOUNG, ""),
    "it is a zombie": (f"echo 'Z    {BEFORE}'", OLD, GONE),
    "ps says nothing": ("exit 1", OLD, ""),
    "ps says something else": ("echo 'S  10:00'", OLD, ""),
    "ps hangs": ("exec sleep 5", OLD, ""),
}


def judged(lock: Path, age: int, *within: str) -> str:
    done = subprocess.run(
        [*within, sys.executable, "-c", JUDGE, lock, str(age)],
        cwd=PROJECT,
        env={**os.environ, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("case", PS)
def test_of_a_living_peer_ps_says_whether_it_can_be_the_holder(root: Path, tmp_path: Path, case: str) -> None:
    says, age, proof = PS[case]
    ps = tmp_path / "ps"
    words = f"-o state=,lstart= -p {os.getpid()}"
    ps.write_text(f'#!/bin/sh\n[ "$* $LC_ALL $TZ" = "{words} C UTC0" ] || exit 9\n{says}\n')
    ps.chmod(0o755)
    leave_lock(root, json.dumps({"pid": os.getpid(), "acquiredAt": ACQUIRED}))
    began = time.monotonic()
    assert judged(lock_file(root), age, *beside(ps)) == proof
    assert time.monotonic() - began < 4, "a ps that hangs is not waited for"


@pytest.mark.parametrize(("record", "proof"), [(lease_of(DEAD_PID), GONE), ("", "unreadable and old")])
@pytest.mark.parametrize("age", [OLD, YOUNG])
def test_a_dead_or_unreadable_holder_is_gone_after_a_minute(root: Path, record: str, proof: str, age: int) -> None:
    leave_lock(root, record)
    assert judged(lock_file(root), age, *MASKED) == (proof if age == OLD else "")


@pytest.mark.parametrize(
    "which",
    [
        pytest.param("tests/state/test_stale.py tests/state/test_waiting.py", marks=pytest.mark.slow),
        pytest.param("tests", marks=pytest.mark.full),
    ],
)
def test_the_tests_pass_where_there_is_no_proc(which: str) -> None:
    """Those that need ``/proc`` are skipped, each by its name."""
    options = ("-n", "4", "-p", "no:cacheprovider", "-rs", "--deselect", "tests/state/test_without_proc.py")
    command = [*MASKED, sys.executable, "-m", "pytest", "-q", *options, *which.split()]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=PROJECT, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:]
