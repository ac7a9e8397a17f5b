"""``rawr-install events``: what it shows, to people and to programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Machine
from tests.events.test_reading import append, line

pytestmark = pytest.mark.contract("C2", "reader.shown", "events are shown as they are recorded")


@pytest.fixture
def path(machine: Machine) -> Path:
    made = machine.home / ".local/state/rawr/events.jsonl"
    made.parent.mkdir(parents=True)
    return made


def test_no_log_is_no_error_and_none_is_made(machine: Machine) -> None:
    before = machine.tree()
    ran = machine.rawr_install("events", "--json")
    assert (ran.code, ran.json["data"]["events"]) == (0, [])
    assert "No events" in machine.rawr_install("events").out
    assert machine.tree() == before


def test_events_are_listed_whole_and_strange_lines_are_named(machine: Machine, path: Path) -> None:
    append(path, f"{line(1)}\n", "\x1b[31mforeign\n", line(2)[:20], f"{line(3)}\n")
    ran = machine.rawr_install("events", "--json")
    assert ran.code == 0
    assert [event["number"] for event in ran.json["data"]["events"]] == [1, 3]
    assert ran.json["data"]["unreadable"] == ["\x1b[31mforeign", line(2)[:20]]
    assert ran.json["data"]["path"] == str(path)
    assert "2 lines" in ran.json["warnings"][0]


def test_a_person_sees_one_line_an_event_and_no_escape_codes(machine: Machine, path: Path) -> None:
    append(path, line(1, root="/w\x1b[31m", holder={"pid": 7}), "\n\x1b[2Jforeign\n")
    ran = machine.rawr_install_process("events", env={"TZ": "XXX-2"})
    [shown] = ran.out.splitlines()
    assert shown == f"2026-01-01 02:00:00           {'lock.lost':<32}  /w\\x1b[31m"
    assert "1 lines" in ran.err
    [raw] = machine.rawr_install("events", "--verbose").out.splitlines()
    assert raw.startswith("2026-01-01T00:00:00.000Z  lock.lost  ")
    assert 'holder={"pid": 7}' in raw
    assert "\x1b" not in ran.out + ran.err + raw


def test_a_run_is_one_line_and_a_failure_says_why_in_red(machine: Machine) -> None:
    machine.rawr_install("fallback", "enable")
    machine.rawr_install("activate", "/nowhere")
    done, failed = machine.rawr_install("events").out.splitlines()
    assert re.fullmatch(r"[-\d]{10} [:\d]{8}    \d\.\d s  rawr-install fallback enable +done", done)
    assert failed.endswith("folder. [NOT_A_WORKSPACE]") and "rawr-install activate" in failed
    assert "\x1b[1;31mfailed: " in machine.rawr_install("events", env={"FORCE_COLOR": "1"}).out
    assert len(machine.rawr_install("events", "--verbose").out.splitlines()) == 4
    begun = machine.rawr_install("events", "--type", "run.started").out
    assert begun.count("started; no end is recorded") == 2


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_file_is_not_read_and_not_waited_for(machine: Machine, path: Path, kind: str) -> None:
    os.mkfifo(path) if kind == "fifo" else path.symlink_to("/dev/zero")
    for words in ((), ("--follow",)):
        ran = machine.rawr_install("events", *words, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (1, "EVENTS_UNREADABLE")


def test_of_a_file_that_is_no_log_of_ours_only_the_end_is_read(machine: Machine, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 40)
        file.write(f"\n{line(7)}\n".encode())
    assert [event["number"] for event in machine.rawr_install("events", "--json").json["data"]["events"]] == [7]


def test_type_and_since_choose(machine: Machine, path: Path) -> None:
    append(path, line(1, ts="2025-01-01T00:00:00.000Z"), "\n", line(2), "\n", line(3, type="run.failed"), "\n")

    def chosen(*words: str) -> list[int]:
        document = machine.rawr_install("events", "--json", *words).json
        return [event["number"] for event in document["data"]["events"]]

    assert chosen("--type", "lock") == [1, 2]
    assert chosen("--type", "run.failed", "--type", "lock.lost") == [1, 2, 3]
    assert chosen("--since", "2025-06-01T00:00:00Z") == [2, 3]
    assert chosen("--since", "2025-06-01T00:00:00Z", "--type", "run") == [3]


def test_a_bad_since_is_wrong_usage(machine: Machine) -> None:
    ran = machine.rawr_install("events", "--since", "soon", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "BAD_SINCE")


def test_a_log_that_cannot_be_read_is_an_error_with_its_name(machine: Machine, path: Path) -> None:
    path.mkdir()
    ran = machine.rawr_install("events", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EVENTS_UNREADABLE")
    assert str(path) in ran.json["error"]["message"]
    assert machine.rawr_install("events", "--follow").code == 1


def follow(machine: Machine, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "rawr_install", "events", "--follow", *words]
    return subprocess.Popen(argv, env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_follow_prints_a_json_object_a_line_and_ctrl_c_is_a_good_end(machine: Machine, path: Path) -> None:
    append(path, f"{line(1)}\nforeign\n")
    with follow(machine, "--json", "--type", "lock") as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["number"] == 1
        append(path, line(2, type="run.failed"), "\n", line(3), "\n")
        assert json.loads(process.stdout.readline())["number"] == 3
        process.send_signal(signal.SIGINT)
        assert (process.stdout.read(), process.stderr.read(), process.wait(30)) == ("", "", 0)


def test_follow_ends_quietly_when_its_reader_goes_away(machine: Machine, path: Path) -> None:
    append(path, f"{line(1)}\n")
    with follow(machine) as process:
        assert process.stdout
        assert process.stderr
        assert "lock.lost" in process.stdout.readline()
        process.stdout.close()
        append(path, f"{line(2)}\n")
        assert process.wait(30) in (1, -signal.SIGPIPE)
        assert process.stderr.read() == ""


def test_events_of_the_real_library_are_shown(machine: Machine) -> None:
    code = (
        "from rawr_install.events.log import emit; emit('lock.timeout', root='/w', waitedMs=5, attempts=2, holder=None)"
    )
    machine.run(sys.executable, "-c", code, env={"PYTHONPATH": os.getcwd()})
    [event] = machine.rawr_install("events", "--json").json["data"]["events"]
    assert (event["type"], event["waitedMs"], event["holder"]) == ("lock.timeout", 5, None)
