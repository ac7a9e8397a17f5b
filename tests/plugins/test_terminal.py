"""What a person sees: tables that fit, progress on a terminal only and only when it takes long."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from rawr_install.cli.screen import progress
from rawr_install.cli.screen.table import table
from rawr_install.plugins import gate
from tests.conftest import Machine
from tests.support.plugins import link, make_linkable, make_manager, make_plugin
from tests.support.terminal import Terminal

SLOW = """#!/bin/sh
printf '%s\\n' "$$" > "$0.pid"
while [ ! -e "$0.go" ]; do sleep 0.05; done
echo '{"ok": true, "data": {"report": {"ok": true}}}'
"""

REPORT = """echo '{"ok": true, "data": {"report": {"ok": true}}}'\n"""
_cells = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Z"]), max_size=120)


@given(st.lists(st.tuples(_cells, _cells, _cells), max_size=5), st.sampled_from([40, 80, 200]))
def test_a_table_fits_the_width_and_loses_no_letter(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = list(table(("ONE", "TWO", "THREE"), rows, width))
    assert max(map(len, lines)) <= width
    wanted = "ONETWOTHREE" + "".join("".join(row) for row in rows)
    assert sorted("".join(lines).replace(" ", "")) == sorted(wanted.replace(" ", ""))


def test_a_table_is_as_narrow_as_its_text() -> None:
    assert list(table(("A", "B"), [("x", "yy"), ("long", "")], 80)) == ["A     B", "x     yy", "long"]


def test_a_hostile_name_is_shown_escaped(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    make_linkable(workspace, "fine")
    make_manager(machine, link("\x1b[2J\x1b]0;title\x07evil", "/gone\n\x1b[1m"))
    make_plugin(workspace, "web", "w", name="\x1b[31mred", exports={"./web": "./w"})
    for words in (
        ("status",),
        ("web", "list"),
        ("web", "enable", "\x1b[31mred", "--force"),
        ("web", "disable", "\x07"),
    ):
        done = machine.rawr_install("plugins", *words, cwd=workspace)
        assert done.out + done.err
        assert not set(done.out + done.err) & {"\x1b", "\x07"}, words


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_report_fits_the_terminal_but_for_what_is_to_be_copied(machine: Machine, columns: int) -> None:
    workspace = machine.workspace("w" * 60)
    for number in range(3):
        make_linkable(workspace, f"plugin-with-a-long-name-{number}" * 3)
        make_plugin(workspace, "web", f"broken-{number}" * 5, text="{")
    done = machine.rawr_install("plugins", "status", cwd=workspace, env={"COLUMNS": str(columns)})
    issues = done.out.split("\n\n")[1]
    assert max(map(len, issues.splitlines())) <= columns
    assert issues.count("missing_link") == issues.count("invalid_plugin") == 3


def test_a_gate_that_takes_long_is_shown_on_a_terminal_and_the_line_is_wiped(machine: Machine) -> None:
    workspace = machine.workspace("ws", cli=SLOW)
    make_plugin(workspace, "web", "one", exports={"./web": "./w"})
    argv = [sys.executable, "-m", "rawr_install", "plugins", "web", "enable", "one"]
    with Terminal(argv, machine.env, workspace) as shown:
        shown.wait("waiting for the security check of")
        (workspace / "apps/cli/bin/run.js.go").touch()
        shown.wait("enabled: @rawr/one")
        assert "...\r\x1b[K" in shown.raw


def test_progress_counts_what_is_done_and_is_silent_in_the_first_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.Progress("plugins read:") as shown:
        shown(1)
    assert screen.getvalue() == ""
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "EVERY", 3600.0)
    with progress.Progress("plugins read:") as shown:
        shown(7)
        shown(8)
    assert screen.getvalue() == "\rplugins read: 7 ...\r\x1b[K", "the second is too soon after the first"


def test_without_a_terminal_there_is_no_progress(machine: Machine) -> None:
    workspace = machine.workspace("ws", cli="#!/bin/sh\nsleep 1.6\n" + REPORT)
    make_plugin(workspace, "web", "one", exports={"./web": "./w"})
    done = machine.rawr_install("plugins", "web", "enable", "one", cwd=workspace)
    assert (done.code, done.err) == (0, "")


def test_a_gate_that_never_answers_is_ended_and_has_not_said_yes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = machine.workspace("ws", cli=SLOW)
    monkeypatch.setattr(gate, "TIMEOUT", 0.3)
    ruling = gate.run_gate(str(workspace), "off", machine.env)
    assert (ruling.outcome, ruling.reason) == ("blocked", "the gate did not answer within 0.3 s")
    pid = Path(f"{workspace}/apps/cli/bin/run.js.pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()
