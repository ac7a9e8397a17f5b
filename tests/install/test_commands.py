"""install, activate, deactivate, rollback, uninstall and history, run as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import CLI_SCRIPT, LINK, Machine, Ran
from tests.support.terminal import Terminal


def installed(machine: Machine, workspace: Path, seam: str, owner: Path | None = None) -> list[str]:
    """The lines that install prints (wire)."""
    lines = [
        f"Installed Bun-global rawr symlink at {machine.entry}",
        f"Target: {workspace}/apps/cli/bin/run.js",
        f"Instance root: {workspace}",
        f"Alias/instance seam: {seam}",
        f"Owner file: {machine.owner_file}",
    ]
    return [*lines, f"Owner workspace: {owner}"] if owner else lines


def activated(machine: Machine, workspace: Path, sentence: str) -> list[str]:
    """The lines that activate prints (wire)."""
    lines = installed(machine, workspace, "owner-current-instance", workspace)
    return [*lines, sentence, f"Owner file: {machine.owner_file}", f"Active global rawr owner set to: {workspace}"]


FOLLOW = (
    "Note: rawr runs this workspace in every folder; to run the workspace you stand in: "
    "rawr-install install --mode shim"
)


def details(ran: Ran) -> list[str]:
    """The lines below the one or two that a person reads first."""
    first, _, rest = ran.out.partition("\nDetails:\n")
    assert first.count("\n") <= 1, first
    return rest.splitlines()


def error(ran: Ran) -> tuple[int, str]:
    return ran.code, ran.json["error"]["code"]


# -- the lines that other programs read ----------------------------------------


@pytest.mark.contract("C3", "install.lines", "install links the workspace and prints the wire's lines")
def test_install_prints_its_lines_and_links_the_workspace(machine: Machine) -> None:
    root = machine.workspace("a")
    ran = machine.rawr_install("install", *LINK, cwd=root / "plugins")
    assert (ran.code, ran.err) == (0, "")
    assert details(ran) == [*installed(machine, root, "owner-file-missing"), FOLLOW]
    assert os.readlink(machine.entry) == f"{root}/apps/cli/bin/run.js"
    assert machine.run("rawr", "x").out == "workspace a\nargument x\n"
    assert not machine.owner_file.exists()


def test_install_names_the_owner_when_there_is_one(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.own(root)
    ran = machine.rawr_install("install", "--workspace", root, *LINK)
    assert details(ran) == [*installed(machine, root, "owner-current-instance", root), FOLLOW]


def test_activate_says_initialized_already_and_transferred(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    first = machine.rawr_install("activate", a, *LINK)
    initialized = activated(machine, a, "Global rawr owner initialized to this instance.")
    assert details(first) == [*initialized, FOLLOW]
    again = machine.rawr_install("activate", cwd=a)
    already = activated(machine, a, "Global rawr owner already pointed to this instance.")
    assert details(again) == [*already, FOLLOW, "Nothing changed: everything was in place."]
    moved = machine.rawr_install("activate", b)
    transferred = activated(machine, b, f"Global rawr owner transferred from {a} to {b}.")
    assert details(moved) == [*transferred, FOLLOW]
    assert machine.owner_file.read_bytes() == f"{b}\n".encode()
    assert machine.run("rawr").out.startswith("workspace b\n")


def test_activate_by_another_spelling_is_no_transfer_and_writes_nothing(machine: Machine) -> None:
    root = machine.workspace("a")
    (machine.folder / "spelled").symlink_to(root)
    machine.own(machine.folder / "spelled")
    machine.link(machine.folder / "spelled")
    before = machine.tree()
    ran = machine.rawr_install("activate", root)
    assert "Global rawr owner already pointed to this instance." in ran.out.splitlines()
    assert machine.tree() == before


def test_install_knows_the_owner_by_another_spelling_for_the_same_workspace(machine: Machine) -> None:
    root = machine.workspace("a")
    (machine.folder / "spelled").symlink_to(root)
    machine.own(machine.folder / "spelled")
    ran = machine.rawr_install("install", "--workspace", root, "--mode", "bun-symlink")
    assert ran.code == 0, f"the owner file names this very workspace through a link, and install refused: {ran.err}"
    assert "another checkout" not in ran.out, f"install takes another spelling for another checkout: {ran.out}"


@pytest.mark.parametrize("content", ["", "~/rawr\n", "relative\n", "/gone\n", "/a\n/b\n"])
def test_a_broken_owner_file_stops_neither_install_nor_activate(machine: Machine, content: str) -> None:
    root = machine.workspace("a")
    machine.owner_file.parent.mkdir()
    machine.owner_file.write_text(content)
    assert machine.rawr_install("install", "--workspace", root).code == 0
    assert machine.owner_file.read_text() == content
    assert machine.rawr_install("activate", root).code == 0
    assert machine.owner_file.read_text() == f"{root}\n"
    assert machine.rawr_install("rollback").code == 0
    assert machine.owner_file.read_text() == content


def test_the_owner_file_may_be_a_link_and_stays_one(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    kept = machine.folder / "dotfiles"
    kept.write_text(f"{a}\n")
    machine.owner_file.parent.mkdir()
    machine.owner_file.symlink_to(kept)
    assert machine.rawr_install("activate", b).code == 0
    assert machine.owner_file.is_symlink() and kept.read_text() == f"{b}\n"


def test_json_has_the_same_facts_as_the_lines(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    data = machine.rawr_install("activate", b, "--json").json["data"]
    assert data | {"needs": [], "notes": []} == {
        "changed": True,
        "dryRun": False,
        "mode": "bun-symlink",
        "entryPath": str(machine.entry),
        "target": f"{b}/apps/cli/bin/run.js",
        "instanceRoot": str(b),
        "aliasInstanceSeamStatus": "owner-current-instance",
        "ownerFilePath": str(machine.owner_file),
        "ownerWorkspacePath": str(b),
        "ownership": "transferred",
        "previousOwner": str(a),
        "notes": [],
        "plan": data["plan"],
        "change": 2,
        "needs": [],
        "installDeps": None,
    }
    assert [step["role"] for step in data["plan"]] == ["owner", "entry", "receipt"]


# -- nothing to do, and only looking ---------------------------------------------


@pytest.mark.contract("C3", "activate.idempotent", "a run that finds everything in place writes nothing")
def test_a_run_that_finds_everything_in_place_writes_nothing(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("activate", root)
    before = machine.tree()
    for words in (("install", "--workspace", str(root)), ("activate", str(root))):
        ran = machine.rawr_install(*words, "--json")
        assert ran.json["data"]["changed"] is False and ran.json["data"]["plan"] == []
    assert machine.tree() == before


def test_nothing_to_deactivate_or_uninstall_writes_nothing(machine: Machine) -> None:
    machine.link(machine.workspace("a"))
    before = machine.tree()
    assert machine.rawr_install("deactivate", "--json").json["data"]["changed"] is False
    ran = machine.rawr_install("uninstall", "--yes")
    assert ran.code == 0 and "Left ~/.bun/bin/rawr: not in the receipt" in ran.out
    assert machine.tree() == before


@pytest.mark.contract("C3", "activate.dry-run", "a dry run writes nothing")
@pytest.mark.parametrize(
    "words",
    [
        ("install", "--workspace", "b", "--force", *LINK),
        ("install", "--workspace", "a", *LINK),
        ("activate", "b"),
        ("activate", "b", "--install-deps"),
        ("deactivate",),
        ("rollback",),
        ("uninstall", "--purge"),
    ],
    ids=" ".join,
)
def test_a_dry_run_prints_the_plan_and_writes_nothing(machine: Machine, words: tuple[str, ...]) -> None:
    machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", "a")
    before = machine.tree()
    said = machine.rawr_install(*words, "--dry-run")
    planned = machine.rawr_install(*words, "--dry-run", "--json").json["data"]
    assert said.code == 0 and said.out.startswith("Plan (nothing was changed):\n  ")
    assert " ~/" in said.out and str(machine.home) not in said.out
    assert planned["dryRun"] and not planned["changed"] and planned["plan"]
    assert machine.tree() == before
    done = machine.rawr_install(*words, "--yes", "--json", env={"PATH": f"{fake_bun(machine, 0)}:/usr/bin:/bin"}).json[
        "data"
    ]
    assert done["changed"] and done["plan"] == planned["plan"]


def test_a_first_dry_run_makes_no_folder(machine: Machine) -> None:
    root = machine.workspace("a")
    before = machine.tree()
    assert machine.rawr_install("activate", root, "--dry-run").code == 0
    assert machine.tree() == before


# -- what is refused ----------------------------------------------------------------


@pytest.mark.contract("C3", "install.cli-missing", "a missing CLI and one that is not executable are two errors")
def test_a_workspace_without_cli_and_one_that_is_not_executable_are_two_errors(machine: Machine) -> None:
    bare, plain, folder = (
        machine.workspace("bare", cli=None),
        machine.workspace("plain"),
        machine.workspace("folder", cli=None),
    )
    dangling = machine.workspace("dangling", cli=None)
    (plain / "apps/cli/bin/run.js").chmod(0o644)
    (folder / "apps/cli/bin/run.js").mkdir()
    (dangling / "apps/cli/bin/run.js").symlink_to("/gone")
    for command in (("install", *LINK, "--workspace"), ("activate",)):
        assert error(machine.rawr_install(*command, bare, "--json")) == (1, "WORKSPACE_CLI_MISSING")
        assert error(machine.rawr_install(*command, dangling, "--json")) == (1, "WORKSPACE_CLI_MISSING")
        ran = machine.rawr_install(*command, plain, "--json")
        assert error(ran) == (1, "WORKSPACE_CLI_NOT_EXECUTABLE")
        assert ran.json["error"]["details"]["remedy"]["argv"] == ["chmod", "+x", f"{plain}/apps/cli/bin/run.js"]
        assert error(machine.rawr_install(*command, folder, "--json")) == (1, "CLI_IS_FOLDER")
    assert not machine.entry.exists() and not machine.owner_file.exists()


def test_a_lookalike_without_cli_is_named_when_nothing_better_is_found(machine: Machine) -> None:
    root = machine.workspace("bare", cli=None)
    ran = machine.rawr_install("install", *LINK, "--json", cwd=root / "plugins")
    assert error(ran) == (1, "WORKSPACE_CLI_MISSING") and str(root) in ran.json["error"]["message"]


def test_where_no_workspace_is_the_precondition_is_missing(machine: Machine) -> None:
    root = machine.workspace("a")
    assert error(machine.rawr_install("install", *LINK, "--json")) == (2, "NO_WORKSPACE")
    assert error(machine.rawr_install("activate", "home", "--json")) == (2, "NOT_A_WORKSPACE")
    inside = machine.rawr_install("activate", root / "plugins", "--json")
    assert error(inside) == (2, "NOT_A_WORKSPACE") and str(root) in inside.json["error"]["details"]["remedy"]["text"]
    bare = machine.workspace("bare", cli=None)
    named = machine.rawr_install("activate", "--json", env={"RAWR_WORKSPACE_ROOT": str(bare)})
    assert error(named) == (1, "WORKSPACE_CLI_MISSING")
    wrong = machine.rawr_install("activate", "--json", cwd=root, env={"RAWR_WORKSPACE_ROOT": "/nowhere"})
    assert error(wrong) == (2, "BAD_WORKSPACE_VARIABLE")
    assert "RAWR_WORKSPACE_ROOT does not name a workspace: /nowhere" in wrong.json["error"]["message"]


@pytest.mark.contract("C3", "install.other-owner", "another owner is not passed over without --force")
def test_another_valid_owner_is_not_passed_over_without_force(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    ran = machine.rawr_install("install", "--workspace", b, "--json")
    assert error(ran) == (1, "OWNER_OTHER_INSTANCE")
    assert os.readlink(machine.entry).startswith(str(a))
    remedy = ran.json["error"]["details"]["remedy"]["argv"]
    assert remedy == ["rawr-install", "activate", str(b)]
    assert machine.rawr_install(*remedy[1:]).code == 0
    forced = machine.rawr_install("install", "--workspace", a, "--force")
    assert details(forced) == [
        *installed(machine, a, "owner-other-instance", b),
        f"Note: the global rawr owner still points to another checkout: {b}",
        f"Note: to transfer ownership, run: rawr-install activate {a}",
        FOLLOW,
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_workspace_of_another_user_needs_trust(machine: Machine) -> None:
    root = machine.workspace("a")
    os.chown(root, 12345, 12345)
    ran = machine.rawr_install("activate", root, "--json")
    assert error(ran) == (1, "WORKSPACE_NOT_TRUSTED")
    assert ran.json["error"]["details"]["remedy"]["argv"] == ["rawr-install", "trust", "add", str(root)]
    machine.owner_file.parent.mkdir(exist_ok=True)
    (machine.owner_file.parent / "trusted-workspaces").write_text(f"{root}\n")
    assert machine.rawr_install("activate", root).code == 0


def test_a_path_that_the_owner_file_cannot_hold_is_refused(machine: Machine) -> None:
    root = machine.workspace("two\nlines")
    assert error(machine.rawr_install("activate", root, "--json")) == (1, "WORKSPACE_PATH_UNSUITABLE")
    assert machine.rawr_install("install", "--workspace", root, *LINK).code == 0
    odd = machine.workspace("odd").rename(machine.folder / os.fsdecode(b"\xff"))
    assert error(machine.rawr_install("activate", odd, "--json")) == (1, "WORKSPACE_PATH_UNSUITABLE")
    assert machine.rawr_install("install", "--workspace", odd, *LINK).code == 0
    assert machine.run("rawr").code == 0 and "\\udcff" in machine.rawr_install("history").out
    assert machine.rawr_install("rollback").code == 0
    assert "two\\nlines" in machine.rawr_install("install", "--workspace", root, *LINK).out


@pytest.mark.parametrize("name", ["receipt", "history"])
def test_a_broken_record_is_not_taken_for_an_empty_one(machine: Machine, name: str) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a)
    path = machine.home / f".local/state/rawr/{name}.json"
    path.write_text('{"version": 1, "items": [{"x":')
    ran = machine.rawr_install("activate", b, "--json")
    assert error(ran) == (1, f"{name.upper()}_UNREADABLE")
    assert machine.owner_file.read_text() == f"{a}\n"
    argv = ran.json["error"]["details"]["remedy"]["argv"]
    assert machine.run(*argv).code == 0
    assert machine.rawr_install("activate", b).code == 0


# -- the shell entry --------------------------------------------------------------------


def test_shim_mode_installs_the_shell_entry_which_runs_the_workspace_one_stands_in(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    ran = machine.rawr_install("install", "--workspace", a, "--mode", "shim")
    assert ran.out.splitlines()[0] == "Installed ~/.bun/bin/rawr: it runs the workspace you are in."
    assert not machine.entry.is_symlink()
    assert machine.run("rawr", cwd=b).out.startswith("workspace b\n")
    assert (
        machine.rawr_install("install", "--workspace", a, "--mode", "shim", "--json").json["data"]["changed"] is False
    )


def test_the_shell_entry_knows_its_toolkit(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("install", "--workspace", root, "--mode", "shim")
    line = next(line for line in machine.entry.read_text().splitlines() if line.startswith("toolkit="))
    found = machine.run("sh", "-c", f'{line}; "$toolkit" --version')
    assert found.code == 0 and found.out.startswith("rawr-install "), found
    # No rawr-install beside it and none on PATH: what is written in the entry is all that leads to the toolkit.
    assert machine.run("rawr", "rollback", "--dry-run", "--json", cwd=root).json["meta"]["command"] == "rollback"


def test_activate_keeps_the_mode_that_is_installed(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("install", "--workspace", a, "--mode", "shim")
    data = machine.rawr_install("activate", b, "--json").json["data"]
    assert data["mode"] == "shim" and not machine.entry.is_symlink()
    assert machine.rawr_install("activate", b, "--mode", "bun-symlink").code == 0
    assert machine.entry.is_symlink()


def test_a_shim_a_link_and_a_dangling_link_of_ours_are_replaced_without_force(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.link(a)
    assert machine.rawr_install("install", "--workspace", b).code == 0
    machine.rawr_install("install", "--workspace", b, "--mode", "shim")
    assert machine.rawr_install("install", "--workspace", b).code == 0
    machine.link(a)
    shutil.rmtree(a)
    assert machine.rawr_install("install", "--workspace", b).code == 0


def test_a_link_before_the_shell_entry_is_noted_with_the_way_out(machine: Machine) -> None:
    root = machine.workspace("a")
    pipx = machine.home / ".local/bin"
    machine.rawr_install("install", "--workspace", root, "--mode", "shim", "--bin-dir", pipx)
    (machine.folder / "spelled").symlink_to(machine.bun_bin)
    machine.bun_bin.mkdir(parents=True)
    behind, before = f"{machine.folder}/spelled/:{pipx}", f"{pipx}:{machine.bun_bin}"
    for path, noted in ((behind, True), (before, False), (f"{before}:{pipx}", False)):
        words = ("install", "--workspace", root, "--bin-dir", machine.bun_bin, *LINK)
        ran = machine.rawr_install(*words, env={"PATH": f"{path}:/usr/bin:/bin"})
        notes = [line for line in ran.out.splitlines() if line.startswith("Note:")]
        assert (FOLLOW in notes) is noted, ran
        assert any(f"{pipx}/rawr (shim) comes before it" in note for note in notes) is not noted, ran


def test_the_command_that_the_note_names_works_also_where_somebody_else_is_the_owner(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    pipx = machine.home / ".local/bin"
    machine.rawr_install("install", "--workspace", a, "--mode", "shim", "--bin-dir", pipx)
    machine.rawr_install("activate", a, "--mode", "bun-symlink", "--bin-dir", machine.bun_bin)
    path = {"PATH": f"{machine.bun_bin}:{pipx}:/usr/bin:/bin"}
    noted = machine.rawr_install("install", "--force", "--bin-dir", machine.bun_bin, cwd=b, env=path)
    command = noted.out.split("the workspace you stand in: rawr-install ")[1].split()
    mended = machine.rawr_install(*command, "--bin-dir", machine.bun_bin, cwd=b, env=path)
    assert mended.code == 0
    assert "comes before the shell entry" not in mended.out


def test_taking_away_what_was_never_there_says_so(machine: Machine) -> None:
    removed = machine.rawr_install("uninstall")
    assert removed.out == "Nothing changed: nothing is left that this toolkit put there and nobody has modified.\n"
    assert "Nothing changed: there was no owner to forget.\n" in machine.rawr_install("deactivate").out


def test_a_bin_folder_outside_path_is_noted(machine: Machine) -> None:
    ran = machine.rawr_install("install", "--workspace", machine.workspace("a"), "--bin-dir", "bin", *LINK)
    assert (machine.folder / "bin/rawr").is_symlink()
    assert ran.out.splitlines()[-1].startswith(f"Note: {machine.folder}/bin is not on PATH")


# -- deactivate, rollback, history --------------------------------------------------------


@pytest.mark.contract("C3", "deactivate", "deactivate removes the owner alone")
def test_deactivate_removes_the_owner_and_leaves_the_entry(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("activate", root, *LINK)
    ran = machine.rawr_install("deactivate")
    assert ran.code == 0 and f"it was {root}" in ran.out and "rawr-install uninstall" in ran.out
    assert not machine.owner_file.exists() and machine.entry.is_symlink()
    machine.rawr_install("rollback")
    assert machine.owner_file.read_text() == f"{root}\n"


def pair(machine: Machine) -> tuple[str, str]:
    """(owner, workspace of the link), by folder name; ``-`` where there is none."""
    owner = Path(machine.owner_file.read_text().strip()).name if machine.owner_file.exists() else "-"
    return owner, Path(os.readlink(machine.entry)).parents[3].name if machine.entry.is_symlink() else "-"


@pytest.mark.contract("C3", "rollback", "rollback goes back step by step")
def test_rollback_goes_back_step_by_step_and_forward_by_number(machine: Machine) -> None:
    a, b, c = (machine.workspace(name) for name in "abc")
    machine.rawr_install("install", "--workspace", a, *LINK)
    for root in (a, b, c):
        machine.rawr_install("activate", root)
    seen = [pair(machine)]
    while machine.rawr_install("rollback").code == 0:
        seen.append(pair(machine))
    assert seen == [("c", "c"), ("b", "b"), ("a", "a"), ("-", "a"), ("-", "-")]
    assert error(machine.rawr_install("rollback", "--json")) == (1, "NOTHING_TO_ROLL_BACK")
    for number, expected in ((3, ("b", "b")), (0, ("-", "-")), (4, ("c", "c")), (1, ("-", "a"))):
        assert machine.rawr_install("rollback", "--to", str(number)).code == 0
        assert pair(machine) == expected
    assert error(machine.rawr_install("rollback", "--to", "99", "--json")) == (2, "NO_SUCH_CHANGE")


def test_rollback_after_a_change_that_followed_a_rollback_skips_what_was_undone(machine: Machine) -> None:
    a, b, c = (machine.workspace(name) for name in "abc")
    machine.rawr_install("activate", a, *LINK), machine.rawr_install("activate", b)
    machine.rawr_install("rollback"), machine.rawr_install("activate", c)
    machine.rawr_install("rollback")
    assert pair(machine) == ("a", "a")
    machine.rawr_install("rollback")
    assert pair(machine) == ("-", "-")


def test_rollback_mends_what_was_broken_by_hand_but_not_what_is_foreign(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK), machine.rawr_install("activate", b)
    machine.entry.unlink()
    machine.rawr_install("rollback")
    assert pair(machine) == ("a", "a")
    machine.entry.unlink()
    machine.entry.write_text("mine")
    machine.entry.with_name("rawr.set-aside").touch()
    refused = machine.rawr_install("rollback", "--json")
    assert error(refused) == (1, "FOREIGN_ENTRY")
    assert machine.entry.read_text() == "mine" and pair(machine)[0] == "a"
    machine.run(*refused.json["error"]["details"]["remedy"]["argv"])
    assert machine.rawr_install("rollback").code == 0 and pair(machine) == ("-", "-")
    assert machine.entry.with_name("rawr.set-aside.2").read_text() == "mine"


def test_rollback_to_a_workspace_that_is_gone_says_so(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK), machine.rawr_install("activate", b)
    shutil.rmtree(a)
    assert "Note: ~/.bun/bin/rawr leads nowhere" in machine.rawr_install("rollback").out


def test_rollback_of_uninstall_installs_again(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.bun_bin.mkdir(parents=True)
    machine.entry.write_text("mine")
    machine.rawr_install("activate", root, "--force", *LINK)
    machine.rawr_install("uninstall", "--yes")
    assert machine.entry.read_text() == "mine"
    machine.rawr_install("rollback")
    assert pair(machine) == ("a", "a")
    machine.rawr_install("uninstall", "--yes")
    assert machine.entry.read_text() == "mine"


def test_history_lists_every_change_with_before_and_after(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    assert machine.rawr_install("history").out == "No changes yet.\n"
    machine.rawr_install("activate", a), machine.rawr_install("activate", b), machine.rawr_install("rollback")
    records = machine.rawr_install("history", "--json").json["data"]["records"]
    assert [(record["id"], record["command"], record["status"]) for record in records] == [
        (1, "activate", "done"),
        (2, "activate", "done"),
        (3, "rollback", "done"),
    ]
    shown = machine.rawr_install("history", env={"COLUMNS": "200"}).out
    assert f"      ~/.rawr/global-rawr-owner-path: {a} -> {b}\n" in shown
    narrow = machine.rawr_install("history", env={"COLUMNS": "40"}).out
    assert f"      ~/.rawr/global-rawr-owner-path:\n        {a}\n     -> {b}\n" in narrow


# -- uninstall ------------------------------------------------------------------------------


@pytest.mark.contract("C3", "uninstall", "uninstall removes what is ours and unmodified, and nothing else")
def test_uninstall_removes_what_was_installed_and_purge_leaves_nothing(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("install", "--workspace", root, "--bin-dir", "bin")
    machine.rawr_install("activate", root, "--bin-dir", machine.bun_bin)
    ran = machine.rawr_install("uninstall", "--purge", "--yes", "--json").json["data"]
    assert set(ran["removed"]) == {f"{machine.folder}/bin/rawr", str(machine.entry), str(machine.owner_file)}
    assert ran["left"] == [] and len(ran["purged"]) >= 2
    assert [path for path in machine.home.rglob("*") if not path.is_dir()] == []
    assert not machine.owner_file.parent.exists()


def test_uninstall_leaves_what_was_in_place_before(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.link(root)
    machine.rawr_install("activate", root)
    ran = machine.rawr_install("uninstall", "--yes")
    assert "Left ~/.bun/bin/rawr: not in the receipt" in ran.out
    assert pair(machine) == ("-", "a")


def test_uninstall_leaves_and_reports_what_was_modified(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a)
    machine.own(b)
    machine.link(b)
    ran = machine.rawr_install("uninstall", "--yes", "--json").json["data"]
    assert (ran["changed"], set(ran["left"])) == (False, {str(machine.entry), str(machine.owner_file)})
    assert pair(machine) == ("b", "b")


def test_what_a_hand_removed_is_dropped_from_the_receipt(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("install", "--workspace", root)
    machine.entry.unlink()
    ran = machine.rawr_install("uninstall", "--yes", "--json").json["data"]
    assert ran["changed"] and ran["left"] == []
    assert not (machine.home / ".local/state/rawr/receipt.json").exists()


# -- what a fresh checkout needs ---------------------------------------------------------------


def fake_bun(machine: Machine, code: int, version: str = "1.2.3") -> Path:
    """A folder with a ``bun`` that says its version and logs its install; ``code`` is the install's exit code."""
    folder = machine.folder / "fake"
    folder.mkdir(exist_ok=True)
    log = f'echo "$PWD: $*" >> {folder}/log; echo "bun was here"; echo "and complained" >&2; exit {code}'
    (folder / "bun").write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n{log}\n')
    (folder / "bun").chmod(0o755)
    return folder


def fresh(machine: Machine, name: str = "fresh", wanted: str = "bun@1.2.3") -> Path:
    root = machine.workspace(name)
    manifest = {"name": name, "packageManager": wanted, "dependencies": {"left": "1"}}
    (root / "package.json").write_text(json.dumps(manifest))
    return root


def test_activation_of_a_fresh_checkout_says_what_it_needs(machine: Machine) -> None:
    root = fresh(machine)
    data = machine.rawr_install("activate", root, "--json").json["data"]
    assert [need["id"] for need in data["needs"]] == ["bun.missing", "dependencies.missing"]
    said = machine.rawr_install("activate", root).out
    assert "This checkout still needs: Bun is not on PATH" in said
    path = {"PATH": f"{fake_bun(machine, 0, '1.0.0')}:/usr/bin:/bin"}
    data = machine.rawr_install("activate", root, "--json", env=path).json["data"]
    assert [need["id"] for need in data["needs"]] == ["bun.version", "dependencies.missing"]


def test_install_deps_runs_buns_frozen_install_in_the_workspace_with_its_output_on_stderr(machine: Machine) -> None:
    root = fresh(machine)
    path = {"PATH": f"{fake_bun(machine, 0)}:/usr/bin:/bin"}
    ran = machine.rawr_install("activate", root, "--install-deps", "--json", env=path)
    assert (ran.code, ran.json["data"]["installDeps"]) == (0, "done")
    assert (machine.folder / "fake/log").read_text() == f"{root}: install --frozen-lockfile\n"
    assert "bun was here" in ran.err and "and complained" in ran.err


def test_a_failing_install_of_dependencies_is_an_error_after_a_complete_activation(machine: Machine) -> None:
    root = fresh(machine)
    for env in ({"PATH": f"{fake_bun(machine, 7)}:/usr/bin:/bin"}, {}):
        ran = machine.rawr_install("activate", root, "--install-deps", "--json", env=env)
        assert error(ran) == (1, "INSTALL_DEPS_FAILED")
        assert ran.json["error"]["details"]["instanceRoot"] == str(root)
        assert machine.owner_file.read_text() == f"{root}\n"


def test_uninstall_asks_a_person_and_takes_no_for_an_answer(machine: Machine) -> None:
    machine.rawr_install("activate", machine.workspace("a"), *LINK)
    argv = [sys.executable, "-m", "rawr_install", "uninstall"]
    for answer, said, left in (("n\n", "DECLINED", True), ("y\n", "Removed", False)):
        with Terminal(argv, machine.env, machine.folder) as shown:
            shown.wait("Remove the global rawr from this machine?")
            shown.type(answer)
            shown.wait(said)
        assert machine.entry.is_symlink() is left


@pytest.mark.parametrize("words", ["activate {}/a", "install --bin-dir {}/bin", "trust add {}/a", "trust remove {}/a"])
def test_a_removed_current_folder_does_not_stop_an_absolute_path(machine: Machine, words: str) -> None:
    root = machine.workspace("a", cli=CLI_SCRIPT)
    gone = machine.folder / "gone"
    gone.mkdir()
    # -P: Python would look for its modules in the folder that is gone.
    argv = ["sh", "-c", f'rmdir {gone}; exec "$@"', "sh", sys.executable, "-P", "-m", "rawr_install"]
    ran = machine.run(*argv, *words.format(root.parent).split(), "--json", cwd=gone)
    assert (ran.code, ran.json["ok"]) == (0, True)
