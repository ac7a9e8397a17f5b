"""Every finding: produced on disk, found exactly, and mended by running its own remedy."""

from __future__ import annotations

from typing import Any

import pytest

from rawr_install.checks import CHECKS
from tests.conftest import Machine
from tests.doctor_machines import SITUATIONS, Lab, Situation

WITHOUT_REMEDY = ("bun.range", "package.unreadable")  # what to write there only the workspace's people know
MENDABLE = [situation for situation in SITUATIONS if situation.mends]


@pytest.fixture
def lab(machine: Machine) -> Lab:
    return Lab(machine)


def finding(report: dict[str, Any], check_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in report["findings"] if each["id"] == check_id)
    return found


def run_remedy(lab: Lab, remedy: dict[str, Any]) -> None:
    """Run it as a person would: from a shell in the same folder, that finds the toolkit."""
    path = f"{lab.tools}:{lab.machine.env['PATH']}"
    ran = lab.machine.run(*remedy["argv"], cwd=lab.cwd, env={"PATH": path})
    assert ran.code == 0, ran.err


def log_in_again(lab: Lab) -> None:
    """Take PATH from a login shell, where a remedy changed the profile."""
    if (lab.home / ".profile").exists():
        here = lab.machine.env["PATH"]
        script = 'PATH="$1"; . "$HOME/.profile"; printf %s "$PATH"'
        lab.machine.env["PATH"] = lab.machine.run("/bin/sh", "-c", script, "sh", here).out


def test_a_healthy_machine_has_no_findings(lab: Lab) -> None:
    ran = lab.doctor("--json", "--strict")
    assert (ran.code, ran.json["data"]["findings"]) == (0, [])
    assert "warnings" not in ran.json


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_each_situation_is_found_exactly(lab: Lab, situation: Situation) -> None:
    situation.make(lab)
    report = lab.report()
    assert {each["id"]: each["status"] for each in report["findings"]} == situation.found
    for each in report["findings"]:
        assert each["summary"]
        assert each["remedy"] is None or each["remedy"]["text"]
        assert each["remedy"] or each["status"] == "info" or each["id"] in WITHOUT_REMEDY


@pytest.mark.parametrize("situation", MENDABLE, ids=str)
def test_running_the_remedy_makes_the_finding_disappear(lab: Lab, situation: Situation) -> None:
    situation.make(lab)
    run_remedy(lab, finding(lab.report(), situation.mends)["remedy"])
    log_in_again(lab)
    # What stood in front and now stands behind is still told, as information.
    assert lab.found().get(situation.mends) in (None, "info" if situation.found[situation.mends] != "info" else None)


@pytest.mark.parametrize("situation", MENDABLE, ids=str)
def test_fix_mends_what_can_be_undone_and_only_plans_when_asked(lab: Lab, situation: Situation) -> None:
    situation.make(lab)
    fixable = finding(lab.report(), situation.mends)["fixable"]
    before = lab.machine.tree()
    dry = lab.doctor("--fix", "--dry-run", "--json", situation.mends)
    assert lab.machine.tree() == before
    if not fixable:
        assert dry.json["error"]["code"] == "NOT_FIXABLE"
        assert dry.code == 2
        return
    planned = (dry.json.get("data") or dry.json["error"]["details"])["fixes"]
    assert [(fix["status"], situation.mends in fix["ids"]) for fix in planned] == [("planned", True)]
    report = lab.report("--fix", situation.mends)
    assert [(fix["status"], fix["argv"]) for fix in report["fixes"]] == [("done", planned[0]["argv"])]
    assert situation.mends not in {each["id"] for each in report["findings"]}


def test_every_check_has_a_situation() -> None:
    produced = {check_id for situation in SITUATIONS for check_id in situation.found}
    elsewhere = {"probe.crash", "path.too-long", "shell.login-differs", "state.not-local"}  # tests of their own
    assert produced | elsewhere == set(CHECKS)
