"""What the toolkit starts: by an absolute name, and never a module or a program from the current folder."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from rawr_install.dispatch import program
from tests.conftest import Machine, Ran
from tests.machine.test_requirements import BUN_CLI, fake_bun

TOOLKIT = Path(sys.executable).parent / "rawr-install"
MODULES = ("rawr_install/__init__", "rawr_install/__main__", "click", "filelock", "json", "platformdirs", "subprocess")
PROGRAMS = ("bash", "bun", "chmod", "git", "mv", "rawr-install", "sh")


class Trap:
    """A workspace to stand in that plants what the toolkit uses, with relative folders first on PATH."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.root = machine.workspace("trap", cli=BUN_CLI)
        self.sprung = machine.folder / "sprung"
        for name in MODULES:
            module = self.root / f"{name}.py"
            module.parent.mkdir(exist_ok=True)
            module.write_text(f"open({str(self.sprung)!r}, 'a').write(__file__ + '\\n')\n")
        for name in (*PROGRAMS, *(f"bin/{name}" for name in PROGRAMS)):
            self.plant(self.root / name)
        machine.env["PATH"] = f":.:bin:{machine.env['PATH']}"
        fake_bun(machine.bun_bin / "bun", f'echo "$@" >> {machine.folder}/asked; echo 1.2.3')

    def plant(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$0" >> {self.sprung}\n')
        path.chmod(0o755)

    def run(self, *words: str, **env: str) -> Ran:
        """``rawr-install`` by its own name, as a shell finds it; what it starts springs no trap."""
        ran = self.machine.run(TOOLKIT, *words, cwd=self.root, env=env)
        assert not self.sprung.exists(), self.sprung.read_text()
        return ran

    @property
    def asked(self) -> list[str]:
        """How the real ``bun`` was called."""
        return (self.machine.folder / "asked").read_text().splitlines()


@pytest.fixture
def trap(machine: Machine) -> Trap:
    return Trap(machine)


def test_a_fix_takes_no_module_and_no_program_from_the_current_folder(trap: Trap) -> None:
    machine = trap.machine
    machine.owner_file.parent.mkdir(mode=0o777)
    machine.owner_file.parent.chmod(0o777)
    machine.owner_file.write_text("")
    stale = machine.home / "Library/pnpm/rawr"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    machine.link(trap.root)
    fixes = trap.run("doctor", "global", "--fix", "--json").json["data"]["fixes"]
    done = {name: (fix["argv"][0], fix["status"]) for fix in fixes for name in fix["ids"]}
    assert done == {
        "owner.empty": ("sh", "done"),
        "policy.writable": ("chmod", "done"),
        "pnpm.stale-shim": ("mv", "done"),
    }


@pytest.mark.parametrize("path", ["", ":", ".", "{root}/nowhere:", "bin:."])
def test_a_python_path_that_means_the_current_folder_is_not_handed_on(trap: Trap, path: str) -> None:
    code = (
        "import os; from rawr_install.doctor.fixes import Fix, execute\n"
        "fix = Fix((), ('rawr-install', '--version'), ());"
        f"print(execute(fix, {{**os.environ, 'PYTHONPATH': {path.format(root=trap.root)!r}}}))"
    )
    ran = trap.machine.run(sys.executable, "-P", "-c", code, cwd=trap.root)
    assert "status='done'" in ran.out, ran
    assert not trap.sprung.exists(), trap.sprung.read_text()


@pytest.mark.parametrize("path", [":", ".", "/nowhere:"])
def test_no_module_is_taken_from_where_a_python_path_means_the_current_folder(trap: Trap, path: str) -> None:
    # What the wrapper script itself imports before the toolkit's first line is beyond the toolkit.
    shutil.rmtree(trap.root / "rawr_install")
    assert trap.run("which", "--json", PYTHONPATH=path).json["meta"]["command"] == "which"
    assert trap.run("dispatch", "build", PYTHONPATH=path, PATH=f"{trap.machine.bun_bin}:/usr/bin:/bin").out == "1.2.3\n"


def test_activation_asks_and_runs_the_bun_of_an_absolute_folder(trap: Trap) -> None:
    (trap.root / "package.json").write_text(json.dumps({"packageManager": "bun@9.9.9", "dependencies": {"a": "1"}}))
    said = trap.run("activate", "--install-deps", "--json").json["data"]
    assert said["installDeps"] == "done"
    assert f"{trap.machine.bun_bin}/bun is Bun 1.2.3" in said["needs"][0]["summary"]
    assert trap.asked == ["install --frozen-lockfile", "--version"]


def test_a_bun_in_a_relative_folder_alone_is_named_and_not_started(trap: Trap) -> None:
    said = trap.run("activate", "--install-deps", "--json", PATH=".:/usr/bin:/bin").json["error"]
    assert said["code"] == "INSTALL_DEPS_FAILED"
    assert [(need["id"], need["summary"].split()[0]) for need in said["details"]["needs"]] == [("bun.broken", "./bun")]


def test_the_gate_finds_its_interpreter_in_absolute_folders_alone(trap: Trap) -> None:
    plugin = trap.root / "plugins/web/one"
    plugin.mkdir(parents=True)
    rawr = {"kind": "web", "capability": "c"}
    (plugin / "package.json").write_text(json.dumps({"name": "one", "rawr": rawr, "exports": {"./web": "./w.ts"}}))
    trap.run("plugins", "web", "enable", "one")
    assert trap.asked == [f"{trap.root}/apps/cli/bin/run.js security check --json"]


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_refresh_asks_the_git_of_an_absolute_folder(trap: Trap) -> None:
    machine = trap.machine
    for words in (("init", "-q"), ("add", "package.json"), ("commit", "-qm", "first")):
        identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        assert machine.run(str(shutil.which("git")), *words, cwd=trap.root, env=identity).code == 0
    machine.own(trap.root)
    assert len(trap.run("refresh", "--json").json["data"]["commit"]) == 40


def test_a_login_shell_named_by_a_relative_path_is_not_started(trap: Trap) -> None:
    for shell in ("sh", "./sh"):
        ran = trap.run("doctor", "global", "--login-shell", "--json", SHELL=shell)
        report = ran.json["data"] if ran.code == 0 else ran.json["error"]["details"]
        assert report["shells"][0]["problem"] is None


def test_the_tour_takes_its_commands_from_the_toolkits_own_folder(trap: Trap) -> None:
    (trap.root / "rawr").write_text("#!/bin/sh\n# rawr-install shell entry\n")
    (trap.root / "rawr").chmod(0o755)
    code = "import sys; from rawr_install.__main__ import main; sys.exit(main())"
    ran = trap.machine.run(sys.executable, "-P", "-c", code, "tour", "--json", cwd=trap.root)
    assert ran.json["ok"] and not trap.sprung.exists()


def test_the_shell_entry_passes_over_a_toolkit_in_the_current_folder(trap: Trap) -> None:
    shim = Path(__file__).parents[2] / "shims/rawr"
    trap.machine.env["PATH"] = ".:/usr/bin:/bin"
    ran = trap.machine.run(shim, "doctor", "global", cwd=trap.root)
    assert "[TOOLKIT_GONE]" in ran.err and not trap.sprung.exists()


def test_completion_by_clicks_own_variable_starts_nothing(trap: Trap) -> None:
    assert trap.run("--version", _RAWR_INSTALL_COMPLETE="bash_source").out.startswith("rawr-install ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("what", ["their file", "their folder", "a sticky folder"])
def test_a_program_that_another_user_put_there_or_can_exchange_is_passed_over(trap: Trap, what: str) -> None:
    theirs = trap.machine.folder / "theirs"
    trap.plant(theirs / "git")
    if what == "a sticky folder":
        theirs.chmod(0o1777)
    else:
        os.chown(theirs / "git" if what == "their file" else theirs, 65534, 65534)
    assert program.resolve("git", f"{theirs}:/usr/bin:/bin") == shutil.which("git", path="/usr/bin:/bin")
    assert program.resolve("git", str(theirs)) is None
