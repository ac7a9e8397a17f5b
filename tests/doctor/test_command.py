"""The doctor's command line: it reads only, keeps its promises about options, and survives its own bugs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rawr_install.doctor import diagnose as doctor
from rawr_install.doctor.checks.registry import CHECKS, Check, Found
from rawr_install.machine.facts import Facts
from tests.conftest import Machine
from tests.support.machines import Lab, document, no_entry, validate

CALLS = "execve,execveat,fork,vfork,clone,clone3"
WRITES = "open,openat,creat,mkdir,rename,renameat2,unlink,unlinkat,link,symlink,chmod,fchmod,utimensat,connect,socket"


@pytest.fixture
def lab(machine: Machine) -> Lab:
    return Lab(machine)


# -- reading only ----------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_process_is_started_and_nothing_is_opened_for_writing(lab: Lab) -> None:
    assert lab.machine.rawr_install("activate", cwd=lab.ws).code == 0
    lab.doctor()
    trace = lab.machine.folder / "trace"
    words = ("strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS},{WRITES}", sys.executable, "-B", "-m")
    ran = lab.machine.run(*words, "rawr_install", "doctor", "global", "--verbose", "--json", cwd=lab.cwd)
    lines = trace.read_text(errors="replace").splitlines()
    assert ran.json["ok"]
    started = [line for line in lines if re.search(r"\b(execve|execveat|fork|vfork|clone|clone3)\(", line)]
    assert len(started) == 1, started  # strace's own start of Python
    opened = [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT", line) and " = -1 " not in line]
    assert opened == []
    changing = [line for line in lines if not re.search(r"\b(open|openat|execve)\(", line)]
    assert changing == []


def test_the_machine_is_as_it_was(lab: Lab) -> None:
    no_entry(lab)
    before = lab.machine.tree()
    for words in ((), ("--json",), ("--verbose", "--strict"), ("--list-checks",), ("--fix", "--dry-run")):
        lab.doctor(*words)
    assert lab.machine.tree() == before


def test_outside_every_workspace_the_sentence_says_that_nothing_is_run(lab: Lab) -> None:
    assert lab.machine.rawr_install("install", "--mode", "shim", "--force").code == 0
    lab.cwd = lab.machine.home
    said = " ".join(lab.doctor().out.split())
    assert "Outside every workspace, as here, rawr runs no CLI: it says where you are, and what to do. command" in said
    alike = lab.home / "alike"
    (alike / "plugins").mkdir(parents=True)
    (alike / "package.json").write_text("{}")
    lab.cwd = alike
    said = " ".join(lab.doctor().out.split())
    assert f"rawr runs no CLI here: {alike} looks like a workspace, but has no apps/cli/bin/run.js. command" in said


# -- options -----------------------------------------------------------------------


def test_strict_counts_warnings_in_text_and_json_alike(lab: Lab) -> None:
    lab.machine.owner_file.write_text("")
    assert lab.doctor().code == 0
    printed, text = lab.doctor("--strict", "--json"), lab.doctor("--strict")
    assert (printed.code, text.code) == (1, 1)
    assert printed.json["error"]["code"] == "GLOBAL_RAWR_WARNINGS"
    assert printed.json["warnings"] == [f"Owner file exists but is empty: {lab.machine.owner_file}"]
    assert "--strict: 1 warning(s) count as failures." in text.out
    validate(printed.json)


def test_check_narrows_the_findings_and_never_the_verdict(lab: Lab) -> None:
    lab.machine.owner_file.write_text("")
    no_entry(lab)
    printed = lab.doctor("--json", "--check", "owner.empty", "--check", "state.corrupt")
    found = [(each["id"], each["status"]) for each in document(printed)["findings"]]
    assert found == [("owner.empty", "warn"), ("state.corrupt", "ok")]
    assert printed.code == 1
    unknown = lab.doctor("--json", "--check", "no.such")
    assert (unknown.code, unknown.json["error"]["code"]) == (2, "UNKNOWN_CHECK")


def test_list_checks_lists_every_check(lab: Lab) -> None:
    rows = lab.doctor("--list-checks", "--json").json["data"]["checks"]
    assert [row["id"] for row in rows] == list(CHECKS)
    assert [line.split()[0] for line in lab.doctor("--list-checks").out.splitlines()] == list(CHECKS)


def test_redact_leaves_no_trace_of_the_home_folder(lab: Lab) -> None:
    ws = lab.home / "src/ws"
    shutil.copytree(lab.ws, ws)
    lab.machine.link(ws)
    lab.cwd = ws
    lab.machine.own(lab.home / "gone")
    for words in ((), ("--verbose",), ("--json",), ("--fix", "--dry-run"), ("--json", "--fix", "--dry-run")):
        shown = lab.doctor("--redact", *words)
        assert str(lab.home) not in shown.out + shown.err
        assert "~/src/ws" in shown.out
    # A neighbour whose name begins alike is another folder.
    other = Path(f"{lab.home}-other/ws")
    shutil.copytree(lab.ws, other)
    lab.cwd = other
    assert f"{lab.home}-other/ws" in lab.doctor("--redact", "--json").out


def test_redact_hides_a_home_behind_a_link_under_both_names(lab: Lab) -> None:
    alias = lab.machine.folder / "alias"
    alias.symlink_to(lab.home)
    lab.machine.env["HOME"] = str(alias)
    shown = lab.doctor("--redact", "--json", "--verbose").out
    assert str(alias) not in shown
    assert str(lab.home) not in shown


def test_options_of_fix_without_fix_are_wrong_usage(lab: Lab) -> None:
    for words in (("--dry-run",), ("--yes",), ("owner.empty",)):
        assert lab.doctor(*words).code == 2
    assert lab.doctor("--fix", "no.such", "--json").json["error"]["code"] == "UNKNOWN_CHECK"


def test_a_fix_can_be_undone_with_the_command_it_names(lab: Lab) -> None:
    lab.machine.owner_file.write_text("")
    lab.machine.owner_file.parent.chmod(0o777)
    lab.program(lab.home / "Library/pnpm/rawr")
    before = lab.machine.tree()
    fixes = document(lab.doctor("--fix", "--json"))["fixes"]
    assert {each for fix in fixes for each in fix["ids"]} == {"owner.empty", "policy.writable", "pnpm.stale-shim"}
    assert lab.found() == {"owner.missing": "info"}
    for fix in reversed(fixes):
        path = f"{lab.tools}:{lab.machine.env['PATH']}"
        assert lab.machine.run(*fix["undo"], cwd=lab.cwd, env={"PATH": path}).code == 0
    assert set(before) <= set(lab.machine.tree())
    assert lab.found() == {"owner.empty": "warn", "policy.writable": "fail", "pnpm.stale-shim": "warn"}


def test_a_fix_never_overwrites_what_an_earlier_one_set_aside(lab: Lab) -> None:
    for number in range(3):
        shim = lab.program(lab.home / "Library/pnpm/rawr", f"#!/bin/sh\n# {number}\n")
        [fix] = document(lab.doctor("--fix", "--json"))["fixes"]
        assert fix["status"] == "done" and not shim.exists()
    kept = sorted(shim.parent.iterdir())
    assert [path.read_text()[-2:] for path in kept] == ["0\n", "1\n", "2\n"]


def test_a_fix_that_fails_is_reported_as_failed_and_the_rest_is_done(lab: Lab) -> None:
    no_entry(lab)
    (lab.home / ".local/state/rawr/install.lock").mkdir(parents=True)
    lab.machine.owner_file.parent.chmod(0o777)
    report = document(lab.doctor("--fix", "--json"))
    assert {fix["ids"][0]: fix["status"] for fix in report["fixes"]} == {
        "entry.missing": "failed",
        "policy.writable": "done",
    }
    assert next(fix for fix in report["fixes"] if fix["status"] == "failed")["exitCode"] not in (0, None)


# -- its own bugs, and worlds without a floor ------------------------------------------


def test_a_check_that_had_nothing_to_look_at_is_skipped_and_not_ok(machine: Machine) -> None:
    ran = machine.rawr_install("doctor", "global", "--verbose", "--json", cwd=machine.home)
    status = {finding["id"]: finding["status"] for finding in ran.json["error"]["details"]["findings"]}
    about_the_workspace = {
        name for name in status if name.startswith(("state.", "bun.", "workspace.cli-", "dependencies."))
    }
    assert {status[name] for name in about_the_workspace} == {"skip"}
    assert (status["workspace.none"], status["shell.login-differs"], status["policy.writable"]) == (
        "info",
        "skip",
        "ok",
    )
    assert "skip" not in {finding["status"] for finding in _short(machine)}


def _short(machine: Machine) -> list[dict[str, object]]:
    found = machine.rawr_install("doctor", "global", "--json", cwd=machine.home).json["error"]["details"]["findings"]
    return list(found)


def test_a_crashing_check_is_a_finding_and_hides_no_other(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_facts: Facts) -> Found | None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setitem(CHECKS, "owner.empty", Check("owner.empty", "crashes", crash))
    no_entry(lab)
    found = lab.found()
    assert (found["owner.empty"], found["entry.missing"]) == ("crash", "fail")
    assert "ZeroDivisionError: on purpose" in lab.doctor().out


def test_a_crash_while_looking_is_a_finding_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawr_install.machine.probe.environment.exposed", lambda _places: 1 / 0)
    assert lab.found() == {"probe.crash": "crash"}


def test_json_is_one_document_whatever_breaks(lab: Lab) -> None:
    gone = lab.home / "gone"
    gone.mkdir()
    script = f'rmdir "$PWD"; exec {lab.tools}/rawr-install doctor global --json'
    in_a_gone_folder = lab.machine.run("/bin/sh", "-c", script, cwd=gone)
    validate(in_a_gone_folder.json)
    for env in ({"HOME": ""}, {"HOME": "relative"}, {"HOME": "/no/such/home"}, {"PATH": ""}, {"BUN_INSTALL": "\x01"}):
        ran = lab.doctor("--json", env=env)
        assert json.loads(ran.out)["ok"] in (True, False)
        assert ran.err == ""


def test_verbose_shows_every_check_and_every_entry(lab: Lab) -> None:
    shown = lab.doctor("--verbose").out
    assert all(check_id in shown for check_id in CHECKS)
    assert f"  {lab.machine.entry} (workspace-link)" in shown


# -- the login shell --------------------------------------------------------------------

SHELLS = ["sh", "dash", "bash", "zsh", "fish", "mksh"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_login_shell_is_asked_through_its_banners(lab: Lab, shell: str) -> None:
    if not (program := shutil.which(shell)):
        pytest.skip(f"{shell} is not installed")
    noise = "echo 'Welcome <back> | 100% >'\nprintf '\\033]0;title\\007no line end'\n"
    posix = f"{noise}PATH='{lab.home}/mine':$PATH\n"
    for name in (".profile", ".bash_profile", ".zprofile"):
        (lab.home / name).write_text(posix)
    lab.program(lab.home / ".config/fish/config.fish", f"{noise}set -gx PATH {lab.home}/mine $PATH\n")
    mine = lab.program(lab.home / "mine/rawr")
    report = document(lab.doctor("--json", "--login-shell", env={"SHELL": program}))
    login = next(each for each in report["shells"] if each["name"] == "login")
    assert (login["command"], login["problem"]) == (str(mine), None)
    assert login["path"].startswith(f"{lab.home}/mine:")
    assert {each["id"] for each in report["findings"] if each["status"] != "info"} == {"shell.login-differs"}


def test_a_login_shell_that_finds_the_same_is_no_finding(lab: Lab) -> None:
    (lab.home / ".profile").write_text(f"PATH='{lab.machine.env['PATH']}'\n")
    report = document(lab.doctor("--json", "--login-shell", env={"SHELL": "/bin/sh"}))
    assert "shell.login-differs" not in {each["id"] for each in report["findings"]}
    assert report["shells"][0]["command"] == str(lab.machine.entry)
    assert [shell["name"] for shell in report["shells"]] == ["login", "gui", "cron"]


def test_a_login_shell_that_never_answers_is_killed_with_its_children(lab: Lab) -> None:
    (lab.home / ".profile").write_text(f"sleep 600 & echo $! > '{lab.home}/pid'; wait\n")
    code = "import os; from rawr_install.doctor.login_shell import ask; print(ask(os.environ, 0.5)[0].problem)"
    ran = lab.machine.run(sys.executable, "-c", code, env={"SHELL": "/bin/sh"})
    assert ran.out == "(/bin/sh) did not answer within 0.5 seconds\n"
    pid = int((lab.home / "pid").read_text())
    for _ in range(200):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie that nobody has waited for does not)."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_flood_of_output_and_a_missing_shell_are_answers_too(lab: Lab) -> None:
    (lab.home / ".profile").write_text("exec yes banner\n")
    flooded = lab.report("--login-shell")["shells"][0]
    assert flooded["problem"]
    missing = document(lab.doctor("--json", "--login-shell", env={"SHELL": "/no/such/shell"}))
    assert "could not be started" in missing["shells"][0]["problem"]


def test_a_job_that_a_profile_leaves_behind_does_not_hold_the_answer(lab: Lab) -> None:
    (lab.home / ".profile").write_text(f"sleep 600 & echo $! > '{lab.home}/pid'\n")
    login = lab.report("--login-shell")["shells"][0]
    os.kill(int((lab.home / "pid").read_text()), signal.SIGKILL)
    assert login["problem"] is None


@pytest.mark.slow
def test_the_benchmark_runs(lab: Lab) -> None:
    bench = Path(__file__).parents[2] / "scripts/bench/doctor"
    done = subprocess.run([sys.executable, str(bench), "1"], capture_output=True, text=True)
    assert "goal: doctor global --json at most" in done.stdout, done.stderr


def test_diagnosing_is_pure(lab: Lab) -> None:
    from rawr_install.machine import probe
    from rawr_install.paths import Paths

    facts = probe.probe(Paths.from_environ(lab.machine.env), str(lab.ws), lab.machine.env)
    assert doctor.diagnose(facts) == doctor.diagnose(facts)
