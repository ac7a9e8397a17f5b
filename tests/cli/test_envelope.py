"""What every command promises: one JSON document, stable exit codes, no stack trace, whatever goes wrong."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

import pytest

from rawr_install.cli.base import Context, Result, emit, error_lines
from rawr_install.cli.main import COMMANDS, SUMMARIES, main
from rawr_install.cli.screen.terminal import Terminal
from rawr_install.errors import RawrError
from rawr_install.report import Finding, Remedy, Span, failure, printable, success, to_json
from tests.conftest import Machine


@pytest.mark.parametrize(
    "words",
    [["--nope"], ["nope"], ["install", "--nope"], ["activate", "a", "b"], ["doctor", "nope"], ["state"], ["trust"]],
    ids=" ".join,
)
def test_wrong_usage_is_one_document_with_code_usage_and_exit_code_2(machine: Machine, words: list[str]) -> None:
    ran = machine.rawr_install(*words, "--json")
    assert (ran.code, ran.err) == (2, "")
    document = ran.json
    assert document["ok"] is False
    assert document["error"]["code"] == "USAGE"
    assert document["error"]["details"]["remedy"]["argv"][-1] == "--help"
    assert document["meta"]["schemaVersion"] == 1


@pytest.mark.parametrize("group", ["fallback", "trust", "state", "plugins", "plugins web"])
def test_a_group_without_a_subcommand_names_them_in_one_sentence(machine: Machine, group: str) -> None:
    ran = machine.rawr_install(*group.split())
    first, *rest = ran.err.splitlines()
    assert re.fullmatch(rf"rawr: rawr-install {group} needs a subcommand: [a-z, ]+\. \[USAGE\]", first)
    assert (ran.code, rest) == (2, [f"  try: rawr-install {group} --help"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_json_and_an_example(machine: Machine, command: str) -> None:
    ran = machine.rawr_install(command, "--help", "--json")
    assert ran.code == 0
    assert ran.json["ok"] is True
    text = ran.json["data"]["help"]
    assert "--json" in text
    assert f"rawr-install {command}" in text


def test_the_list_of_commands_shows_a_whole_line_for_each(machine: Machine) -> None:
    text = machine.rawr_install("--help", env={"COLUMNS": "80"}).out
    assert set(SUMMARIES) == set(COMMANDS)
    assert all(f"  {summary}\n" in text for summary in SUMMARIES.values())


def test_the_version_is_one_document_too(machine: Machine) -> None:
    assert machine.rawr_install("--version", "--json").json["data"]["version"]


def test_the_command_in_the_envelope_is_the_command_path(machine: Machine) -> None:
    assert machine.rawr_install("doctor:global", "--json").json["meta"]["command"] == "doctor global"
    assert machine.rawr_install("--json", "trust", "list").json["meta"]["command"] == "trust list"


@pytest.mark.parametrize("command", ["install", "activate", "doctor global", "fallback status", "history"])
def test_without_a_home_every_command_says_so_in_one_document(machine: Machine, command: str) -> None:
    del machine.env["HOME"]
    ran = machine.rawr_install(*command.split(), "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "NO_HOME")


def test_a_bug_is_a_document_without_a_stack_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for where, code in (("main:COMMANDS", "INTERNAL_ERROR"), ("no_such_module:command", "TOOLKIT_DAMAGED")):
        monkeypatch.setitem(COMMANDS, "broken", where)
        assert main(["broken", "--json"]) == 1
        out, err = capsys.readouterr()
        assert json.loads(out)["error"]["code"] == code
        assert "Traceback" not in out + err


def test_a_closed_pipe_is_no_bug(machine: Machine) -> None:
    # The reader is gone before the first byte, so that the write always fails.
    ran = machine.run("sh", "-c", f"(sleep 0.5; exec {sys.executable} -m rawr_install --help) | exec true")
    assert (ran.out, ran.err) == ("", "")


def test_an_error_for_people_names_the_code_and_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    error = RawrError("The entry at /x\x1b[2J is foreign.", code="FOREIGN_ENTRY", remedy=("rawr-install", "x y"))
    assert emit(Context(), Result(error=error)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "rawr: The entry at /x\\x1b[2J is foreign. [FOREIGN_ENTRY]\n  try: rawr-install 'x y'\n"
    assert error_lines(RawrError("It is so.", code="X", hint="do this\nor that")) == [
        "rawr: It is so. [X]",
        "  try: do this",
        "   or that",
    ]


def test_envelopes_have_the_wire_shape() -> None:
    assert list(success("x", {"a": 1})) == ["ok", "data", "meta"]
    assert list(success("x", {}, ["w"])) == ["ok", "data", "warnings", "meta"]
    document = failure("x", RawrError("m", code="C"), ["w"])
    assert document == {
        "ok": False,
        "error": {"message": "m", "code": "C"},
        "warnings": ["w"],
        "meta": {"schemaVersion": 1, "command": "x"},
    }


def test_hostile_text_is_shown_harmlessly_and_honest_text_as_it_is() -> None:
    assert printable("a\x1b]0;t\x07\n\u202e\udc80") == "a\\x1b]0;t\\x07\\n\\u202e\\udc80"
    assert printable("/home/zoë/日本") == "/home/zoë/日本"


def test_only_the_printer_escapes_and_paints() -> None:
    line = (Span("fail  ", "fail"), "/x\x1b[2J\n日")
    assert Terminal(colour=True).show(line) == "\x1b[1;31mfail  \x1b[0m/x\\x1b[2J\\n日"
    assert Terminal(encoding="ascii").show(line) == "fail  /x\\x1b[2J\\n\\u65e5"
    assert Terminal(colour=True).show(Span("\x1b", "bold")) == "\x1b[1m\\x1b\x1b[0m"


@pytest.mark.parametrize(
    ("given", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, False),
    ],
    ids=str,
)
def test_colour_can_be_asked_for_where_no_terminal_is(machine: Machine, given: dict[str, str], coloured: bool) -> None:
    assert ("\x1b[" in machine.rawr_install("doctor", "global", env=given).out) == coloured


def test_records_become_json_by_their_fields() -> None:
    finding = Finding("a.b", "warn", "s", {"p": ("x",)}, Remedy("t", ("a", "b")))
    assert to_json([finding]) == [
        {
            "id": "a.b",
            "status": "warn",
            "summary": "s",
            "evidence": {"p": ["x"]},
            "remedy": {"text": "t", "argv": ["a", "b"]},
            "fixable": False,
            "cause": None,
        }
    ]
    assert to_json(Frozen(1, None)) == {"exitCode": 1, "more": None}


@dataclass(frozen=True)
class Frozen:
    exit_code: int
    more: str | None
