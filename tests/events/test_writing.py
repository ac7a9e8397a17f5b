"""Writing the event log: one append a line, bounded, from many processes, and never a reason to fail."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rawr_install.events import log as events
from tests.events.conftest import read_events
from tests.support.masked import needs_proc

pytestmark = pytest.mark.contract("C2", "log.lines", "a line of the log is whole, bounded and the user's alone")

CROWD = """
import sys
from rawr_install.events import log as events
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    events.emit("lock.contended", who=sys.argv[1], number=number, root="/w" * 20, holder={"pid": 1})
"""


def run_crowd(writers: int, each: int) -> Counter[tuple[str, int]]:
    """Start the writers behind a barrier; returns what must be in the log once everybody is done."""
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(who), str(each)], stdin=subprocess.PIPE)
        for who in range(writers)
    ]
    for process in crowd:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(120) for process in crowd] == [0] * writers
    return Counter((str(who), number) for who in range(writers) for number in range(each))


def seen(*paths: Path) -> Counter[tuple[str, int]]:
    return Counter((event["who"], event["number"]) for path in paths for event in read_events(path) if "who" in event)


def test_an_event_is_one_line_with_its_fields(log: Path) -> None:
    events.emit("lock.timeout", root="/w", holder={"pid": 7}, waitedMs=5000, attempts=3)
    [event] = read_events(log)
    assert re.fullmatch(r"evt-\d{13}-[0-9a-f]{8}", event.pop("eventId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("ts"))
    assert event == {
        "type": "lock.timeout",
        "root": "/w",
        "holder": {"pid": 7},
        "waitedMs": 5000,
        "attempts": 3,
        "pid": os.getpid(),
    }


def test_only_the_user_can_read_the_log(log: Path) -> None:
    events.emit("lock.lost", root="/w")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


@pytest.mark.contract("C2", "log.crowd", "a crowd writes whole lines and loses none")
def test_a_crowd_of_processes_writes_whole_lines_and_loses_none(log: Path, count: Callable[[int, int], int]) -> None:
    wanted = run_crowd(writers=8, each=count(100, 600))
    assert seen(log.with_name("events.jsonl.1"), log) == wanted


def test_threads_write_whole_lines_too(log: Path) -> None:
    def work(who: str) -> None:
        for number in range(50):
            events.emit("lock.lost", who=who, number=number)

    threads = [threading.Thread(target=work, args=(str(who),)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen(log) == Counter((str(who), number) for who in range(8) for number in range(50))


def fill(log: Path, size: int) -> None:
    log.parent.mkdir(parents=True)
    line = json.dumps({"eventId": "evt-0-0", "ts": "2026-01-01T00:00:00.000Z", "type": "old", "x": "y" * 900}) + "\n"
    log.write_text(line * (size // len(line)))


def test_a_crowd_that_meets_a_full_log_rotates_it_once_and_loses_nothing(
    log: Path, count: Callable[[int, int], int]
) -> None:
    for _ in range(count(3, 20)):
        shutil.rmtree(log.parent, ignore_errors=True)
        fill(log, events.FILE_LIMIT - 4096)
        old = len(read_events(log))
        wanted = run_crowd(writers=6, each=60)
        aside = log.with_name("events.jsonl.1")
        assert seen(aside, log) == wanted
        assert sum(event["type"] == "old" for event in read_events(aside)) == old


def test_a_process_that_comes_late_to_a_rotation_leaves_the_new_log_alone(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, events.FILE_LIMIT + 4096)
    lock = fcntl.flock

    def rival_first(fd: int, how: int) -> None:
        log.rename(log.with_name("events.jsonl.1"))
        log.write_text("the rival's new log\n")
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", rival_first)
    events._rotate_when_full(str(log))
    assert log.read_text() == "the rival's new log\n"
    assert log.with_name("events.jsonl.1").stat().st_size > events.FILE_LIMIT


def test_a_rotation_that_is_somebody_elses_is_not_waited_for(log: Path) -> None:
    fill(log, events.FILE_LIMIT + 4096)
    with log.open() as rival:
        fcntl.flock(rival, fcntl.LOCK_EX)
        events.emit("lock.lost", root="/w")
        assert not log.with_name("events.jsonl.1").exists()
        assert read_events(log)[-1]["root"] == "/w"
    events.emit("lock.lost", root="/x")
    assert [event["root"] for event in read_events(log)] == ["/x"]


@pytest.mark.contract("C2", "log.bounded", "the log is bounded")
def test_the_log_is_bounded(log: Path) -> None:
    for number in range(3 * events.FILE_LIMIT // 3000):
        events.emit("lock.contended", number=number, note="n" * 2900)
    sizes = [path.stat().st_size for path in log.parent.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= events.FILE_LIMIT + events.LINE_LIMIT
    newest = read_events(log)[-1]["number"]
    assert newest == 3 * events.FILE_LIMIT // 3000 - 1


def test_a_log_that_cannot_be_set_aside_stops_at_twice_its_size(log: Path) -> None:
    fill(log, 2 * events.FILE_LIMIT - 10_000)
    log.with_name("events.jsonl.1").mkdir()
    (log.with_name("events.jsonl.1") / "in-the-way").touch()
    for _ in range(50):
        events.emit("lock.contended", note="n" * 2900)
    assert log.stat().st_size < 2 * events.FILE_LIMIT + events.LINE_LIMIT


@pytest.mark.contract("C2", "log.append", "an event is one append")
@needs_proc
def test_each_event_is_one_append_in_one_system_call(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    code = "from rawr_install.events import log as events\nfor _ in range(5): events.emit('lock.lost', root='/w')"
    argv = [strace, "-y", "-e", "trace=openat,write,pwrite64,writev", "-o", str(trace), sys.executable, "-c", code]
    done = subprocess.run(argv, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, capture_output=True, text=True)
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    calls = [line for line in trace.read_text().splitlines() if "events.jsonl" in line]
    writes = [line for line in calls if re.match(r"p?write", line)]
    opens = [line for line in calls if line.startswith("openat") and "= -1" not in line]
    assert len(writes) == 5
    assert len(opens) == 5
    assert all("O_APPEND" in line for line in opens)


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    "value",
    [Hostile(), circle(), {1: {2}}, {(1, 2): 3}, b"\xff", "\ud800", float("nan"), 10**5000],
    ids=["no text", "circular", "set", "tuple key", "bytes", "surrogate", "nan", "huge int"],
)
def test_a_value_that_is_no_json_never_raises_and_never_spoils_the_log(log: Path, value: object) -> None:
    events.emit("lock.lost", value=value)
    events.emit("lock.lost", value="after")
    lines = read_events(log)
    assert lines[-1]["value"] == "after"
    assert all(event["type"] == "lock.lost" for event in lines)


@pytest.mark.contract("C2", "log.never-fails", "no state of the log fails a command")
@pytest.mark.parametrize("shape", ["folder", "fifo", "full disk", "state is a file", "loop"])
def test_a_log_that_cannot_be_written_is_never_a_reason_to_fail_or_wait(log: Path, shape: str) -> None:
    if shape == "state is a file":
        log.parent.parent.mkdir(parents=True)
        log.parent.touch()
    else:
        log.parent.mkdir(parents=True)
    if shape == "folder":
        log.mkdir()
    elif shape == "fifo":
        os.mkfifo(log)
    elif shape == "full disk":
        log.symlink_to("/dev/full")
    elif shape == "loop":
        log.symlink_to(log)
    events.emit("lock.lost", root="/w")
    with events.Run("a command"):
        events.emit("lock.lost", root="/w")
    assert not log.is_file()


@pytest.mark.parametrize("home", ["", "relative/home"])
def test_without_a_home_nothing_is_written_and_nothing_raised(
    home: str, log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    events.emit("lock.lost", root="/w")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_passes_through(log: Path) -> None:
    class Interrupting:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        events.emit("lock.lost", value=Interrupting())


def test_the_switch_turns_the_log_off(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWR_EVENTS", "off")
    events.emit("lock.lost", root="/w")
    assert not log.parent.exists()


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("fields", "cut"),
    [
        ({"detail": LONG, "root": "/w"}, ["detail"]),
        ({"detail": LONG, "root": LONG}, ["detail", "root"]),
        ({"holder": {"pid": 1, "note": LONG}, "root": "/w"}, ["holder"]),
        ({"root": "é" * 1000, "holder": {"pid": 1}}, ["root"]),
        ({"output": list(range(2000))}, ["output"]),
    ],
)
def test_a_line_that_is_too_long_is_cut_and_says_where(fields: dict[str, Any], cut: list[str]) -> None:
    line = events.encoded({"eventId": "e", "ts": "t", "type": "lock.lost", "pid": 1, **fields})
    assert len(line) <= events.LINE_LIMIT
    event = json.loads(line)
    assert sorted(event["truncated"]) == cut
    for name, value in fields.items():
        kept = value[:256] + "…" if isinstance(value, str) else None
        assert event[name] == (kept if name in cut else value)


@pytest.mark.parametrize("kept", ["type", "runId"])
def test_an_event_that_no_cut_makes_small_enough_keeps_its_identity(kept: str) -> None:
    line = events.encoded({"eventId": "e", "ts": "t", "type": "k", "pid": 1, "root": "/w", kept: LONG})
    assert len(line) <= events.LINE_LIMIT
    event = json.loads(line)
    assert (event["eventId"], event["ts"], event["truncated"]) == ("e", "t", ["*"])


def test_an_event_of_many_small_fields_stays_within_the_line() -> None:
    line = events.encoded(
        {"eventId": "e", "ts": "t", "type": "k", "pid": 1, **{f"f{n:04}": "v" * 9 for n in range(900)}}
    )
    assert len(line) <= events.LINE_LIMIT
    assert json.loads(line)["eventId"] == "e"


def test_a_line_of_exactly_the_limit_is_left_whole() -> None:
    event = {"eventId": "e", "ts": "t", "type": "k", "pid": 1, "root": ""}
    room = events.LINE_LIMIT - len(events.encoded(event))
    exact = events.encoded({**event, "root": "r" * room})
    assert len(exact) == events.LINE_LIMIT
    assert "truncated" not in json.loads(exact)
    assert "truncated" in json.loads(events.encoded({**event, "root": "r" * (room + 1)}))
