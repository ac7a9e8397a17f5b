"""``rawr-install state``: what each command prints, changes and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Machine, snapshot


@pytest.fixture
def root(machine: Machine) -> Path:
    return machine.workspace("w")


def lock_of(root: Path, content: str) -> Path:
    path = root / ".rawr/state/state.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_enable_and_disable_change_the_file_and_say_so(machine: Machine, root: Path) -> None:
    made = machine.rawr_install("state", "enable", "b", "a", "--json", cwd=root)
    assert (made.code, made.json["data"]["changed"], made.json["data"]["lock"]["durable"]) == (0, True, True)
    again = machine.rawr_install("state", "enable", "a", cwd=root)
    assert again.out.startswith("Nothing changed, enabled already: ")
    machine.rawr_install("state", "disable", "b", cwd=root / "plugins")
    written = json.loads((root / ".rawr/state/state.json").read_text())
    assert (written["plugins"]["enabled"], written["plugins"]["disabled"]) == (["a"], ["b"])


@pytest.mark.parametrize("words", [("enable", "x"), ("disable", "x"), ("recover",), ("unlock",)])
def test_a_dry_run_changes_nothing(machine: Machine, root: Path, words: tuple[str, ...]) -> None:
    machine.rawr_install("state", "enable", "a", cwd=root)
    if words[0] == "recover":
        (root / ".rawr/state/state.json").write_text("{")
    lock_of(root, '{"pid":4194999,"acquiredAt":"x"}\n')
    before = snapshot(root)
    ran = machine.rawr_install("state", *words, "--dry-run", "--json", cwd=root)
    assert ran.code == 0 and ran.json["data"]["dryRun"] is True
    assert snapshot(root) == before


def test_a_dry_run_of_unlock_leaves_no_trace_where_nobody_ever_locked(machine: Machine, root: Path) -> None:
    lock_of(root, '{"pid":4194999,"acquiredAt":"x"}\n')
    before = snapshot(root)
    data = machine.rawr_install("state", "unlock", "--dry-run", "--json", cwd=root).json["data"]
    assert (data["proof"], data["changed"]) == ("its process is dead", False)
    assert snapshot(root) == before


def test_show_tells_who_holds_the_lock_and_for_how_long(machine: Machine, root: Path) -> None:
    code = (
        "import sys, time; from rawr_install.state import store as state\n"
        "def hold(s): print('held', flush=True); time.sleep(60)\n"
        f"state.mutate_repo_state_atomically({str(root)!r}, hold)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        time.sleep(0.3)
        lock = machine.rawr_install("state", "show", "--json", cwd=root).json["data"]["lock"]
        assert (lock["status"], lock["holder"]["pid"], lock["holder"]["kind"]) == ("held", holder.pid, "python")
        assert 0.3 <= lock["heldForSeconds"] < 60
        assert f"process {holder.pid}" in machine.rawr_install("state", "show", cwd=root).out
        refused = machine.rawr_install("state", "unlock", "--json", cwd=root)
        assert (refused.code, refused.json["error"]["code"]) == (1, "LOCK_HELD")
        assert (root / ".rawr/state/state.lock").exists()
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    shown = machine.rawr_install("state", "show", "--json", cwd=root).json["data"]["lock"]
    assert (shown["status"], shown["proof"]) == ("abandoned", "its liveness lock is free")
    assert machine.rawr_install("state", "unlock", "--json", cwd=root).json["data"]["changed"] is True
    assert not (root / ".rawr/state/state.lock").exists()


def test_unlock_moves_a_folder_aside_and_keeps_what_is_in_it(machine: Machine, root: Path) -> None:
    lock = root / ".rawr/state/state.lock"
    lock.mkdir(parents=True)
    (lock / "mine").write_text("kept")
    assert machine.rawr_install("state", "unlock", cwd=root).code == 0
    (aside,) = (root / ".rawr/state").glob("state.lock.aside-*")
    assert (aside / "mine").read_text() == "kept" and not lock.exists()


@pytest.mark.parametrize(
    ("content", "code"), [("", "STATE_CORRUPT"), ("{", "STATE_CORRUPT"), ('{"version":9}', "STATE_VERSION_UNSUPPORTED")]
)
def test_show_of_a_bad_file_is_a_negative_outcome_with_everything_in_it(
    machine: Machine, root: Path, content: str, code: str
) -> None:
    path = root / ".rawr/state/state.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    ran = machine.rawr_install("state", "show", "--json", cwd=root)
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert ran.json["error"]["details"]["fileStatus"] in ("corrupt", "version")
    assert path.read_text() == content


def test_recover_sets_the_corrupt_file_aside_and_starts_from_the_last_good_copy(machine: Machine, root: Path) -> None:
    machine.rawr_install("state", "enable", "a", cwd=root)
    path = root / ".rawr/state/state.json"
    path.write_text('{"half')
    ran = machine.rawr_install("state", "recover", "--json", cwd=root)
    assert ran.json["data"]["source"] == "last-good"
    assert json.loads(path.read_text())["plugins"]["enabled"] == ["a"]
    assert Path(ran.json["data"]["setAside"]).read_text() == '{"half'
    again = machine.rawr_install("state", "recover", "--json", cwd=root)
    assert (again.code, again.json["data"]["changed"]) == (0, False)


def test_recover_without_a_good_copy_starts_anew(machine: Machine, root: Path) -> None:
    path = root / ".rawr/state/state.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff")
    assert machine.rawr_install("state", "recover", "--json", cwd=root).json["data"]["source"] == "default"
    assert json.loads(path.read_text())["plugins"]["enabled"] == []


def test_recover_leaves_a_newer_version_alone_unless_forced(machine: Machine, root: Path) -> None:
    path = root / ".rawr/state/state.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"version":2}')
    assert machine.rawr_install("state", "recover", cwd=root).code == 1
    assert path.read_text() == '{"version":2}'
    ran = machine.rawr_install("state", "recover", "--force", "--json", cwd=root)
    assert ran.code == 0 and Path(ran.json["data"]["setAside"]).read_text() == '{"version":2}'


def test_outside_a_workspace_each_command_says_so(machine: Machine) -> None:
    for words in (("show",), ("enable", "x"), ("unlock",), ("recover",)):
        ran = machine.rawr_install("state", *words, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (2, "NO_WORKSPACE")
    assert "rawr" not in os.listdir(machine.folder)


def test_a_named_folder_that_is_no_workspace_is_refused(machine: Machine) -> None:
    ran = machine.rawr_install("state", "enable", "x", "--workspace", machine.folder)
    assert ran.code == 2 and not (machine.folder / ".rawr").exists()
