"""``rawr-install fallback`` and ``trust``, and that the shell entry obeys what they write."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Machine
from tests.dispatch.scene import NOBODY, SHIM

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


@pytest.fixture
def entry(machine: Machine) -> Path:
    """The shell entry, with the toolkit beside it."""
    machine.bun_bin.mkdir(parents=True)
    shutil.copy(SHIM, machine.entry)
    toolkit = machine.bun_bin / "rawr-install"
    toolkit.write_text(f"#!{sys.executable}\nfrom rawr_install.__main__ import main\nraise SystemExit(main())\n")
    toolkit.chmod(0o755)
    return machine.entry


def own_files(machine: Machine) -> dict[str, str]:
    """The tree without the event log and the machine lock, which every changing command may touch."""
    return {path: shown for path, shown in machine.tree().items() if ".local" not in path and path != "home"}


# -- fallback ------------------------------------------------------------------------------


@pytest.mark.contract("C3", "dispatch.fallback", "the owner runs outside only where that was enabled")
def test_enabling_the_fallback_lets_the_owner_run_outside_and_disabling_ends_it(machine: Machine, entry: Path) -> None:
    machine.own(machine.workspace("ws"))
    assert machine.run(entry, "x").code == 127
    assert machine.rawr_install("fallback", "enable").out.splitlines()[0] == "Owner fallback: enabled."
    ran = machine.run(entry, "x")
    assert (ran.code, ran.out) == (0, "workspace ws\nargument x\n")
    assert ran.err.splitlines() == [
        f"rawr: no workspace here; running the owner's CLI (global-owner fallback): {machine.folder}/ws"
    ]
    assert machine.rawr_install("fallback", "disable").code == 0
    assert machine.run(entry, "x").code == 127


def test_a_second_enable_changes_nothing_and_says_so(machine: Machine) -> None:
    first = machine.rawr_install("fallback", "enable", "--json").json["data"]
    before = own_files(machine)
    second = machine.rawr_install("fallback", "enable", "--json").json["data"]
    assert (first["changed"], second["changed"]) == (True, False)
    assert own_files(machine) == before


def test_disabling_what_is_not_enabled_writes_nothing(machine: Machine) -> None:
    done = machine.rawr_install("fallback", "disable", "--json")
    assert done.json["data"]["changed"] is False
    assert not (machine.home / ".rawr").exists()


@pytest.mark.parametrize("words", [("fallback", "enable"), ("trust", "add", "ws"), ("trust", "remove", "ws")])
def test_a_dry_run_writes_nothing_at_all(machine: Machine, words: tuple[str, ...]) -> None:
    machine.workspace("ws")
    before = machine.tree()
    done = machine.rawr_install(*words, "--dry-run", "--json")
    assert done.json["data"]["dryRun"] is True
    assert machine.tree() == before


def test_the_folder_of_the_policies_is_made_for_the_user_alone(machine: Machine) -> None:
    machine.rawr_install("fallback", "enable")
    folder = machine.home / ".rawr"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "global-owner-fallback").stat().st_mode) == 0o600


def test_status_names_every_source_and_the_owner(machine: Machine) -> None:
    status = machine.rawr_install("fallback", "status", "--json").json["data"]
    assert (status["enabled"], status["enabledBy"], status["ownerFileStatus"]) == (False, [], "missing")
    machine.own(machine.workspace("ws"))
    machine.rawr_install("fallback", "enable")
    variable = {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"}
    status = machine.rawr_install("fallback", "status", "--json", env=variable).json["data"]
    assert status["enabledBy"] == [
        "RAWR_ALLOW_GLOBAL_OWNER_FALLBACK",
        str(machine.home / ".rawr/global-owner-fallback"),
    ]
    assert (status["ownerFileStatus"], status["ownerWorkspacePath"]) == ("valid", str(machine.folder / "ws"))


def test_enabling_without_a_usable_owner_warns(machine: Machine) -> None:
    done = machine.rawr_install("fallback", "enable", "--json")
    assert done.code == 0 and "owner file is missing" in done.json["warnings"][0]


def test_disabling_warns_when_the_variable_still_enables(machine: Machine) -> None:
    done = machine.rawr_install("fallback", "disable", env={"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"})
    assert "enables the fallback all the same" in done.err


# -- trust ---------------------------------------------------------------------------------


@pytest.mark.contract("C3", "dispatch.trust", "another user's workspace runs only once it is trusted")
@needs_root
@pytest.mark.parametrize("theirs", [".", "apps/cli/bin/run.js"])
def test_a_foreign_workspace_runs_once_it_is_trusted_and_no_longer_when_removed(
    machine: Machine, entry: Path, theirs: str
) -> None:
    root = machine.workspace("ws")
    os.chown(root / theirs, NOBODY, NOBODY)
    refused = machine.run(entry, cwd=root)
    assert refused.code == 126
    # The remedy is a command; it is run as it is printed.
    remedy = refused.err.splitlines()[1].removeprefix("  try: ")
    assert machine.run("/bin/sh", "-c", remedy).code == 0
    assert machine.run(entry, "x", cwd=root).out == "workspace ws\nargument x\n"
    removed = machine.rawr_install("trust", "remove", ".", "--json", cwd=root).json["data"]
    assert (removed["changed"], removed["path"]) == (True, str(root))
    assert machine.run(entry, cwd=root).code == 126


def test_the_real_path_is_stored_once_however_it_is_spelled(machine: Machine) -> None:
    root = machine.workspace("my ws")
    (machine.folder / "link").symlink_to(root)
    changed = [
        machine.rawr_install("trust", "add", spelling, "--json").json["data"]["changed"]
        for spelling in (machine.folder / "link", root, "my ws/", "my ws/plugins/..")
    ]
    assert changed == [True, False, False, False]
    assert (machine.home / ".rawr/trusted-workspaces").read_text() == f"{root}\n"


def test_the_default_is_the_workspace_around_the_current_folder(machine: Machine) -> None:
    root = machine.workspace("ws")
    done = machine.rawr_install("trust", "add", "--json", cwd=root / "plugins")
    assert done.json["data"]["path"] == str(root)


def test_a_vanished_workspace_can_be_removed_and_the_other_lines_stay(machine: Machine) -> None:
    (machine.home / ".rawr").mkdir()
    listed = machine.home / ".rawr/trusted-workspaces"
    listed.write_bytes(b"/kept\n/gone\n/latin-\xe9\n")
    assert machine.rawr_install("trust", "remove", "/gone").code == 0
    assert listed.read_bytes() == b"/kept\n/latin-\xe9\n"


def test_the_list_tells_what_stands_there_now(machine: Machine) -> None:
    root = machine.workspace("ws")
    machine.rawr_install("trust", "add", root)
    with open(machine.home / ".rawr/trusted-workspaces", "a") as file:
        file.write("/no/such\x1b[31m\n")
    listed = machine.rawr_install("trust", "list", "--json").json["data"]["workspaces"]
    assert [(item["exists"], item["isWorkspace"], item["ownedByYou"]) for item in listed] == [
        (True, True, True),
        (False, False, False),
    ]
    assert "\x1b" not in machine.rawr_install("trust", "list").out


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("two\nlines", "PATH_NOT_STORABLE"),
        ("ws/plugins", "NOT_A_WORKSPACE"),
        ("no/such", "NOT_A_WORKSPACE"),
        (None, "NO_WORKSPACE"),
    ],
)
def test_what_cannot_be_trusted_is_refused(machine: Machine, name: str | None, code: str) -> None:
    machine.workspace("ws")
    if name and "\n" in name:
        machine.workspace(name)
    done = machine.rawr_install("trust", "add", *([name] if name else []), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, code)
    assert not (machine.home / ".rawr").exists()


def test_a_list_that_cannot_be_read_is_never_overwritten(machine: Machine) -> None:
    root = machine.workspace("ws")
    (machine.home / ".rawr/trusted-workspaces").mkdir(parents=True)
    done = machine.rawr_install("trust", "add", root, "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "POLICY_UNREADABLE")
    assert "EISDIR" in done.json["error"]["message"]


def test_a_place_that_cannot_be_written_is_named_with_its_errno(machine: Machine) -> None:
    (machine.home / ".rawr/global-owner-fallback").mkdir(parents=True)
    done = machine.rawr_install("fallback", "enable", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "POLICY_UNWRITABLE")
    assert "EISDIR" in done.json["error"]["message"] and str(machine.home) in done.json["error"]["message"]


def test_of_workspaces_trusted_at_the_same_time_none_is_lost(machine: Machine) -> None:
    roots = [machine.workspace(f"ws{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda root: machine.rawr_install("trust", "add", root).code, roots))
    assert codes == [0] * 8
    lines = (machine.home / ".rawr/trusted-workspaces").read_text().splitlines()
    assert sorted(lines) == sorted(map(str, roots))


def test_another_users_list_grants_nothing_even_to_root_who_keeps_that_home(machine: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's files")
    root = machine.workspace("ws")
    machine.rawr_install("trust", "add", root)
    for path in (root, root / "apps/cli/bin/run.js", machine.home / ".rawr/trusted-workspaces"):
        os.chown(path, NOBODY, NOBODY)
    done = subprocess.run(["/bin/sh", SHIM], cwd=root, env=machine.env, capture_output=True)
    assert done.returncode == 126


def test_a_folder_above_workspaces_is_a_grant_for_each_of_them(machine: Machine) -> None:
    team = machine.folder / "team"
    for name in ("team/a", "team/b"):
        machine.workspace(name)
    done = machine.rawr_install("trust", "add", team)
    assert done.out.splitlines()[0] == f"{team}: trusted, with every workspace in it."
    assert f"{team}  (every workspace in it)" in machine.rawr_install("trust", "list").out
    assert machine.rawr_install("trust", "remove", team).code == 0
    assert (machine.home / ".rawr/trusted-workspaces").read_text() == ""


def test_everything_is_granted_by_force_alone(machine: Machine) -> None:
    done = machine.rawr_install("trust", "add", "/", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "PLACE_NOT_SAFE")
    assert machine.rawr_install("trust", "add", "/", "--force").code == 0


def sticky(team: Path) -> None:
    (team / "ws").chmod(0o1777)


def everybodys(team: Path) -> None:
    team.chmod(0o777)


def a_groups(team: Path) -> None:
    os.chown(team, -1, 4242)
    team.chmod(0o775)


def theirs_above(team: Path) -> None:
    os.chown(team, NOBODY, NOBODY)


@needs_root
@pytest.mark.parametrize(
    ("make", "who"),
    [
        (everybodys, "{team} can be written by everybody"),
        (a_groups, "{team} can be written by the group with the id 4242"),
        (theirs_above, "{team} belongs to nobody"),
        (sticky, "{team}/ws is sticky, so that other users may have put files into it"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_who_can_exchange_a_place_is_named_and_force_is_asked_for(
    machine: Machine, make: Callable[[Path], None], who: str
) -> None:
    root = machine.workspace("team/ws")
    make(root.parent)
    done = machine.rawr_install("trust", "add", root, "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "PLACE_NOT_SAFE")
    assert who.format(team=root.parent) in done.json["error"]["message"]
    remedy = done.json["error"]["details"]["remedy"]["argv"]
    assert remedy == ["rawr-install", "trust", "add", "--force", str(root)]
    assert machine.rawr_install(*remedy[1:]).code == 0
    os.chown(root, NOBODY, NOBODY)
    assert machine.rawr_install("activate", root).code == 0


WATCHED = (".", ".rawr", ".rawr/global-rawr-owner-path", ".rawr/global-owner-fallback", ".rawr/trusted-workspaces")


@pytest.mark.parametrize(("name", "more"), [*((name, 0o002) for name in WATCHED), (".rawr", 0o1022), (".rawr", 0o1000)])
def test_what_others_can_write_of_the_policy_stops_every_change_until_the_remedy_ran(
    machine: Machine, name: str, more: int
) -> None:
    root = machine.workspace("ws")
    for words in (("activate", root), ("fallback", "enable"), ("trust", "add", root)):
        machine.rawr_install(*words)
    path = (machine.home / name).resolve()
    path.chmod(path.stat().st_mode | more)
    for words in (
        ("deactivate",),
        ("fallback", "disable"),
        ("trust", "remove", root),
        ("uninstall", "--yes", "--purge"),
    ):
        done = machine.rawr_install(*words, "--json")
        assert (done.code, done.json["error"]["code"]) == (1, "POLICY_WRITABLE"), done
        assert str(path) in done.json["error"]["message"]
    remedy = done.json["error"]["details"]["remedy"]["argv"]
    assert machine.run(*remedy).code == 0 and machine.rawr_install("deactivate").code == 0


def test_a_home_that_is_shared_is_not_to_be_changed_but_left(machine: Machine) -> None:
    machine.home.chmod(0o1777)
    error = machine.rawr_install("fallback", "enable", "--json", cwd=machine.folder).json["error"]
    assert error["code"] == "POLICY_WRITABLE" and "may have put files into" in error["message"]
    assert error["details"]["remedy"] == {"text": "set HOME to a folder of your own", "argv": []}


@needs_root
def test_a_group_with_no_other_member_is_nobody_else(machine: Machine) -> None:
    machine.rawr_install("activate", machine.workspace("ws"))
    for path in (machine.home, machine.home / ".rawr"):
        path.chmod(0o775)  # umask 002; root's group
    assert machine.rawr_install("deactivate").code == 0
