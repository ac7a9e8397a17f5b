"""A remedy for PATH is written for the user's own login shell, which then finds the entry: real shells."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Machine
from tests.support.machines import Lab

SHELLS = ("zsh", "bash", "fish", "sh", "ksh", "mksh", "yash", "dash", "busybox")


@pytest.fixture
def lab(machine: Machine) -> Lab:
    """Its entry stands in a folder with awkward characters that PATH lacks."""
    lab = Lab(machine)
    odd = lab.home / 'Bun\'s $bin "x" `y`'
    lab.machine.env |= {"BUN_INSTALL_BIN": str(odd), "PATH": f"{lab.tools}:/usr/bin:/bin"}
    odd.mkdir()
    (odd / "rawr").symlink_to(lab.cli)
    return lab


def remedy_of(lab: Lab, shell: str) -> dict[str, object]:
    lab.machine.env["SHELL"] = shell
    report = lab.doctor("--json").json["error"]["details"]
    (found,) = (finding for finding in report["findings"] if finding["id"] == "path.bun-missing")
    assert isinstance(found["remedy"], dict)
    return found["remedy"]


def found_by(lab: Lab, *shell: str) -> str:
    bare = {"PATH": "/usr/bin:/bin"}
    return lab.machine.run(*shell, "rawr hello", env=bare).out


@pytest.mark.parametrize("name", SHELLS)
def test_run_as_printed_it_puts_the_folder_on_the_path_of_a_login_shell(lab: Lab, name: str) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed")
    argv = remedy_of(lab, shell)["argv"]
    assert isinstance(argv, list)
    login = (shell, "sh", "-l", "-c") if name == "busybox" else (shell, "-l", "-c")
    assert found_by(lab, *login) == ""
    assert lab.machine.run(*argv).code == 0
    assert found_by(lab, *login) == "workspace ws\nargument hello\n"


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ((), ".profile"),
        ((".profile",), ".profile"),
        ((".profile", ".bash_login"), ".bash_login"),
        ((".profile", ".bash_login", ".bash_profile"), ".bash_profile"),
    ],
)
def test_bash_reads_the_first_of_three(lab: Lab, there: tuple[str, ...], written: str) -> None:
    for name in there:
        (lab.home / name).write_text("")
    argv = remedy_of(lab, "/bin/bash")["argv"]
    assert isinstance(argv, list)
    assert lab.machine.run(*argv).code == 0
    assert {path.name for path in lab.home.glob(".*") if path.is_file() and path.stat().st_size} == {written}
    assert found_by(lab, "/bin/bash", "-l", "-c") != ""


def test_zsh_finds_its_files_elsewhere_where_it_is_told_to(lab: Lab) -> None:
    other = lab.home / "zsh files"
    lab.machine.env["ZDOTDIR"] = str(other)
    argv = remedy_of(lab, "/bin/zsh")["argv"]
    assert isinstance(argv, list)
    assert lab.machine.run(*argv).code == 0
    assert (other / ".zprofile").exists() and not (lab.home / ".zprofile").exists()


@pytest.mark.parametrize(
    ("shell", "file"),
    [("/bin/zsh", "~/.zprofile"), ("/usr/bin/fish", "~/.config/fish/config.fish"), ("", "~/.profile")],
)
def test_the_words_name_the_file(lab: Lab, shell: str, file: str) -> None:
    assert file in str(remedy_of(lab, shell)["text"])


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda profile: profile.symlink_to("/nix/store/gone/.profile")])
def test_a_profile_that_cannot_be_written_is_told_in_words(lab: Lab, spoil: Callable[[Path], None]) -> None:
    spoil(lab.home / ".profile")
    remedy = remedy_of(lab, "/bin/sh")
    assert remedy["argv"] == [] and str(remedy["text"]).startswith("add to ~/.profile, ")


@pytest.mark.parametrize(("shell", "variable"), [("zsh", "ZDOTDIR"), ("fish", "XDG_CONFIG_HOME")])
def test_a_relative_folder_is_taken_for_one_in_the_home(lab: Lab, shell: str, variable: str) -> None:
    lab.machine.env[variable] = "odd"
    assert str(remedy_of(lab, f"/bin/{shell}")["text"]).startswith("add to ~/odd/")
    assert "probe.crash" not in lab.found()
