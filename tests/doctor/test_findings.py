"""Every finding: produced on disk, found exactly, and mended by running its own remedy."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rawr_install.doctor.checks import CHECKS
from tests.conftest import Machine
from tests.support.machines import (
    SITUATIONS,
    Lab,
    Situation,
    a_link_runs_in_another_users_folder,
    a_pnpm_shim_is_left,
    an_installation_was_interrupted,
    document,
    link_decides,
    the_receipt_is_a_newer_toolkits,
    validate,
)

WITHOUT_REMEDY = ("bun.range", "package.unreadable")  # what to write there only the workspace's people know
NOT_FIXABLE = {
    "the cli has windows line ends",
    "a foreign file stands where the receipt has ours",
    "a wrong link comes first",
    "a wrong link comes first outside a workspace",
    "no entry and no folder for one on path",
    "the workspace was moved and we stand in its new place",
    "a dangling rawr stands first on path",
    "everybody can write to the workspace",
    "another workspace is active",  # the remedy is somebody else's file, PATH, the network, or the user's decision
    "bun.missing",
    "bun.version",
    "dependencies.missing",
    "entry.foreign",
    "entry.link-decides",
    "owner.entry-disagree",
    "owner.missing",
    "owner.other-instance",
    "owner.unreadable",
    "path.bun-missing",
    "path.entry-missing",
    "path.pnpm-first",
    "path.shadowed",
    "path.two-installs",
    "path.version-manager",
    "an older tool changed the owner",
    "state.lock-unreadable",
    "workspace.untrusted",
}
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


def test_a_healthy_machine_has_no_findings(lab: Lab) -> None:
    ran = lab.doctor("--json", "--strict")
    assert (ran.code, statuses(ran.json["data"])) == (0, {"entry.link-decides": "info"})
    assert "warnings" not in ran.json


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_each_situation_is_found_exactly_and_its_remedy_mends_it(lab: Lab, situation: Situation) -> None:
    situation.make(lab)
    printed = lab.doctor("--json").json
    validate(printed)
    report = printed["data"] if printed["ok"] else printed["error"]["details"]
    assert {each["id"]: each["status"] for each in report["findings"]} == {**situation.found, **link_decides(report)}
    assert printed["ok"] is ("fail" not in situation.found.values())
    for each in report["findings"]:
        assert each["summary"]
        assert each["remedy"] is None or each["remedy"]["text"]
        assert each["remedy"] or each["status"] == "info" or each["id"] in WITHOUT_REMEDY
        assert not each["remedy"] or each["id"] == situation.mends or each["id"] in mended_elsewhere(each)
    if situation.mends:
        run_remedy(lab, finding(report, situation.mends)["remedy"])
        lab.log_in_again()
        # What stood in front and now stands behind is still told, as information.
        after = statuses(lab.report())
        assert {name for name, each in after.items() if each == "fail"} <= set(situation.found), after
        status = after.get(situation.mends)
        assert status is None or (status == "info" and situation.found.get(situation.mends) not in ("info", None))


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["status"] for each in report["findings"]}


def mended_elsewhere(each: dict[str, Any]) -> set[str]:
    """Findings with a command are each run by some situation; those without one are told in words."""
    return {situation.mends for situation in MENDABLE} | ({each["id"]} if not each["remedy"]["argv"] else set())


# A third of them is fast, and none where a lock is watched for two seconds.
FIXES = [
    pytest.param(each, marks=[pytest.mark.slow] * (number % 3 > 0 or each.mends.startswith("state.lock")))
    for number, each in enumerate(MENDABLE)
]


@pytest.mark.parametrize("situation", FIXES, ids=str)
def test_fix_mends_what_can_be_undone_and_only_plans_when_asked(lab: Lab, situation: Situation) -> None:
    situation.make(lab)
    before = lab.machine.tree()
    dry = lab.doctor("--fix", "--dry-run", "--json", situation.mends)
    assert lab.machine.tree() == before
    if {situation.mends, situation.name} & NOT_FIXABLE:
        assert (dry.code, dry.json["error"]["code"]) == (2, "NOT_FIXABLE")
        return
    planned = document(dry)["fixes"]
    assert [(fix["status"], situation.mends in fix["ids"]) for fix in planned] == [("planned", True)]
    done = lab.doctor("--fix", "--json", situation.mends)
    assert [(fix["status"], fix["argv"]) for fix in document(done)["fixes"]] == [("done", planned[0]["argv"])]
    assert situation.mends not in {each["id"] for each in document(done)["findings"]}


def test_every_check_has_a_situation() -> None:
    produced = {check_id for situation in SITUATIONS for check_id in (*situation.found, situation.mends) if check_id}
    elsewhere = {
        "probe.crash",
        "path.too-long",
        "shell.login-differs",
        "state.not-local",
        "home.not-writable",
        "state.not-writable",
    }  # tests of their own
    assert produced | elsewhere == set(CHECKS)


def test_a_lost_cli_is_the_one_cause_of_what_follows_from_it(lab: Lab) -> None:
    lab.cli.unlink()
    causes = {each["id"]: each.get("cause") for each in lab.report()["findings"]}
    assert causes == {"workspace.cli-missing": None, "entry.dangling": "workspace.cli-missing"}
    assert lab.doctor().out.count("try: ") == 1


def test_no_move_by_hand_is_said_to_end_an_interrupted_change(lab: Lab) -> None:
    an_installation_was_interrupted(lab)
    a_pnpm_shim_is_left(lab)
    report = document(lab.doctor("--fix", "--json", "pnpm.stale-shim"))
    assert [(fix["ids"], fix["status"]) for fix in report["fixes"]] == [(["pnpm.stale-shim"], "done")]
    assert statuses(report) == {"operation.pending": "warn", "entry.link-decides": "info"}


def test_a_record_of_a_newer_toolkit_is_left_alone_by_fix(lab: Lab) -> None:
    the_receipt_is_a_newer_toolkits(lab)
    report = document(lab.doctor("--fix", "--json"))
    assert [fix["ids"] for fix in report["fixes"]] == [["pnpm.stale-shim"]]
    assert finding(report, "receipt.unreadable")["remedy"]["text"].startswith("upgrade rawr-install")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_no_command_is_printed_that_is_refused_in_another_users_folder(lab: Lab) -> None:
    a_link_runs_in_another_users_folder(lab)
    refused = lab.machine.rawr_install("activate", lab.ws, "--json", cwd=lab.cwd)
    assert refused.json["error"]["code"] == "CWD_NOT_TRUSTED"
    remedy = finding(lab.report(), "owner.empty")["remedy"]
    assert remedy == {"text": "first see to project.untrusted", "argv": []}


def test_a_shell_that_finds_no_program_but_a_file_says_so(lab: Lab) -> None:
    lab.cli.chmod(0o644)
    said, shell = lab.doctor().out, lab.machine.run("/bin/bash", "-c", "rawr", cwd=lab.cwd)
    assert f"{lab.machine.entry} is not executable, and a shell says that permission is denied" in " ".join(
        said.split()
    )
    assert (shell.code, "Permission denied" in shell.err) == (126, True)
