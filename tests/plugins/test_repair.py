"""Repair: exactly the planned actions in one atomic edit, whoever else is at it and wherever it dies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rawr_install.plugins import install_state, repair
from rawr_install.plugins.assess import LinkFacts
from tests.conftest import Machine, Ran, snapshot
from tests.support.plugins import entries_of, link, make_linkable, make_manager, make_plugin, manager_file
from tests.support.steps import fail_at, kill_at, lost_in_a_power_cut, need_strace, record

STATUS = ("plugins", "status", "--checks", "install")
LEGACY = "@rawr/plugin-agent-sync"


@pytest.fixture
def drifted(machine: Machine) -> Path:
    """A workspace with four toolkit plugins and a manifest with one fault of each kind; returns the workspace."""
    workspace = machine.workspace("ws")
    for name in ("fine", "missing", "stale", "switched", "wrong"):
        make_linkable(workspace, name)
    elsewhere = make_linkable(machine.workspace("other"), "wrong")
    make_manager(
        machine,
        {"name": "@oclif/plugin-help", "type": "user", "tag": "latest", "url": None},
        link("@rawr/stale", machine.folder / "gone"),
        link(LEGACY, elsewhere),
        {"name": "@rawr/switched", "type": "user", "note": ["kept", 1.0]},
        link("@rawr/wrong", elsewhere),
        link("@rawr/fine", workspace / "plugins/cli/fine"),
    )
    return workspace


def run(machine: Machine, *words: str | Path, cwd: Path | None = None) -> tuple[Ran, dict[str, Any]]:
    """``plugins status`` as JSON: how it ended, and its data whether it was healthy or not."""
    done = machine.rawr_install(*STATUS, *words, "--json", cwd=cwd)
    return done, done.json["data"] if done.json["ok"] else done.json["error"]["details"]


def test_a_repair_does_what_was_planned_and_the_next_assessment_is_in_sync(machine: Machine, drifted: Path) -> None:
    before, planned = run(machine, "--repair", "--dry-run", cwd=drifted)
    assert (before.code, planned["repair"]["action"]) == (1, "planned")
    done, told = run(machine, "--repair", cwd=drifted)
    assert done.code == 0, done
    assert (told["repair"]["action"], told["repair"]["beforeStatus"]) == ("applied", "LEGACY_OVERLAP")
    assert told["repair"]["actions"] == planned["install"]["actions"]
    assert (told["install"]["status"], told["changed"]) == ("IN_SYNC", True)
    root = drifted / "plugins/cli"
    assert entries_of(manager_file(machine)) == [
        {"name": "@oclif/plugin-help", "type": "user", "tag": "latest", "url": None},
        {"name": "@rawr/switched", "type": "link", "note": ["kept", 1.0], "root": str(root / "switched")},
        link("@rawr/wrong", root / "wrong"),
        link("@rawr/fine", root / "fine"),
        link("@rawr/missing", root / "missing"),
        link("@rawr/stale", root / "stale"),
    ]


def test_the_old_manifest_is_kept_beside_the_new_one(machine: Machine, drifted: Path) -> None:
    old = manager_file(machine).read_bytes()
    manager_file(machine).chmod(0o600)
    _, told = run(machine, "--repair", cwd=drifted)
    backup = Path(told["repair"]["backup"])
    assert backup == manager_file(machine).with_name("package.json.rawr-backup")
    assert backup.read_bytes() == old
    assert [path.stat().st_mode & 0o777 for path in (backup, manager_file(machine))] == [0o600, 0o600]


def test_a_dry_run_writes_nothing_anywhere(machine: Machine, drifted: Path) -> None:
    before = machine.tree()
    run(machine, "--repair", "--dry-run", cwd=drifted)
    run(machine, cwd=drifted)
    assert machine.tree() == before


def test_a_repair_of_what_is_in_sync_is_skipped_and_writes_nothing(machine: Machine, drifted: Path) -> None:
    run(machine, "--repair", cwd=drifted)
    before = machine.tree()
    done, told = run(machine, "--repair", cwd=drifted)
    assert (done.code, told["repair"]["action"], told["changed"]) == (0, "skipped", False)
    assert machine.tree() == before


def test_a_missing_manifest_is_made(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    root = make_linkable(workspace, "one")
    done, told = run(machine, "--repair", cwd=workspace)
    assert (done.code, told["repair"]["action"], told["repair"]["backup"]) == (0, "applied", None)
    assert entries_of(manager_file(machine)) == [link("@rawr/one", root)]


def test_a_link_in_the_manifests_place_survives(machine: Machine, drifted: Path) -> None:
    real = machine.folder / "dotfiles.json"
    manager_file(machine).rename(real)
    manager_file(machine).symlink_to(real)
    assert run(machine, "--repair", cwd=drifted)[0].code == 0
    assert manager_file(machine).is_symlink()
    assert "@rawr/missing" in real.read_text()


@pytest.mark.parametrize(
    "text", ["{nope", "", "[]", '{"oclif": {"plugins": {}}}', '{"oclif": {"plugins": [null]}}', "\ufeff{}"]
)
def test_a_corrupt_manifest_is_refused_and_not_touched(machine: Machine, drifted: Path, text: str) -> None:
    make_manager(machine, text=text)
    before = snapshot(machine.home / ".local/share")
    for words in (("--repair",), ("--repair", "--dry-run"), ("--repair", "--no-fail")):
        done, told = run(machine, *words, cwd=drifted)
        assert (done.code, done.json["error"]["code"]) == (1, "MANIFEST_CORRUPT")
        assert told["repair"]["action"] == "failed"
        assert "manifest_corrupt" in [issue["kind"] for issue in told["install"]["issues"]]
    assert snapshot(machine.home / ".local/share") == before


def test_what_no_action_can_mend_is_still_reported_after_the_repair(machine: Machine, drifted: Path) -> None:
    make_plugin(drifted, "web", "broken", text="{")
    done, told = run(machine, "--repair", cwd=drifted)
    assert (done.code, told["repair"]["action"]) == (1, "applied")
    assert [issue["kind"] for issue in told["install"]["issues"]] == ["invalid_plugin"]
    assert run(machine, "--repair", cwd=drifted)[1]["repair"]["action"] == "skipped"


def test_no_fail_turns_drift_into_success(machine: Machine, drifted: Path) -> None:
    assert run(machine, cwd=drifted)[0].code == 1
    done, told = run(machine, "--no-fail", cwd=drifted)
    assert (done.code, done.json["ok"], told["install"]["status"]) == (0, True, "LEGACY_OVERLAP")


def test_a_person_sees_where_each_wrong_link_leads(machine: Machine, drifted: Path) -> None:
    shown = " ".join(machine.rawr_install(*STATUS, cwd=drifted).out.split())
    assert "path_mismatch yes @rawr/wrong link target differs" in shown
    for leads in (machine.folder / "gone", machine.folder / "other/plugins/cli/wrong"):
        assert f"(now:{leads})" in shown.replace(" ", "")


def test_a_workspace_can_be_named(machine: Machine, drifted: Path) -> None:
    done, told = run(machine, "--workspace", drifted)
    assert (done.code, told["workspaceRoot"]) == (1, str(drifted))
    done = machine.rawr_install(*STATUS, "--workspace", machine.home, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "NOT_A_WORKSPACE")


def test_outside_a_workspace_nothing_is_assessed(machine: Machine) -> None:
    done = machine.rawr_install(*STATUS, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "NO_WORKSPACE")


def test_a_repair_is_a_run_in_the_events_and_a_look_is_none(machine: Machine, drifted: Path) -> None:
    run(machine, cwd=drifted)
    log = machine.home / ".local/state/rawr/events.jsonl"
    assert not log.exists()
    run(machine, "--repair", cwd=drifted)
    assert [json.loads(line)["type"] for line in log.read_text().splitlines()] == ["run.started", "run.completed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a workspace to another user")
def test_the_plugins_of_somebody_elses_workspace_are_not_linked_until_it_is_trusted(
    machine: Machine, drifted: Path
) -> None:
    os.chown(drifted, 12345, 12345)
    before = manager_file(machine).read_bytes()
    for words in (("--repair",), ("--repair", "--dry-run")):
        done = machine.rawr_install(*STATUS, *words, "--json", cwd=drifted)
        assert (done.code, done.json["error"]["code"]) == (1, "WORKSPACE_NOT_TRUSTED")
    assert manager_file(machine).read_bytes() == before
    assert run(machine, cwd=drifted)[0].code == 1, "looking is allowed"
    (machine.home / ".rawr").mkdir()
    (machine.home / ".rawr/trusted-workspaces").write_text(f"{drifted}\n")
    assert run(machine, "--repair", cwd=drifted)[0].code == 0


# -- others at the same time ---------------------------------------------------


def test_repairs_at_the_same_time_converge(machine: Machine, drifted: Path, count: Callable[[int, int], int]) -> None:
    rivals = count(4, 24)
    with ThreadPoolExecutor(rivals) as pool:
        ended = list(pool.map(lambda _: run(machine, "--repair", cwd=drifted), range(rivals)))
    assert {done.code for done, _ in ended} == {0}
    assert sorted(told["repair"]["action"] for _, told in ended) == ["applied", *["skipped"] * (rivals - 1)]
    names = [entry["name"] for entry in entries_of(manager_file(machine))]
    assert len(names) == len(set(names)) == 6


def test_two_workspaces_that_repair_at_the_same_time_leave_one_of_two_whole_results(machine: Machine) -> None:
    workspaces = [machine.workspace(name) for name in ("a", "b")]
    for workspace in workspaces:
        for number in range(5):
            make_linkable(workspace, f"shared-{number}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda workspace: run(machine, "--repair", cwd=workspace), workspaces * 3))
    roots = {Path(entry["root"]).parents[2] for entry in entries_of(manager_file(machine))}
    assert len(roots) == 1
    assert roots < set(workspaces)


def facts_of(machine: Machine, workspace: Path) -> LinkFacts:
    return install_state.read_facts(workspace, None, manager_file(machine).parent)


def test_a_manifest_that_somebody_writes_between_is_read_again(machine: Machine, drifted: Path) -> None:
    rival = {"name": "rival", "type": "user"}
    looks: list[int] = []

    def look() -> LinkFacts:
        found = facts_of(machine, drifted)
        looks.append(1)
        if len(looks) == 2:  # the look under the lock: a writer that takes no lock comes right after it
            make_manager(machine, *entries_of(manager_file(machine)), rival)
        return found

    done = repair.repair(look, str(machine.home / "lock"))
    assert done.action == "applied"
    assert rival in entries_of(manager_file(machine))
    assert len(looks) == 4


def test_a_manifest_that_never_stands_still_is_left_alone(machine: Machine, drifted: Path) -> None:
    def look() -> LinkFacts:
        found = facts_of(machine, drifted)
        entries = entries_of(manager_file(machine))
        make_manager(machine, *entries, {"name": f"n{len(entries)}", "type": "user"})
        return found

    done = repair.repair(look, str(machine.home / "lock"))
    assert done.error
    assert (done.action, done.error.code) == ("failed", "MANIFEST_BUSY")
    assert "@rawr/missing" not in manager_file(machine).read_text()
    assert not [name for name in os.listdir(manager_file(machine).parent) if name.endswith(".tmp")]


def test_a_repair_waits_for_the_machine_lock_and_names_its_holder(machine: Machine, drifted: Path) -> None:
    from rawr_install.machine import lock as machine_lock

    lock_file = str(machine.home / "state/install.lock")
    with machine_lock.locked(lock_file, "a test"), pytest.raises(Exception, match="a test") as raised:
        repair.repair(lambda: facts_of(machine, drifted), lock_file, wait=0.05)
    assert raised.value.code == "MACHINE_BUSY"  # type: ignore[attr-defined]


# -- failures ------------------------------------------------------------------


@pytest.mark.slow
def test_a_crash_at_any_step_leaves_the_old_manifest_or_the_new_one(machine: Machine, drifted: Path) -> None:
    need_strace()
    words = (*STATUS, "--repair", "--workspace", str(drifted))
    before = machine.folder / "before"
    shutil.copytree(machine.home, before)
    old = manager_file(machine).read_bytes()
    steps = record(machine, words)
    new = manager_file(machine).read_bytes()
    assert len([step for step in steps if step.name.startswith("rename")]) == 2, "the backup and the manifest"
    seen = set()
    for step in steps:
        shutil.rmtree(machine.home)
        shutil.copytree(before, machine.home)
        kill_at(machine, words, step)
        found = manager_file(machine).read_bytes()
        assert found in (old, new), step
        seen.add(found == new)
        again = repair.repair(lambda: facts_of(machine, drifted), str(machine.home / ".local/state/rawr/install.lock"))
        assert (again.after["status"], manager_file(machine).read_bytes()) == ("IN_SYNC", new), step
    assert seen == {False, True}


@pytest.mark.slow
def test_the_manifest_and_its_backup_survive_a_power_cut_at_any_instant(machine: Machine, drifted: Path) -> None:
    need_strace()
    steps = record(machine, (*STATUS, "--repair", "--workspace", str(drifted)))
    assert len([step for step in steps if step.name == "rename"]) == 2, "the backup and the manifest"
    lost = lost_in_a_power_cut(steps)
    assert not lost, "\n".join(lost)


@pytest.mark.slow
@pytest.mark.parametrize("errno", ["ENOSPC", "EACCES"])
def test_a_step_that_fails_leaves_one_of_the_two_and_no_rubbish(machine: Machine, drifted: Path, errno: str) -> None:
    need_strace()
    words = (*STATUS, "--repair", "--workspace", str(drifted))
    before = machine.folder / "before"
    shutil.copytree(machine.home, before)
    old = manager_file(machine).read_bytes()
    steps = [step for step in record(machine, words) if "@rawr" in step.shown]
    new = manager_file(machine).read_bytes()
    assert len(steps) >= 8
    for step in steps:
        shutil.rmtree(machine.home)
        shutil.copytree(before, machine.home)
        done = fail_at(machine, words, step, errno)
        assert not [name for name in os.listdir(manager_file(machine).parent) if name.endswith(".tmp")], step
        if (step.name, errno) == ("fchmod", "EACCES"):  # a file system that keeps no modes: done without
            assert (done.code, manager_file(machine).read_bytes()) == (0, new), step
            continue
        assert manager_file(machine).read_bytes() in (old, new), step
        assert done.code == 1, step
        error = done.json["error"]
        assert (error["code"], error["details"]["repair"]["action"]) == ("MANIFEST_NOT_WRITTEN", "failed"), step
        assert errno in error["message"]


def test_a_folder_that_cannot_be_made_is_an_error_with_its_path(machine: Machine) -> None:
    workspace = machine.workspace("ws")
    make_linkable(workspace, "one")
    (machine.home / ".local").mkdir()
    (machine.home / ".local/share").write_text("a file in the way")
    done, told = run(machine, "--repair", cwd=workspace)
    assert (done.code, told["repair"]["action"]) == (1, "failed")
    assert str(manager_file(machine)) in done.json["error"]["message"]


def test_a_workspace_whose_path_is_not_utf_8_is_refused_in_words(machine: Machine) -> None:
    workspace = machine.workspace("w\udcff", cli=None)
    make_linkable(workspace, "one")
    done, told = run(machine, "--repair", cwd=workspace)
    assert (done.code, told["repair"]["action"]) == (1, "failed")
    assert "not UTF-8" in done.json["error"]["message"]
    assert not manager_file(machine).exists()
