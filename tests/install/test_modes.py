"""Which kind of entry a command makes, and where: nothing is chosen for the user that he did not have before."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from rawr_install.machine.toolkit import fill_toolkit
from tests.conftest import LINK, Machine, Ran

SHIM = Path(__file__).parent.parent.parent / "shims/rawr"
FOLLOW = "rawr-install install --mode shim"


@pytest.fixture
def local(machine: Machine) -> Path:
    """``~/.local/bin`` on PATH as pipx leaves it: links to ``rawr`` and ``rawr-install`` in an environment."""
    folder = pipx(machine)
    machine.env["PATH"] = f"{folder}:/usr/bin:/bin"
    return folder


def pipx(machine: Machine) -> Path:
    environment, folder = machine.home / ".local/share/pipx/venvs/rawr-install/bin", machine.home / ".local/bin"
    environment.mkdir(parents=True)
    folder.mkdir(parents=True)
    shutil.copy(SHIM, environment / "rawr")
    (environment / "rawr-install").write_text(f'#!/bin/sh\nexec {sys.executable} -m rawr_install "$@"\n')
    (environment / "rawr-install").chmod(0o755)
    for name in ("rawr", "rawr-install"):
        (folder / name).symlink_to(environment / name)
    return folder


def data(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran
    answer: dict[str, Any] = ran.json["data"]
    return answer


def refused(ran: Ran) -> str:
    assert ran.code == 1, ran
    return str(ran.json["error"]["code"])


def is_shim(path: Path) -> bool:
    return not path.is_symlink() and b"rawr-install shell entry" in path.read_bytes()


def records(machine: Machine) -> dict[str, str]:
    """All of the machine but the event log, which a command that changes nothing does not write either."""
    return machine.tree()


# -- after pipx alone ------------------------------------------------------------------


def test_where_pipx_put_our_shim_first_install_has_nothing_to_do_and_says_so(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    before = records(machine)
    for folder in (root, machine.home):
        answer = data(machine.rawr_install("install", "--json", cwd=folder))
        assert (answer["changed"], answer["mode"], answer["plan"]) == (False, "shim", [])
        assert answer["entryPath"] == str(local / "rawr")
        assert "Nothing to do" in machine.rawr_install("install", cwd=folder).out
    assert records(machine) == before


def test_there_activate_changes_the_owner_alone(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    answer = data(machine.rawr_install("activate", "--json", cwd=root))
    assert [step["role"] for step in answer["plan"]] == ["owner", "receipt"]
    assert machine.owner_file.read_text() == f"{root}\n"
    assert not machine.bun_bin.exists()
    assert (local / "rawr").is_symlink()


def test_uninstall_then_leaves_pipx_alone(machine: Machine, local: Path) -> None:
    machine.rawr_install("activate", machine.workspace("a"))
    assert machine.rawr_install("uninstall", "--yes", "--purge").code == 0
    assert (local / "rawr").is_symlink() and not machine.owner_file.exists()


# -- the kind is kept ------------------------------------------------------------------


def test_where_there_is_no_entry_a_shim_is_made_though_no_workspace_is_near(machine: Machine) -> None:
    answer = data(machine.rawr_install("install", "--json", cwd=machine.home))
    assert (answer["changed"], answer["mode"], answer["instanceRoot"], answer["target"]) == (True, "shim", None, None)
    assert is_shim(machine.entry)
    assert machine.run("rawr", cwd=machine.workspace("a")).out.startswith("workspace a\n")


def test_a_shim_is_installed_whoever_the_owner_is_and_in_whatever_state_the_workspace(machine: Machine) -> None:
    machine.own(machine.workspace("owner"))
    bare = machine.workspace("bare", cli=None)
    assert data(machine.rawr_install("install", "--json", cwd=bare))["changed"] is True
    machine.entry.unlink()
    assert machine.rawr_install("install", cwd=bare, env={"RAWR_WORKSPACE_ROOT": "/no/such"}).code == 0
    named = machine.rawr_install("install", "--workspace", machine.home, "--json")
    assert (named.code, named.json["error"]["code"]) == (2, "NOT_A_WORKSPACE")


def test_activate_on_a_bare_machine_sets_owner_and_shim_both(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    answer = data(machine.rawr_install("activate", a, "--json"))
    assert [step["role"] for step in answer["plan"]] == ["owner", "entry", "receipt"]
    assert is_shim(machine.entry)
    assert machine.run("rawr", cwd=b).out.startswith("workspace b\n")


@pytest.mark.contract("C3", "install.keeps-kind", "every command keeps the kind of entry that the machine has")
def test_a_machine_of_the_older_scripts_keeps_its_link(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.link(a)
    for words, root in ((("install", "--workspace", b), b), (("activate", a), a), (("activate", b), b)):
        assert data(machine.rawr_install(*words, "--json"))["mode"] == "bun-symlink"
        assert os.readlink(machine.entry) == f"{root}/apps/cli/bin/run.js"


def test_the_receipt_says_the_kind_of_an_entry_that_is_gone(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.rawr_install("install", "--workspace", root, "--mode", "bun-symlink")
    machine.entry.unlink()
    assert data(machine.rawr_install("install", "--workspace", root, "--json"))["mode"] == "bun-symlink"
    machine.rawr_install("install", "--mode", "shim")
    machine.entry.unlink()
    assert data(machine.rawr_install("activate", root, "--json"))["mode"] == "shim"


def test_what_comes_first_on_path_counts_more_than_the_receipt(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    machine.rawr_install("install", "--workspace", root, *LINK)
    assert data(machine.rawr_install("activate", root, "--json"))["mode"] == "shim"
    (local / "rawr").unlink()
    assert data(machine.rawr_install("activate", root, "--json"))["mode"] == "bun-symlink"


def test_a_link_in_buns_folder_off_path_counts_last(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    machine.link(root)
    assert data(machine.rawr_install("activate", root, "--json"))["mode"] == "shim"
    for name in ("rawr", "rawr-install"):
        (local / name).unlink()
    machine.rawr_install("uninstall", "--yes")
    assert data(machine.rawr_install("install", "--workspace", root, "--json"))["mode"] == "bun-symlink"


def test_a_link_before_pipxs_shim_decides_and_is_kept_and_the_way_out_is_told(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.env["PATH"] = f"{machine.bun_bin}:{pipx(machine)}:/usr/bin:/bin"
    machine.link(a)
    for words in (("install", "--workspace", a), ("activate", a)):
        said = machine.rawr_install(*words).out
        assert f"\nInstalled Bun-global rawr symlink at {machine.entry}\n" in said and FOLLOW in said
    finding = doctor(machine, a)["entry.link-decides"]
    assert finding["status"] == "info" and finding["remedy"]["argv"] == FOLLOW.split()
    assert machine.rawr_install(*finding["remedy"]["argv"][1:], cwd=machine.home).code == 0
    assert machine.run("rawr", cwd=b).out.startswith("workspace b\n")
    assert doctor(machine, a) == {}


def test_a_link_made_by_hand_elsewhere_is_the_one_that_gives_way_to_the_shim(machine: Machine) -> None:
    root, own = machine.workspace("a"), machine.home / "bin"
    own.mkdir()
    (own / "rawr").symlink_to(root / "apps/cli/bin/run.js")
    machine.env["PATH"] = f"{own}:{machine.env['PATH']}"
    assert data(machine.rawr_install("install", "--mode", "shim", "--json"))["entryPath"] == str(own / "rawr")
    assert is_shim(own / "rawr")


def test_a_shim_that_we_installed_is_brought_up_to_date_and_one_that_we_did_not_is_left(machine: Machine) -> None:
    machine.rawr_install("install")
    fresh = machine.entry.read_bytes()
    machine.entry.write_bytes(fresh + b"# older\n")
    assert data(machine.rawr_install("install", "--json"))["changed"] is True
    assert machine.entry.read_bytes() == fresh
    machine.rawr_install("uninstall", "--yes")
    shutil.copy(SHIM, machine.entry)
    assert data(machine.rawr_install("install", "--json"))["changed"] is False


def test_a_copy_of_another_version_is_brought_up_to_date_also_where_no_receipt_lists_it(machine: Machine) -> None:
    machine.rawr_install("install")
    fresh = machine.entry.read_bytes()
    machine.rawr_install("uninstall", "--yes", "--purge")
    machine.entry.write_bytes(fresh.replace(b"\n_rawr_version='", b"\n_rawr_version='0."))
    machine.entry.chmod(0o755)
    assert data(machine.rawr_install("install", "--json"))["changed"] is True
    assert machine.entry.read_bytes() == fresh
    machine.rawr_install("rollback")
    assert machine.entry.read_bytes() != fresh


# -- where it goes ---------------------------------------------------------------------


@pytest.mark.parametrize(("on_path", "place"), [(".bun/bin", ".bun/bin"), ("elsewhere", ".local/bin")])
def test_a_shim_goes_to_buns_folder_if_that_is_on_path_and_else_to_local_bin(
    machine: Machine, on_path: str, place: str
) -> None:
    machine.env["PATH"] = f"{machine.home / on_path}:/usr/bin:/bin"
    answer = data(machine.rawr_install("install", "--json"))
    assert answer["entryPath"] == str(machine.home / place / "rawr")
    assert any("is not on PATH" in note for note in answer["notes"]) is (on_path == "elsewhere")
    assert data(machine.rawr_install("install", "--json"))["changed"] is False


def test_a_link_goes_to_buns_folder_wherever_a_shim_was_installed(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.env["PATH"] = f"{machine.home}/.local/bin:/usr/bin:/bin"
    machine.rawr_install("install")
    answer = data(machine.rawr_install("activate", root, "--mode", "bun-symlink", "--json"))
    assert answer["entryPath"] == str(machine.entry) and machine.entry.is_symlink()
    shim = f"{machine.home}/.local/bin/rawr"
    assert answer["notes"] == [f"Note: {machine.bun_bin} is not on PATH, so {shim} runs."]
    assert is_shim(machine.home / ".local/bin/rawr")


@pytest.mark.contract("C3", "install.managed-entry", "what a package manager put there is never replaced")
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_a_package_manager_put_there_is_never_replaced(
    machine: Machine, local: Path, force: tuple[str, ...]
) -> None:
    root = machine.workspace("a")
    before = machine.tree()
    words = ("activate", str(root), "--mode", "bun-symlink", "--bin-dir", str(local), *force)
    assert refused(machine.rawr_install(*words, "--json", env={"RAWR_EVENTS": "off"})) == "MANAGED_ENTRY"
    other = machine.home / ".local/share/uv/tools/other/bin/rawr"
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    machine.bun_bin.mkdir(parents=True)
    machine.entry.symlink_to(other)
    words = ("install", "--bin-dir", str(machine.bun_bin), *force)
    assert refused(machine.rawr_install(*words, "--json", env={"RAWR_EVENTS": "off"})) == "MANAGED_ENTRY"
    after = machine.tree()
    assert {path: shown for path, shown in after.items() if path in before and "/bin" in path} == {
        path: shown for path, shown in before.items() if "/bin" in path
    }
    assert machine.entry.resolve() == other


def test_what_pip_put_there_as_a_file_is_left_alone_and_does_what_is_asked_of_a_shim(machine: Machine) -> None:
    scripts, root = machine.home / ".local/bin", machine.workspace("a")
    scripts.mkdir(parents=True)
    shutil.copy(SHIM, scripts / "rawr")  # `pip install --user` copies the script of the wheel as it is
    machine.env["PATH"] = f"{scripts}:{machine.env['PATH']}"
    before = (scripts / "rawr").read_bytes()
    for words in (("install",), ("install", "--bin-dir", str(scripts)), ("activate", str(root))):
        assert "entry" not in [step["role"] for step in data(machine.rawr_install(*words, "--json"))["plan"]]
    link = ("activate", str(root), "--mode", "bun-symlink", "--bin-dir", str(scripts))
    for words in (link, (*link, "--force")):
        assert refused(machine.rawr_install(*words, "--json")) == "MANAGED_ENTRY"
    assert machine.rawr_install("uninstall", "--yes").code == 0
    assert (scripts / "rawr").read_bytes() == before


# -- the shell remembers ---------------------------------------------------------------


def test_a_running_bash_that_remembers_the_old_place_is_told(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    machine.env["PATH"] = f"{machine.bun_bin}:{local}:/usr/bin:/bin"
    install = f'"{sys.executable}" -m rawr_install install --workspace "{root}" --mode bun-symlink --json'
    undo = f'"{sys.executable}" -m rawr_install rollback'
    # What is claimed of the shell is seen in a real one: it goes on with the old place until told otherwise.
    script = f"rawr >/dev/null; {install} >/dev/null; rawr >/dev/null; type rawr; {undo}; hash -r; rawr"
    ran = machine.run("bash", "-c", script, cwd=root)
    assert f"rawr is hashed ({local}/rawr)" in ran.out
    told = [line for line in ran.out.splitlines() if "hash -r" in line]
    assert len(told) == 1 and "rawr was ~/.bun/bin/rawr and is now ~/.local/bin/rawr" in told[0]
    moved = data(machine.rawr_install("install", "--workspace", root, "--mode", "bun-symlink", "--json"))
    assert any("hash -r" in note for note in moved["notes"])
    stays = data(machine.rawr_install("activate", root, "--json"))
    assert not any("hash -r" in note for note in stays["notes"])


# -- and the doctor agrees -------------------------------------------------------------


def doctor(machine: Machine, cwd: Path, code: int = 0) -> dict[str, Any]:
    """The findings by id, where the exit code is as expected; what is only said to whoever has no owner is left out."""
    ran = machine.rawr_install("doctor", "global", "--json", cwd=cwd)
    assert ran.code == code, ran
    report = ran.json["data"] if ran.json["ok"] else ran.json["error"]["details"]
    assert (report["defaultMode"], report["recommendedMode"]) == ("shim", "bun-symlink")
    return {each["id"]: each for each in report["findings"] if each["id"] != "owner.missing"}


def statuses(machine: Machine, cwd: Path, code: int = 0) -> dict[str, str]:
    return {name: each["status"] for name, each in doctor(machine, cwd, code).items()}


def test_after_each_plain_command_the_doctor_is_healthy_without_a_warning(machine: Machine, local: Path) -> None:
    root = machine.workspace("a")
    assert (statuses(machine, root), statuses(machine, machine.home)) == ({}, {"workspace.none": "info"})
    machine.rawr_install("install", cwd=root)
    assert (statuses(machine, root), statuses(machine, machine.home)) == ({}, {"workspace.none": "info"})
    machine.rawr_install("activate", cwd=root)
    assert (statuses(machine, root), statuses(machine, machine.home)) == ({}, {})
    machine.rawr_install("fallback", "enable")
    assert (statuses(machine, root), statuses(machine, machine.home)) == ({}, {})
    for folder in (root, machine.home):
        said = machine.rawr_install("doctor", "global", cwd=folder).out
        assert said.startswith("rawr runs the workspace you are in.\n")


def test_a_link_is_healthy_too_where_no_workspace_is_near_and_nobody_is_the_owner(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.link(root)
    found = {"entry.link-decides": "info"}
    assert statuses(machine, root) == found
    assert statuses(machine, machine.home) == found | {"workspace.none": "info"}
    said = machine.rawr_install("doctor", "global", cwd=machine.home).out
    assert said.startswith("Global rawr is configured for Bun-global execution.\n")


def test_outside_every_workspace_a_machine_without_rawr_is_told_the_command_that_gives_it_one(machine: Machine) -> None:
    found = doctor(machine, machine.home, code=1)
    assert {name: each["status"] for name, each in found.items()} == {
        "entry.missing": "fail",
        "workspace.none": "info",
    }
    assert machine.rawr_install(*found["entry.missing"]["remedy"]["argv"][1:], cwd=machine.home).code == 0
    assert statuses(machine, machine.home) == {"workspace.none": "info"}


def test_a_shim_whose_folder_is_not_on_path_is_found_there(machine: Machine) -> None:
    machine.env["PATH"] = "/usr/bin:/bin"
    machine.rawr_install("install")
    for folder in (machine.home, machine.workspace("a")):
        found = doctor(machine, folder, code=1)
        fails = [name for name, each in found.items() if each["status"] == "fail"]
        assert fails == ["path.entry-missing"]
        assert str(machine.home / ".local/bin") in found["path.entry-missing"]["remedy"]["text"]


@pytest.mark.parametrize("kind", ["shim", "bun-symlink"])
def test_no_remedy_and_no_fix_changes_the_kind(machine: Machine, kind: str) -> None:
    root = machine.workspace("a")
    machine.rawr_install("activate", root, "--mode", kind)
    machine.entry.unlink()
    (machine.home / ".rawr").chmod(0o777)
    assert machine.rawr_install("doctor", "global", "--fix", cwd=root).code == 0
    assert is_shim(machine.entry) is (kind == "shim") and machine.entry.is_symlink() is (kind != "shim")
    machine.entry.unlink()
    assert machine.rawr_install("refresh", cwd=root).code == 0
    assert is_shim(machine.entry) is (kind == "shim") and machine.entry.is_symlink() is (kind != "shim")


def test_a_place_is_one_place_however_path_spells_it(machine: Machine) -> None:
    root = machine.workspace("a")
    (machine.folder / "spelled").symlink_to(machine.bun_bin)
    machine.rawr_install("install", "--workspace", root, *LINK)
    machine.env["PATH"] = f"{machine.folder}/spelled/:/usr/bin:/bin"
    assert data(machine.rawr_install("install", "--mode", "shim", "--json"))["entryPath"] == str(machine.entry)
    assert statuses(machine, root) == {}
    machine.entry.write_bytes(machine.entry.read_bytes() + b"# older\n")
    assert data(machine.rawr_install("install", "--json"))["changed"] is True
    assert machine.rawr_install("uninstall", "--yes").code == 0 and not machine.entry.exists()


@pytest.mark.parametrize("deed", ["deleted", "given to pipx"])
def test_a_copy_that_is_no_longer_ours_is_struck_from_the_receipt(machine: Machine, local: Path, deed: str) -> None:
    root, copy = machine.workspace("a"), machine.home / "bin/rawr"
    machine.rawr_install("install", "--mode", "shim", "--bin-dir", copy.parent)
    copy.unlink()
    if deed != "deleted":
        copy.symlink_to((local / "rawr").resolve())
        machine.env["PATH"] = f"{copy.parent}:{machine.env['PATH']}"
    finding = doctor(machine, root)["receipt.disagrees"]
    assert machine.rawr_install(*finding["remedy"]["argv"][1:], cwd=root).code == 0
    assert statuses(machine, root) == {}
    left = "bin" if deed != "deleted" else ".local/bin"
    assert f"Left ~/{left}/rawr: pipx" in machine.rawr_install("uninstall", "-y").out


@pytest.mark.parametrize("stood", ["nothing", "somebody's"])
def test_a_rollback_leaves_alone_what_pipx_has_put_there_since(machine: Machine, local: Path, stood: str) -> None:
    entry = machine.home / "bin/rawr"
    entry.parent.mkdir()
    if stood != "nothing":
        entry.write_text(stood)
    assert machine.rawr_install("install", "--mode", "shim", "--bin-dir", entry.parent, "--force").code == 0
    if stood == "nothing":
        assert machine.rawr_install("uninstall", "--yes").code == 0
    entry.unlink(missing_ok=True)
    entry.symlink_to((local / "rawr").resolve())
    ran = machine.rawr_install("rollback", "--json")
    assert entry.resolve() == (local / "rawr").resolve(), "rollback replaced what pipx has put there"
    assert (ran.code, ran.json["error"]["code"]) == (1, "MANAGED_ENTRY")
    if stood != "nothing":
        assert "then: rawr-install uninstall" in doctor(machine, machine.home)["receipt.disagrees"]["remedy"]["text"]
        assert "Left ~/bin/rawr: pipx has put its own there since.\n" in machine.rawr_install("uninstall", "-y").out
    entry.unlink()  # as `pipx uninstall` does it
    assert machine.rawr_install("rollback").code == 0
    assert entry.read_text().startswith("#!/bin/sh" if stood == "nothing" else stood)


def test_a_version_managers_shim_gives_way_to_the_folder_where_ours_is(machine: Machine, local: Path) -> None:
    shims = machine.home / ".local/share/mise/shims"
    shims.mkdir(parents=True)
    (shims / "rawr").write_text("#!/bin/sh\n")
    (shims / "rawr").chmod(0o755)
    machine.env["PATH"] = f"{shims}:{machine.env['PATH']}"
    finding = doctor(machine, machine.workspace("a"), code=1)["path.version-manager"]
    assert str(local) in finding["remedy"]["text"]


def test_uninstall_names_the_command_that_removes_a_link_of_the_older_scripts(machine: Machine) -> None:
    machine.link(machine.workspace("w"))
    ran = machine.rawr_install("uninstall", "--yes", "--json")
    assert machine.entry.is_symlink()
    told = next(note for note in data(ran)["notes"] if note.startswith(f"Left {machine.entry}"))
    machine.run(*shlex.split(told.partition("to remove it: ")[2]))
    assert not os.path.lexists(machine.entry)


@pytest.mark.parametrize("order", ["uninstall, then pipx uninstall", "pipx uninstall first"])
def test_both_orders_of_leaving_end_with_nothing_left(machine: Machine, local: Path, order: str) -> None:
    machine.env["RAWR_EVENTS"] = "off"
    machine.env["PATH"] = f"{machine.bun_bin}:{machine.env['PATH']}"
    assert machine.rawr_install("install", "--bin-dir", str(machine.bun_bin)).code == 0
    assert machine.rawr_install("activate", machine.workspace("w")).code == 0
    if order == "pipx uninstall first":
        environment = machine.home / ".local/share/pipx"
        # The entry as pipx's toolkit fills it in; the one under test is installed by this checkout's.
        entry = machine.folder / "rawr"
        entry.write_bytes(fill_toolkit(SHIM.read_bytes(), f"{environment}/venvs/rawr-install/bin/rawr-install"))
        entry.chmod(0o755)
        away = shutil.move(environment, machine.folder / "away")
        told = machine.run(entry, "uninstall")
        assert told.code in (126, 127) and "TOOLKIT_GONE" in told.err and "install rawr-install again" in told.err
        shutil.move(away, environment)  # what the remedy does
    done = machine.run(local / "rawr-install", "uninstall", "--purge", "--yes", "--json")
    assert done.json["data"]["left"] == []
    assert not os.path.lexists(machine.entry) and not machine.owner_file.exists()
    assert not (machine.home / ".rawr").exists() and not (machine.home / ".local/state/rawr").exists()
    assert (local / "rawr").is_symlink()  # pipx's own: `pipx uninstall` takes it
