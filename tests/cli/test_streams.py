"""What becomes of the answer: stdout full or closed, a reader that left, Ctrl-C at any instant."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from tests.cli.commands import LINES, settled
from tests.conftest import Machine
from tests.support import forked

FULL = Path("/dev/full")


def answer_to(machine: Machine, stdout: IO[bytes], *words: str) -> tuple[int, str]:
    with tempfile.TemporaryFile() as err:
        code = forked.server().start(words, machine.folder / "ws", machine.env, stdout, err).wait()
        return code, forked.text_of(err)


def without_reader() -> IO[bytes]:
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "wb", buffering=0)


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_one_line_and_exit_code_1_for_every_command(machine: Machine) -> None:
    settled(machine)
    with FULL.open("wb", buffering=0) as full, open(os.devnull, "rb") as closed:
        for line in LINES:
            for stdout in (full, closed):
                code, err = answer_to(machine, stdout, *line.split(), "--json")
                assert (code, err.count("\n")) == (1, 1) and "[OUTPUT_FAILED]" in err, (line, code, err)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_change_that_was_made_is_told_though_its_answer_is_lost(machine: Machine) -> None:
    settled(machine)
    with FULL.open("wb", buffering=0) as full:
        code, err = answer_to(machine, full, "state", "enable", "x")
        assert code == 1 and err.startswith("rawr: The command is done, ")
        assert json.loads((machine.folder / "ws/.rawr/state/state.json").read_text())["plugins"]["enabled"] == ["x"]
        code, err = answer_to(machine, full, "state", "enable", " ", "--json")
        assert code == 1 and err.startswith("rawr: The command failed: ") and "done" not in err


@pytest.mark.slow
def test_a_reader_that_left_ends_every_command_by_sigpipe(machine: Machine) -> None:
    settled(machine)
    for line in LINES:
        with without_reader() as stdout:
            assert answer_to(machine, stdout, *line.split(), "--json") == (-signal.SIGPIPE, ""), line


def test_nobody_who_reads_stderr_changes_nothing(machine: Machine) -> None:
    settled(machine)
    with tempfile.TemporaryFile() as out, FULL.open("wb", buffering=0) as full:
        words = ("events", "--since", "never")
        code = forked.server().start(words, machine.folder, machine.env, out, full).wait()
    assert code == 2


# -- Ctrl-C ----------------------------------------------------------------------------

# What `python -m rawr_install` does, but that it does something more as soon as Ctrl-C is the program's own.
PROGRAM = """
import _signal, os, sys
from importlib.util import find_spec

def watch(frame, event, argument):
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        return watch
    sys.settrace(None)
    {then}

spec = find_spec("rawr_install.__main__")
code = spec.loader.get_code(spec.name)
sys.argv[0] = spec.origin
sys.settrace(watch)
exec(code, {{"__name__": "__main__", "__spec__": spec}})
"""
INTERRUPT = "os.kill(os.getpid(), _signal.SIGINT)"
SAY_SO = "os.write(1, b'.')"
COMMANDS = ("which --json", "doctor global --json", "state enable x --json", "deactivate --json", "--version", "which")


class Run:
    """One run; it gets a SIGINT at its first line, or, with ``after``, so many seconds later, or (infinity) never."""

    def __init__(self, machine: Machine, line: str, after: float | None = None) -> None:
        program = PROGRAM.format(then=INTERRUPT if after is None else SAY_SO)
        with subprocess.Popen(
            [sys.executable, "-c", program, *line.split()],
            env=machine.env,
            cwd=machine.folder / "ws",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as process:
            if after is not None:
                assert process.stdout and process.stdout.read(1) == b"."
                began = time.perf_counter()
                if after != math.inf:
                    time.sleep(after)
                    process.send_signal(signal.SIGINT)
            self.out, self.err = (text.decode() for text in process.communicate(timeout=60))
            self.took = time.perf_counter() - began if after is not None else 0.0
            self.code = process.returncode


def check(ran: Run, line: str) -> bool:
    """Whether the Ctrl-C ended the command; fails for anything but a tidy end."""
    told = (line, ran.code, ran.out, ran.err)
    assert "Traceback" not in ran.err and "Exception" not in ran.err, told
    document = json.loads(ran.out) if "--json" in line else None
    if "INTERRUPTED" in ran.out + ran.err:
        assert ran.code == -signal.SIGINT, told
        assert document is None or not document["ok"], told
        return True
    assert ran.code in (0, 1, 127, -signal.SIGINT), told  # it had ended, or was about to
    return False


@pytest.mark.parametrize("line", ["which --json", "state enable x"])
def test_ctrl_c_at_the_first_line_ends_the_command_by_the_signal_and_with_an_answer(
    machine: Machine, line: str
) -> None:
    machine.workspace("ws")
    assert check(Run(machine, line), line)
    assert not (machine.folder / "ws/.rawr").exists()


@pytest.mark.slow
def test_ctrl_c_at_any_instant_is_no_traceback(machine: Machine, count: Callable[[int, int], int]) -> None:
    settled(machine)
    chance = random.Random(20)
    lengths = {line: Run(machine, line, math.inf).took for line in COMMANDS}
    ended = 0
    for number in range(count(30, 1200)):
        line = COMMANDS[number % len(COMMANDS)]
        ended += check(Run(machine, line, chance.uniform(0, lengths[line])), line)
    assert ended > 5, "too few came before the end"


def test_a_caller_who_ignores_ctrl_c_is_obeyed(machine: Machine) -> None:
    machine.workspace("ws")
    program = f"trap '' INT; {sys.executable} -m rawr_install state enable x & "
    program += "while kill -INT $! 2>/dev/null; do sleep 0.01; done; wait $!"
    assert machine.run("sh", "-c", program, cwd=machine.folder / "ws").code == 0
