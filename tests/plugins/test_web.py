"""Web plugins: the gate that is asked, what each answer means, and the one mutation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rawr_install.plugins.gate import interpret
from tests.conftest import Machine, Ran, snapshot
from tests.events.conftest import TRACE, TRACED, is_child_of_trace
from tests.support.plugins import make_linkable, make_plugin

# A workspace CLI whose gate writes down how it was asked and answers as the test says.
CLI = """#!/bin/sh
printf '%s|%s|%s\\n' "$PWD" "$*" "$RAWR_WORKSPACE_ROOT" >> "$0.log"
echo "$TRACEPARENT" > "$0.trace"
cat "$0.report" 2>/dev/null
exit "$(cat "$0.exit")"
"""


class Gate:
    """The workspace CLI of a test."""

    def __init__(self, workspace: Path) -> None:
        self.cli = workspace / "apps/cli/bin/run.js"
        self.findings(code=0)

    def answer(self, code: int, report: Any = None) -> None:
        Path(f"{self.cli}.exit").write_text(str(code))
        Path(f"{self.cli}.report").write_text("" if report is None else json.dumps(report))

    def findings(self, *severities: str, code: int = 1) -> None:
        found = [{"kind": "x", "severity": severity} for severity in severities]
        self.answer(code, {"ok": True, "data": {"report": {"ok": not found, "findings": found}}})

    @property
    def asked(self) -> list[list[str]]:
        log = Path(f"{self.cli}.log")
        return [line.split("|") for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def workspace(machine: Machine) -> Path:
    made = machine.workspace("ws", cli=CLI)
    make_plugin(made, "web", "one", exports={"./server": "./s.ts"})
    make_plugin(made, "web", "two", exports={"./web": "./w.ts"})
    make_plugin(made, "web", "idle", exports={".": "./i.ts"})
    make_plugin(made, "web", "broken", text="{")
    make_linkable(made, "tool")
    return made


@pytest.fixture
def gate(workspace: Path) -> Gate:
    return Gate(workspace)


def web(machine: Machine, workspace: Path, *words: str, env: dict[str, str] | None = None) -> Ran:
    """``plugins web ...`` from a folder deep inside the workspace."""
    return machine.rawr_install("plugins", "web", *words, cwd=workspace / "plugins/cli/tool", env=env)


def enabled(workspace: Path) -> list[str]:
    path = workspace / ".rawr/state/state.json"
    return json.loads(path.read_text())["plugins"]["enabled"] if path.exists() else []


def code_of(done: Ran) -> tuple[int, str]:
    return done.code, done.json["error"]["code"]


# -- one plugin --------------------------------------------------------------


def test_a_plugin_is_enabled_by_id_or_folder_once_the_gate_allows_it(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    done = web(machine, workspace, "enable", "@rawr/one")
    assert (done.code, done.out.splitlines()) == (0, ["enabled: @rawr/one", "persisted: .rawr/state/state.json"])
    done = web(machine, workspace, "enable", "two", "--json")
    data = done.json["data"]
    assert (data["pluginId"], data["forced"], data["changed"]) == ("@rawr/two", False, True)
    assert data["state"]["plugins"]["enabled"] == enabled(workspace) == ["@rawr/one", "@rawr/two"]
    assert data["evaluation"]["allowed"] is True


def test_the_gate_is_asked_in_the_workspaces_root_whatever_the_current_folder(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    other = machine.workspace("other", cli=CLI)
    env = {"RAWR_WORKSPACE_ROOT": str(other)}
    words = ("plugins", "web", "enable", "one", "--workspace", workspace)
    assert machine.rawr_install(*words, "--staged", cwd=other, env=env).code == 0
    assert gate.asked == [[str(workspace), "security check --json --staged", str(workspace)]]
    assert Gate(other).asked == []


@TRACED
def test_the_gate_is_a_child_of_the_callers_trace(machine: Machine, workspace: Path, gate: Gate) -> None:
    assert web(machine, workspace, "enable", "one", env={"TRACEPARENT": TRACE}).code == 0
    assert is_child_of_trace(Path(f"{gate.cli}.trace").read_text().strip())


def test_an_enabled_plugin_stays_so_and_nothing_is_written(machine: Machine, workspace: Path, gate: Gate) -> None:
    web(machine, workspace, "enable", "one")
    before = snapshot(workspace / ".rawr/state")["state.json"]
    done = web(machine, workspace, "enable", "one")
    assert (done.code, done.out.splitlines()[1]) == (0, "unchanged: .rawr/state/state.json")
    assert snapshot(workspace / ".rawr/state")["state.json"] == before


def test_an_unknown_plugin_is_refused_with_the_known_ids(machine: Machine, workspace: Path, gate: Gate) -> None:
    for verb in ("enable", "disable"):
        done = web(machine, workspace, verb, "nope", "--json")
        assert code_of(done) == (2, "PLUGIN_NOT_FOUND")
        known = done.json["error"]["details"]["knownPluginIds"]
        assert known == ["@rawr/idle", "@rawr/one", "@rawr/tool", "@rawr/two"]
    done = web(machine, workspace, "enable", "broken", "--json")
    assert code_of(done) == (2, "PLUGIN_NOT_FOUND")
    assert "Failed to parse plugin manifest" in done.json["error"]["message"]
    assert gate.asked == []


def test_a_plugin_of_another_kind_is_refused(machine: Machine, workspace: Path, gate: Gate) -> None:
    for verb in ("enable", "disable"):
        done = web(machine, workspace, verb, "tool", "--json")
        assert code_of(done) == (2, "PLUGIN_KIND_MISMATCH")
    assert (gate.asked, enabled(workspace)) == ([], [])
    machine.rawr_install("state", "enable", "@rawr/tool", cwd=workspace)
    assert code_of(web(machine, workspace, "disable", "@rawr/tool", "--json")) == (2, "PLUGIN_KIND_MISMATCH")
    assert enabled(workspace) == ["@rawr/tool"]


def test_a_blocked_plugin_is_not_enabled_and_force_enables_it_on_record(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    gate.findings("high")
    done = web(machine, workspace, "enable", "one", "--json")
    assert code_of(done) == (1, "SECURITY_GATE_BLOCKED")
    assert done.json["error"]["details"]["evaluation"]["report"]["findings"][0]["severity"] == "high"
    assert enabled(workspace) == []
    done = web(machine, workspace, "enable", "one", "--force")
    assert (done.code, done.out.splitlines()[0]) == (0, "forced enable: @rawr/one")
    assert enabled(workspace) == ["@rawr/one"]
    [event] = forced(machine)
    assert (event["root"], event["pluginIds"]) == (str(workspace), ["@rawr/one"])
    assert event["gate"]["outcome"] == "blocked"


def forced(machine: Machine) -> list[dict[str, Any]]:
    log = machine.home / ".local/state/rawr/events.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [event for event in events if event["type"] == "plugins.gate.forced"]


def test_an_allowed_plugin_is_not_on_record_as_forced(machine: Machine, workspace: Path, gate: Gate) -> None:
    assert web(machine, workspace, "enable", "one", "--force", "--json").json["data"]["forced"] is False
    assert forced(machine) == []


@pytest.mark.parametrize("missing", ["exit 2", "exit 127", "error code", "no CLI", "not executable", "no interpreter"])
def test_without_a_gate_it_is_not_implemented_unless_forced(
    machine: Machine, workspace: Path, gate: Gate, missing: str
) -> None:
    if missing.startswith("exit"):
        gate.answer(int(missing.split()[1]))
    elif missing == "error code":
        gate.answer(1, {"ok": False, "error": {"code": "UNKNOWN_COMMAND", "message": "?"}})
    elif missing == "no CLI":
        gate.cli.unlink()
    elif missing == "not executable":
        gate.cli.chmod(0o644)
    else:
        gate.cli.write_text("#!/nowhere/bun\n")
    for words in (("enable", "one"), ("enable", "all"), ("enable", "one", "--risk", "off")):
        done = web(machine, workspace, *words, "--json")
        assert code_of(done) == (2, "NOT_IMPLEMENTED"), words
    assert enabled(workspace) == []
    assert web(machine, workspace, "enable", "one", "--force").code == 0
    assert enabled(workspace) == ["@rawr/one"]
    assert forced(machine)[0]["gate"]["outcome"] == "absent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a workspace to another user")
def test_the_gate_of_somebody_elses_workspace_is_not_run(machine: Machine, workspace: Path, gate: Gate) -> None:
    os.chown(workspace, 12345, 12345)
    done = web(machine, workspace, "enable", "one", "--force", "--json")
    assert code_of(done) == (1, "WORKSPACE_NOT_TRUSTED")
    assert gate.asked == []
    (machine.home / ".rawr").mkdir()
    (machine.home / ".rawr/trusted-workspaces").write_text(f"{workspace}\n")
    assert web(machine, workspace, "enable", "one").code == 0


# -- the ruling --------------------------------------------------------------

SAID = b'{"ok": true, "data": {"report": {"ok": false, "findings": [{"severity": "%s"}]}}}'


@pytest.mark.parametrize(
    ("severity", "allowed_at"),
    [
        ("info", {"balanced", "permissive", "off"}),
        ("low", {"balanced", "permissive", "off"}),
        ("medium", {"balanced", "permissive", "off"}),
        ("high", {"permissive", "off"}),
        ("critical", {"off"}),
        ("unheard-of", {"off"}),
    ],
)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_findings_are_weighed_against_the_risk_tolerance(severity: str, allowed_at: set[str], exit_code: int) -> None:
    said = SAID % severity.encode()
    risks = ("strict", "balanced", "permissive", "off")
    assert {risk for risk in risks if interpret(exit_code, said, risk).outcome == "allowed"} == allowed_at


def test_the_worst_finding_decides() -> None:
    report = {"ok": False, "findings": [{"severity": "low"}, {"severity": "critical"}, {"severity": "info"}]}
    said = json.dumps({"ok": True, "data": {"report": report}}).encode()
    assert interpret(1, said, "permissive").outcome == "blocked"


@pytest.mark.parametrize(
    "output", [b'{"data": {"report": {"ok": false}}}', b'{"ok": false, "error": {"message": "no", "code": "NO"}}']
)
def test_a_gate_that_says_no_without_findings_blocks_at_every_tolerance_but_off(output: bytes) -> None:
    assert [interpret(1, output, risk).outcome for risk in ("strict", "permissive", "off")] == [
        "blocked",
        "blocked",
        "allowed",
    ]


@pytest.mark.parametrize("exit_code", [3, 134, -9, -15])
def test_a_gate_that_crashed_has_not_said_yes(exit_code: int) -> None:
    assert interpret(exit_code, b"", "off").outcome == "blocked"


@pytest.mark.parametrize("output", [b"", b"ok\n", b"[]", b'{"ok": true, "data": {}}', b"[" * 100_000])
@pytest.mark.parametrize("exit_code", [0, 1, 2, 126, 127])
def test_a_cli_that_prints_no_report_has_no_gate(exit_code: int, output: bytes) -> None:
    assert {interpret(exit_code, output, risk).outcome for risk in ("strict", "off")} == {"absent"}


# What the real TypeScript CLI prints when the command's file is gone, a module of it is, and when nobody wrote it.
MISSING = [
    ("echo ' ›   Error: command security:check not found' >&2; exit 127", "an unknown command"),
    (
        "echo 'error: Cannot find module' >&2; echo '    at run.js:1:2' >&2; exit 1",
        "a missing module",
    ),
    ('echo \'{"error": {"code": "MODULE_NOT_FOUND"}}\'; echo "    at run.js:1:2" >&2; exit 1', "the same, as JSON"),
    ("exit 0", "a command that does nothing"),
]


@pytest.mark.parametrize("script", [row[0] for row in MISSING], ids=[row[1] for row in MISSING])
def test_a_gate_that_is_missing_is_said_to_be_and_its_stack_trace_is_not_shown(
    machine: Machine, workspace: Path, gate: Gate, script: str
) -> None:
    gate.cli.write_text(f"#!/bin/sh\n{script}\n")
    done = web(machine, workspace, "enable", "one", "--risk", "off")
    assert (done.code, "[NOT_IMPLEMENTED]" in done.err) == (2, True)
    assert "run.js:1:2" not in done.err and "Error:" not in done.err
    assert enabled(workspace) == []


def test_what_the_gate_says_on_stderr_is_shown_harmlessly(machine: Machine, workspace: Path, gate: Gate) -> None:
    gate.cli.write_text("#!/bin/sh\nprintf 'scanning\\033[2J\\n' >&2\n" + gate.cli.read_text().partition("\n")[2])
    assert web(machine, workspace, "enable", "one").err == "scanning\\x1b[2J\n"


# -- the tolerance ------------------------------------------------------------

CONFIGURED = """#!/bin/sh
case $1 in
config) cat "$0.config"; exit "$(cat "$0.config-exit")" ;;
*) printf '{"ok": true, "data": {"report": {"ok": false, "findings": [{"severity": "high"}]}}}'; exit 1 ;;
esac
"""


def configure(gate: Gate, text: str, code: int = 0) -> None:
    """The workspace has a rawr.config.ts, of which its CLI says ``text``."""
    gate.cli.write_text(CONFIGURED)
    Path(f"{gate.cli}.config").write_text(text)
    Path(f"{gate.cli}.config-exit").write_text(str(code))
    (gate.cli.parents[3] / "rawr.config.ts").write_text("export default {};\n")


def says(risk: object) -> str:
    return json.dumps({"ok": True, "data": {"path": "x", "config": {"plugins": {"defaultRiskTolerance": risk}}}})


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        (says("permissive"), "permissive"),
        (says("strict"), "strict"),
        ('{"ok": true, "data": {"path": null, "config": null}}', "balanced"),
        ('{"ok": true, "data": {"config": {"plugins": {}}}}', "balanced"),
        ('{"ok": true, "data": {"config": {}}}', "balanced"),
    ],
)
def test_the_workspaces_own_tolerance_holds_where_none_is_given(
    machine: Machine, workspace: Path, gate: Gate, text: str, risk: str
) -> None:
    configure(gate, text)
    done = web(machine, workspace, "enable", "all", "--json")
    found = done.json["data"] if risk == "permissive" else done.json["error"]["details"]
    assert (done.code, found["riskTolerance"]) == (0 if risk == "permissive" else 1, risk)
    given = web(machine, workspace, "enable", "one", "--risk", "off", "--json").json["data"]
    assert given["evaluation"]["riskTolerance"] == "off"


@pytest.mark.parametrize(
    ("text", "code"), [("", 0), (says("permissive"), 1), (says("yolo"), 0), ("{}", 0), ('{"data": 7}', 0)]
)
def test_a_tolerance_that_cannot_be_learned_is_not_guessed(
    machine: Machine, workspace: Path, gate: Gate, text: str, code: int
) -> None:
    configure(gate, text, code)
    done = web(machine, workspace, "enable", "one", "--json")
    assert code_of(done) == (2, "NOT_IMPLEMENTED") and "--risk" in done.json["error"]["details"]["remedy"]["text"]
    assert web(machine, workspace, "enable", "one", "--risk", "permissive").code == 0
    assert web(machine, workspace, "enable", "two", "--force").code == 0


def test_what_was_not_scanned_is_said(machine: Machine, workspace: Path, gate: Gate) -> None:
    finding = {"kind": "toolError", "severity": "high", "tool": "bun audit", "message": "no lockfile"}
    gate.answer(1, {"ok": True, "data": {"report": {"ok": False, "findings": [finding]}}})
    shown = web(machine, workspace, "enable", "one", "--risk", "off").out
    assert "not scanned: bun audit: no lockfile\n" in shown
    data = web(machine, workspace, "enable", "all", "--risk", "off", "--json").json["data"]
    assert data["riskTolerance"] == "off"


# -- all ----------------------------------------------------------------------

SHAPE = [
    "workspaceRoot",
    "mode",
    "riskTolerance",
    "dryRun",
    "plannedCount",
    "skippedCount",
    "blockedCount",
    "errorCount",
    "attempts",
    "skipped",
]


def test_enable_all_takes_what_can_run_with_one_gate_and_one_mutation(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    done = web(machine, workspace, "enable", "all", "--json")
    data = done.json["data"]
    assert done.code == 0
    assert list(data)[: len(SHAPE)] == SHAPE
    ok = {"allowed": True, "forced": False, "persisted": True}
    assert data["attempts"] == [{"pluginId": "@rawr/one", **ok}, {"pluginId": "@rawr/two", **ok}]
    assert [skipped["pluginId"] for skipped in data["skipped"]] == ["@rawr/idle", "broken"]
    assert data["skipped"][0]["reason"] == "exports neither ./server nor ./web"
    assert [data[key] for key in SHAPE[:8]] == [str(workspace), "repo", "balanced", False, 2, 2, 0, 0]
    assert enabled(workspace) == ["@rawr/one", "@rawr/two"]
    assert len(gate.asked) == 1


def test_enable_all_is_one_write_of_the_state(machine: Machine, workspace: Path, gate: Gate) -> None:
    from tests.support.steps import need_strace, record

    need_strace()
    words = ("plugins", "web", "enable", "all", "--workspace", str(workspace))
    renames = [step for step in record(machine, words) if "rename" in step.name]
    assert renames == [], "the state is not in the home"
    inside = machine.folder / "home/inside"
    workspace.rename(inside)
    (inside / ".rawr/state/state.json").unlink()
    renames = [step.shown for step in record(machine, (*words[:-1], str(inside))) if "rename" in step.name]
    assert len([shown for shown in renames if 'state.json"' in shown]) == 1


def test_enable_all_says_which_plugins_were_blocked(machine: Machine, workspace: Path, gate: Gate) -> None:
    gate.findings("critical")
    done = web(machine, workspace, "enable", "all", "--risk", "permissive", "--staged", "--json")
    assert code_of(done) == (1, "SECURITY_GATE_BLOCKED")
    data = done.json["error"]["details"]
    assert [data[key] for key in SHAPE[1:8]] == ["staged", "permissive", False, 2, 2, 2, 0]
    assert [attempt["persisted"] for attempt in data["attempts"]] == [False, False]
    assert enabled(workspace) == []
    done = web(machine, workspace, "enable", "all", "--force", "--json")
    attempt = {"allowed": False, "forced": True, "persisted": True}
    assert done.json["data"]["attempts"][1] == {"pluginId": "@rawr/two", **attempt}
    assert [event["pluginIds"] for event in forced(machine)] == [["@rawr/one", "@rawr/two"]]


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_dry_run_asks_the_gate_and_writes_nothing(
    machine: Machine, workspace: Path, gate: Gate, force: tuple[str, ...]
) -> None:
    if force:
        gate.findings("critical")
    for record in ("log", "trace"):  # the stand-in's own
        (workspace / f"apps/cli/bin/run.js.{record}").touch()
    before = {name: shown for name, shown in machine.tree().items() if not name.endswith((".log", ".trace"))}
    for wanted in ("all", "one"):
        done = web(machine, workspace, "enable", wanted, "--dry-run", "--json", *force)
        assert (done.code, done.json["data"]["dryRun"]) == (0, True)
    after = {name: shown for name, shown in machine.tree().items() if not name.endswith((".log", ".trace"))}
    assert after == before
    assert [asked[1] for asked in gate.asked] == ["security check --json --dry-run"] * 2


def test_a_state_that_cannot_be_changed_is_an_error_in_every_attempt(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    state = workspace / ".rawr/state/state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{corrupt")
    done = web(machine, workspace, "enable", "all", "--json")
    assert code_of(done) == (1, "STATE_CORRUPT")
    data = done.json["error"]["details"]
    assert (data["errorCount"], data["blockedCount"]) == (2, 0)
    assert {attempt["error"]["code"] for attempt in data["attempts"]} == {"STATE_CORRUPT"}
    assert state.read_text() == "{corrupt"


def test_with_nothing_to_enable_no_gate_is_asked(machine: Machine) -> None:
    workspace = machine.workspace("empty", cli=CLI)
    gate = Gate(workspace)
    done = machine.rawr_install("plugins", "web", "enable", "all", "--json", cwd=workspace)
    assert (done.code, done.json["data"]["plannedCount"], gate.asked) == (0, 0, [])
    assert not (workspace / ".rawr").exists()
    assert not (machine.home / ".local").exists(), "nothing was done, so there is nothing on record"


def test_a_plugin_named_all_is_reached_behind_dashes(machine: Machine, workspace: Path, gate: Gate) -> None:
    make_plugin(workspace, "web", "all", name="all", exports={"./web": "./w"})
    assert web(machine, workspace, "enable", "--", "all").code == 0
    assert enabled(workspace) == ["all"]
    assert web(machine, workspace, "enable", "all").code == 0
    assert enabled(workspace) == ["@rawr/one", "@rawr/two", "all"]


# -- off, and what is on -------------------------------------------------------


def test_disabling_asks_no_gate_and_a_plugin_that_is_gone_can_be_disabled(
    machine: Machine, workspace: Path, gate: Gate
) -> None:
    web(machine, workspace, "enable", "all")
    (workspace / "plugins/web/two/package.json").unlink()
    asked = len(gate.asked)
    assert web(machine, workspace, "disable", "one", "--dry-run").code == 0
    assert enabled(workspace) == ["@rawr/one", "@rawr/two"]
    for wanted in ("one", "@rawr/two"):
        done = web(machine, workspace, "disable", wanted)
        assert (done.code, done.out.splitlines()[-1]) == (0, "persisted: .rawr/state/state.json")
    assert (enabled(workspace), len(gate.asked)) == ([], asked)


def test_list_and_status_show_what_is_enabled_and_write_nothing(machine: Machine, workspace: Path, gate: Gate) -> None:
    web(machine, workspace, "enable", "all")
    (workspace / "plugins/web/two/package.json").unlink()
    before = machine.tree()
    listed = web(machine, workspace, "list", "--json").json
    rows = listed["data"]["plugins"]
    assert [(row["id"], row["enabled"], row["runtime"]) for row in rows] == [
        ("@rawr/idle", False, False),
        ("@rawr/one", True, True),
    ]
    assert "Failed to parse" in listed["warnings"][0]
    status = web(machine, workspace, "status")
    assert [line.split()[:2] for line in status.out.splitlines()[1:]] == [
        ["@rawr/idle", "disabled"],
        ["@rawr/one", "enabled"],
        ["@rawr/two", "enabled"],
    ]
    assert "not a plugin of this workspace" in status.out
    assert machine.tree() == before


def test_a_corrupt_state_is_told_not_shown_as_empty(machine: Machine, workspace: Path) -> None:
    path = workspace / ".rawr/state/state.json"
    path.parent.mkdir(parents=True)
    path.write_text("[]")
    assert code_of(web(machine, workspace, "status", "--json")) == (1, "STATE_CORRUPT")


def test_the_list_has_what_the_peers_list_has(machine: Machine, workspace: Path) -> None:
    make_plugin(workspace, "web", "nameless", text='{"rawr": {"kind": "web", "capability": "x"}}')
    for verb in ("list", "status"):
        data = web(machine, workspace, verb, "--json").json["data"]
        assert data["excludedCount"] == 1, "the toolkit plugin"
        rows = {row["id"]: row for row in data["plugins"]}
        assert rows["@rawr/one"]["name"] == "@rawr/one" and "name" not in rows["nameless"]
