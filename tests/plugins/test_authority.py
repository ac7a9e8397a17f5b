"""Authority is local: nothing but the explicit flag, with a valid owner, makes another workspace the canonical one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine
from tests.support.plugins import link, make_linkable, make_manager

FLAG = "--allow-global-owner-fallback"


@pytest.fixture
def here(machine: Machine) -> Path:
    """A workspace beside the owner's; the manifest links the owner's plugin, so the canonical root shows."""
    workspace, owner = machine.workspace("here"), machine.workspace("owner")
    make_linkable(workspace, "one")
    make_manager(machine, link("@rawr/one", make_linkable(owner, "one")))
    machine.own(owner)
    return workspace


def assessed(machine: Machine, cwd: Path, *words: str, env: dict[str, str] | None = None) -> Any:
    done = machine.rawr_install("plugins", "status", "--json", "--no-fail", *words, cwd=cwd, env=env)
    assert done.code == 0, done
    return done.json["data"]["install"]


def is_local(report: Any, here: Path) -> bool:
    root, source = report["canonicalWorkspaceRoot"], report["canonicalWorkspaceSource"]
    return bool((root, source, report["status"]) == (str(here), "workspace-root", "DRIFT_DETECTED"))


def test_a_valid_owner_with_the_flag_is_the_canonical_workspace(machine: Machine, here: Path) -> None:
    report = assessed(machine, here, FLAG)
    assert (report["canonicalWorkspaceSource"], report["status"]) == ("global-owner", "IN_SYNC")
    assert report["canonicalWorkspaceRoot"] == str(machine.folder / "owner")
    assert "notes" not in report


def test_a_valid_owner_alone_switches_nothing(machine: Machine, here: Path) -> None:
    assert is_local(assessed(machine, here), here)


@pytest.mark.parametrize(
    "variables",
    [
        {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"},
        {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "true", "RAWR_GLOBAL_OWNER": "{owner}"},
        {"RAWR_OWNER_WORKSPACE": "{owner}", "RAWR_CANONICAL_ROOT": "{owner}", "ALLOW_GLOBAL_OWNER_FALLBACK": "1"},
        {"PWD": "{owner}", "OLDPWD": "{owner}", "INIT_CWD": "{owner}"},
    ],
)
def test_no_variable_switches_it(machine: Machine, here: Path, variables: dict[str, str]) -> None:
    env = {name: value.format(owner=machine.folder / "owner") for name, value in variables.items()}
    assert is_local(assessed(machine, here, env=env), here)


def test_no_policy_file_and_no_config_switches_it(machine: Machine, here: Path) -> None:
    dot = machine.home / ".rawr"
    (dot / "global-owner-fallback").write_text("enabled\n")
    (dot / "trusted-workspaces").write_text(f"{machine.folder / 'owner'}\n")
    for folder in (dot, machine.home / ".config/rawr", here, here / ".rawr"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text('{"allowGlobalOwnerFallback": true, "allow_global_owner_fallback": true}\n')
        (folder / "config.toml").write_text("allow_global_owner_fallback = true\n")
    assert is_local(assessed(machine, here, env={"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"}), here)


def test_a_workspace_that_is_named_by_variable_is_the_users_own_choice_of_workspace(
    machine: Machine, here: Path
) -> None:
    report = assessed(machine, here, env={"RAWR_WORKSPACE_ROOT": str(machine.folder / "owner")})
    assert (report["canonicalWorkspaceSource"], report["status"]) == ("workspace-root", "IN_SYNC")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "missing"),
        ("", "empty"),
        ("relative/path", "invalid (relative/path)"),
        ("~/owner", "invalid (~/owner)"),
        ("{folder}/gone", "vanished ({folder}/gone)"),
        ("{folder}/home", "not-a-workspace ({folder}/home)"),
        ("folder", "unreadable"),
    ],
)
def test_with_the_flag_and_a_bad_owner_it_stays_local_and_says_why(
    machine: Machine, here: Path, content: str | None, says: str
) -> None:
    machine.owner_file.unlink()
    if content == "folder":
        machine.owner_file.mkdir()
    elif content is not None:
        machine.owner_file.write_text(content.format(folder=machine.folder) + "\n")
    report = assessed(machine, here, FLAG)
    assert is_local(report, here)
    [note] = report["notes"]
    assert note.startswith(f"The owner file is {says.format(folder=machine.folder)}, so ")
    shown = machine.rawr_install("plugins", "status", FLAG, cwd=here)
    assert note in shown.err


def test_the_library_does_not_ask_the_environment_either(
    machine: Machine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rawr_install import assess_install_state

    for name, value in {**machine.env, "RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.chdir(machine.folder / "owner")
    assert is_local(assess_install_state(here), here)
    assert assess_install_state(here, allow_global_owner_fallback=True)["inSync"]
    monkeypatch.delenv("HOME")
    given = machine.home / ".local/share/@rawr/cli"
    assert is_local(assess_install_state(str(here), oclif_data_dir=given), here)


def test_a_repair_with_the_flag_links_the_owners_plugins(machine: Machine, here: Path) -> None:
    path = make_manager(machine)
    assessed(machine, here, "--repair", FLAG)
    assert str(machine.folder / "owner/plugins/cli/one") in path.read_text()
    assessed(machine, here, "--repair")
    assert str(here / "plugins/cli/one") in path.read_text()
