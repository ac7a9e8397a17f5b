"""A changing command is a run in the event log; a dry run, a refusal by the parser and a no-op are none."""

from __future__ import annotations

import re
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rawr_install.ecmascript import iso
from rawr_install.errors import RefusedError
from rawr_install.events import log as events
from rawr_install.events.telemetry import REQUIRED_RUN_LIFECYCLE_EVENT_TYPES
from tests.conftest import PROJECT, Machine, Ran
from tests.events.conftest import TRACE, documented, read_events

pytestmark = pytest.mark.contract("C2", "run.recorded", "what a changing command does is recorded as it was")

# A changing command like every other, with a word that says how it ends.
PROGRAM = """
import os, sys
import click
from rawr_install.events import log as events
from rawr_install.cli import main as command_line
from rawr_install.cli.base import Result, command
from rawr_install.errors import RefusedError

def body(how, dry_run, yes):
    if how == "refused": raise RefusedError("No.", code="OWNER_OTHER_INSTANCE")
    if how == "bug": raise ZeroDivisionError("oops")
    if how == "interrupted": raise KeyboardInterrupt
    if how == "unhealthy": return Result({"changed": True}, ["bad"], error=RefusedError("Half done.", code="HALF"))
    if how == "lock": events.emit("lock.contended", root="/w", holder={"pid": 1}, waitedMs=1, attempts=2)
    if how == "killed": events.begin_run(); os.kill(os.getpid(), 9)
    return Result({"changed": how not in ("nothing", "lock")}, ["done"])

made = command("change", changes=True)(body)
made.params.insert(0, click.Argument(["how"]))
command_line.root.add_command(made)
command_line.COMMANDS["change"] = "x:y"
command_line.LazyGroup.get_command = lambda self, ctx, name: made
sys.exit(command_line.main(sys.argv[1:]))
"""


def change(machine: Machine, *words: str, **env: str) -> Ran:
    return machine.run(sys.executable, "-c", PROGRAM, "change", *words, env=env)


def logged(machine: Machine) -> list[dict[str, Any]]:
    return read_events(machine.home / ".local/state/rawr/events.jsonl")


@pytest.mark.contract("C2", "run.completed", "a command that changes something is a run with start and end")
def test_a_command_that_changes_something_is_started_and_completed(machine: Machine) -> None:
    assert change(machine, "plain").code == 0
    started, completed = logged(machine)
    assert [started["type"], completed["type"]] == ["run.started", "run.completed"]
    assert [started["status"], completed["status"]] == ["running", "completed"]
    assert started["runId"] == completed["runId"]
    assert started["workflowId"] == completed["workflowId"] == "rawr-install change"
    assert started["ts"] <= completed["ts"]
    assert completed["output"]["durationMs"] >= 0


@pytest.mark.contract("C2", "run.failed", "a run that fails says why")
@pytest.mark.parametrize(
    ("how", "code", "detail", "exit_code"),
    [
        ("refused", "OWNER_OTHER_INSTANCE", "No.", 1),
        ("unhealthy", "HALF", "Half done.", 1),
        ("bug", "INTERNAL_ERROR", "oops", 1),
        ("interrupted", "INTERRUPTED", "", 130),
    ],
)
def test_a_command_that_fails_says_why(machine: Machine, how: str, code: str, detail: str, exit_code: int) -> None:
    assert change(machine, how).code == exit_code
    started, failed = logged(machine)
    assert [started["type"], failed["type"]] == ["run.started", "run.failed"]
    assert (failed["status"], failed["output"]["code"], failed.get("detail", "")) == ("failed", code, detail)


def test_a_line_has_the_documented_fields_and_no_others(machine: Machine) -> None:
    for how in ("lock", "refused"):
        change(machine, how, TRACEPARENT=TRACE)
    for event in logged(machine):
        assert event.keys() <= documented()[event["type"]]
    assert {"workflowId", "status", "output", "detail", "traceParent"} <= logged(machine)[-1].keys()


@pytest.mark.contract("C2", "run.none", "a command that writes nothing is no run")
@pytest.mark.parametrize(
    "words", [("plain", "--dry-run"), ("plain", "--bad-option"), (), ("nothing",), ("plain", "--help")]
)
def test_a_command_that_writes_nothing_is_no_run(machine: Machine, words: tuple[str, ...]) -> None:
    before = machine.tree()
    change(machine, *words)
    assert machine.tree() == before


def test_a_run_that_is_killed_leaves_its_start(machine: Machine) -> None:
    assert change(machine, "killed").code == -9
    assert [event["type"] for event in logged(machine)] == ["run.started"]


def test_an_event_of_a_lock_belongs_to_the_run_that_met_it(machine: Machine) -> None:
    change(machine, "lock")
    started, contended, completed = logged(machine)
    assert contended["type"] == "lock.contended"
    assert started["runId"] == contended["runId"] == completed["runId"]


@pytest.mark.contract("C2", "log.never-fails", "no state of the log fails a command")
def test_a_log_that_cannot_be_written_changes_nothing_for_the_user(machine: Machine) -> None:
    fine = change(machine, "plain")
    (machine.home / ".local/state/rawr/events.jsonl").unlink()
    (machine.home / ".local/state/rawr/events.jsonl").mkdir()
    assert change(machine, "plain") == fine
    assert change(machine, "plain", RAWR_EVENTS="off") == fine


@pytest.mark.contract("C2", "run.times", "start, end and duration are those of the run")
def test_the_start_is_told_with_the_time_at_which_the_run_began(log: Path) -> None:
    with events.Run("w") as run:
        time.sleep(0.05)
        run.begin()
    assert read_events(log)[0]["ts"] == iso(run.started)


def test_a_run_inside_a_run_gives_the_outer_one_back(log: Path) -> None:
    with events.Run("outer") as outer:
        with pytest.raises(RefusedError), events.Run("inner") as inner:
            raise RefusedError("No.")
        events.emit("lock.lost", root="/w")
    seen = [(event["type"], event["runId"]) for event in read_events(log)]
    assert seen == [
        ("run.started", inner.id),
        ("run.failed", inner.id),
        ("run.started", outer.id),
        ("lock.lost", outer.id),
        ("run.completed", outer.id),
    ]
    assert events.Run.current is None


def test_every_type_that_the_contract_requires_is_emitted(log: Path) -> None:
    with events.Run("good"):
        pass
    with pytest.raises(RefusedError), events.Run("bad"):
        raise RefusedError("No.")
    assert {event["type"] for event in read_events(log)} == set(REQUIRED_RUN_LIFECYCLE_EVENT_TYPES)


def real(machine: Machine, *words: str | Path) -> tuple[int, list[str]]:
    """Run a real command; its exit code and the types of the events that it added."""
    before = len(logged(machine))
    code = machine.rawr_install(*words, cwd=machine.folder).code
    return code, [event["type"] for event in logged(machine)[before:]]


def test_the_real_commands_are_runs(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    good = ["run.started", "run.completed"]
    assert real(machine, "activate", workspace, "--dry-run") == (0, [])
    assert real(machine, "activate", workspace) == (0, good)
    assert real(machine, "activate", workspace) == (0, [])
    assert real(machine, "rollback") == (0, good)
    assert real(machine, "activate", machine.folder / "nowhere")[1] == ["run.started", "run.failed"]
    assert {event["workflowId"] for event in logged(machine)} == {"rawr-install activate", "rawr-install rollback"}


def test_a_purge_leaves_no_log_behind(machine: Machine) -> None:
    assert real(machine, "activate", machine.workspace("ws")) == (0, ["run.started", "run.completed"])
    assert machine.rawr_install("uninstall", "--purge", "--yes").code == 0
    assert not list(machine.home.rglob("events.jsonl*"))


@pytest.mark.contract("C2", "run.killed", "a killed run has a start and no end")
def test_a_run_that_is_killed_while_it_changes_the_machine_has_a_start_and_no_end(machine: Machine) -> None:
    kill = "import os, sys; from rawr_install.machine import change; change.apply = lambda *_: os.kill(os.getpid(), 9)"
    run = "from rawr_install.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ran = machine.run(sys.executable, "-c", f"{kill}; {run}", "activate", machine.workspace("ws"))
    assert ran.code == -9
    assert [event["type"] for event in logged(machine)] == ["run.started"]


def test_what_the_doctor_mends_is_a_run(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    machine.rawr_install("activate", workspace)
    machine.entry.unlink()
    before = len(logged(machine))
    machine.rawr_install("doctor", "global", "--fix", "--dry-run", cwd=workspace)
    assert len(logged(machine)) == before
    ran = machine.rawr_install("doctor", "global", "--fix", "--yes", cwd=workspace)
    assert machine.entry.exists(), ran.out + ran.err
    seen = [event["type"] for event in logged(machine)[before:] if event["workflowId"].endswith("--fix")]
    assert seen == ["run.started", "run.completed"]


@pytest.mark.contract("C2", "log.local", "nothing leaves the machine")
def test_nothing_is_sent_anywhere_whatever_the_environment_names(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as collector:
        url = f"http://127.0.0.1:{collector.getsockname()[1]}"
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}
        assert change(machine, "lock", **asked).code == 0
        assert [event["type"] for event in logged(machine)] == ["run.started", "lock.contended", "run.completed"]
        collector.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody stands in the queue
            collector.accept()


def test_the_collectors_configuration_in_the_docs_fits_the_log(machine: Machine) -> None:
    page = (PROJECT / "docs/events.md").read_text()
    (field,) = re.findall(r"timestamp:.*\n *parse_from: attributes\.(\w+)", page)
    (layout,) = re.findall(r"layout: '(.+)'", page)
    change(machine, "lock")
    for event in logged(machine):
        # The collector's %L is milliseconds; Python's %f takes them, too.
        read = datetime.strptime(event[field], layout.replace("%L", "%f")).replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - read).total_seconds()) < 600
        assert event["runId"]


def test_a_collector_finds_the_callers_trace_by_the_expression_in_the_docs(machine: Machine) -> None:
    page = (PROJECT / "docs/events.md").read_text()
    (field, expression) = re.findall(r"parse_from: attributes\.(\w+)\n *regex: '(.+)'", page)[0]
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    change(machine, "plain", TRACEPARENT=f"00-{trace}-{span}-01")
    change(machine, "plain")
    traced, alone = logged(machine)[:2], logged(machine)[2:]
    for event in traced:
        found = re.search(expression, event[field])
        assert found and found.groupdict() == {"trace_id": trace, "span_id": span, "trace_flags": "01"}
    assert len(alone) == 2 and not any(field in event for event in alone)
    parsed = dict(re.findall(r"(\w+):\n *parse_from: attributes\.(\w+)", page.partition("trace_parser")[2]))
    assert parsed == {name: name for name in ("trace_id", "span_id", "trace_flags")}
