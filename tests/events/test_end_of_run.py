"""The end of a run writes a line: its contract, and what the line says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rawr_install import CreateDeskEventInput, create_desk_event
from rawr_install.errors import RefusedError
from rawr_install.events import log, reader
from tests.conftest import Machine
from tests.events.conftest import TRACE, TRACED, is_child_of_trace, read_events
from tests.events.test_runs import change, logged

pytestmark = pytest.mark.contract("C2", "run.recorded", "what a changing command does is recorded as it was")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "RAWR_EVENTS", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".local/state/rawr/events.jsonl"


def ends(path: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(path) if event["type"] in ("run.completed", "run.failed")]


@pytest.mark.contract("C4", "D-010.ends-once", "ending a run twice records one end")
def test_ending_twice_records_one_end(path: Path) -> None:
    with log.Run("w") as run:
        run.begin()
        run.end()
        run.end(RefusedError("No."))
    run.end()
    assert [event["type"] for event in ends(path)] == ["run.completed"]


FAULTS = {
    "a folder in the log's place": lambda path: path.mkdir(parents=True),
    "a link to a full device": lambda path: (path.parent.mkdir(parents=True), path.symlink_to("/dev/full")),
    "a FIFO without a reader": lambda path: (path.parent.mkdir(parents=True), os.mkfifo(path)),
    "a file in the folder's place": lambda path: (path.parent.parent.mkdir(parents=True), path.parent.write_text("")),
    "a link that leads to itself": lambda path: (path.parent.mkdir(parents=True), path.symlink_to(path)),
}


@pytest.mark.contract("C4", "D-010.never-fails", "what is wrong with the log changes neither exit code nor output")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("how", ["plain", "refused"])
def test_no_fault_of_the_log_changes_code_or_output(machine: Machine, how: str, fault: str) -> None:
    fine = change(machine, how, RAWR_EVENTS="off")
    FAULTS[fault](machine.home / ".local/state/rawr/events.jsonl")
    assert change(machine, how) == fine


@pytest.mark.contract("C4", "D-010.bounded", "a log that somebody holds does not delay a command")
def test_a_log_that_is_held_and_full_delays_nothing(machine: Machine) -> None:
    import fcntl

    path = machine.home / ".local/state/rawr/events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * log.FILE_LIMIT + b"\n")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = time.monotonic()
        assert change(machine, "plain").code == 0
        assert time.monotonic() - begun < 30, "the command waited for whoever holds the log"
    types = [line.event["type"] for line in reader.read(str(path)) if line.event]
    assert types == ["run.started", "run.completed"]


@pytest.mark.contract("C2", "run.failed", "a run that fails says why")
@pytest.mark.parametrize(
    ("how", "code"), [("interrupted", "INTERRUPTED"), ("bug", "INTERNAL_ERROR"), ("refused", "OWNER_OTHER_INSTANCE")]
)
def test_a_failure_is_told_by_the_commands_own_code(machine: Machine, how: str, code: str) -> None:
    ran = change(machine, how, "--json")
    assert ran.json["error"]["code"] == code
    assert logged(machine)[-1]["output"]["code"] == code


@pytest.mark.contract("C2", "run.times", "start, end and duration are those of the run")
def test_a_duration_does_not_follow_a_clock_that_is_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with log.Run("w") as run:
        run.begin()
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now - 3600 * 10**9)  # set back by an hour
        time.sleep(0.02)
    (end,) = ends(path)
    assert 20 <= end["output"]["durationMs"] < 60_000
    assert end["ts"] >= read_events(path)[0]["ts"]


@pytest.mark.contract("C2", "run.terminated", "SIGTERM ends a run")
def test_sigterm_ends_a_run_and_is_what_the_parent_sees(machine: Machine) -> None:
    code = (
        "import sys; from rawr_install.events.log import Run\n"
        "with Run('w') as run: run.begin(); print('in', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=machine.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout and process.stdout.readline() == b"in\n"
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM
    process.stdout.close()
    assert process.stdin
    process.stdin.close()
    assert [event["type"] for event in logged(machine)] == ["run.started", "run.failed"]
    assert logged(machine)[-1]["output"]["code"] == "TERMINATED"


@pytest.mark.contract("C2", "log.numbers", "a number that JSON lacks is neither written nor read")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"deep": [float("-inf")]}])
def test_a_number_that_json_lacks_is_not_written(path: Path, value: object) -> None:
    log.emit("lock.lost", waitedMs=value)
    log.emit("lock.lost", waitedMs=1)
    assert [event["waitedMs"] for event in read_events(path)] == [1]


@pytest.mark.contract("C2", "log.numbers", "a number that JSON lacks is neither written nor read")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_lacks_makes_no_event_of_a_line(number: str) -> None:
    (line,) = reader.parse(f'{{"eventId": "e", "ts": "t", "type": "x", "n": {number}}}'.encode())
    assert line.event is None and number in line.text


@pytest.mark.contract("C2", "log.switch", "RAWR_EVENTS turns the log off, in any case")
@pytest.mark.parametrize("word", ["off", "OFF", "0", "False", "no", " No "])
def test_the_switch_is_understood_in_any_case(word: str) -> None:
    assert log.switched_on({"RAWR_EVENTS": word}) == (False, "")


@pytest.mark.parametrize("word", ["", "on", "1", "TRUE", "yes"])
def test_other_words_of_a_switch_turn_it_on(word: str) -> None:
    assert log.switched_on({"RAWR_EVENTS": word}) == (True, "")


def test_a_word_that_is_not_understood_is_said(machine: Machine) -> None:
    ran = machine.rawr_install("events", "--json", env={"RAWR_EVENTS": "nope"})
    assert any("RAWR_EVENTS=nope is not understood" in warning for warning in ran.json["warnings"])


@pytest.mark.contract("C2", "event.shape", "an event has the wire's fields")
def test_a_null_payload_is_told_from_none() -> None:
    plain = CreateDeskEventInput("r", "w", "desk.started", "queued")
    assert "output" not in create_desk_event(plain)
    given = create_desk_event(CreateDeskEventInput("r", "w", "desk.started", "queued", payload=None))
    assert json.loads(json.dumps(given))["output"] is None


@TRACED
def test_a_callers_trace_is_kept_and_handed_on_as_a_child(machine: Machine) -> None:
    change(machine, "plain", TRACEPARENT=TRACE)
    assert {event["traceParent"] for event in logged(machine)} == {TRACE}
    assert is_child_of_trace(log.for_child({"TRACEPARENT": TRACE})["TRACEPARENT"])
    for bad in ("", "nonsense", TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)):
        assert log.for_child({"TRACEPARENT": bad}) == {"TRACEPARENT": bad}
