"""``which`` against the real thing: what it says is what the shell entry then does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Machine
from tests.support.machines import Lab

SHIM = Path(__file__).parents[2] / "shims/rawr"


@pytest.fixture
def lab(machine: Machine) -> Lab:
    return Lab(machine)


def use_shim(lab: Lab) -> None:
    lab.machine.entry.unlink()
    shutil.copy(SHIM, lab.machine.entry)


def in_a_subfolder(lab: Lab) -> None:
    lab.cwd = lab.ws / "plugins"


def outside(lab: Lab) -> None:
    lab.cwd = lab.home


def outside_with_fallback(lab: Lab) -> None:
    lab.cwd = lab.home
    lab.machine.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"


def fallback_without_owner(lab: Lab) -> None:
    outside_with_fallback(lab)
    lab.machine.owner_file.unlink()


def named_by_variable(lab: Lab) -> None:
    lab.machine.env["RAWR_HQ_ROOT"] = str(lab.machine.workspace("named"))


def bad_variable(lab: Lab) -> None:
    lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(lab.home)


def not_executable(lab: Lab) -> None:
    lab.cli.chmod(0o644)


def no_interpreter(lab: Lab) -> None:
    lab.program(lab.cli, "#!/usr/bin/env no-such-interpreter\n")


def in_a_symlinked_workspace(lab: Lab) -> None:
    (lab.home / "link").symlink_to(lab.ws)
    lab.cwd = lab.home / "link"


def nothing(lab: Lab) -> None:
    """As it is."""


STANDINGS: list[Callable[[Lab], None]] = [
    nothing,
    in_a_subfolder,
    outside,
    outside_with_fallback,
    fallback_without_owner,
    named_by_variable,
    bad_variable,
    not_executable,
    no_interpreter,
    in_a_symlinked_workspace,
]


@pytest.mark.parametrize(
    "words", [(), ("plugins", "list"), ("--", "doctor", "global"), ("rollback", "--help")], ids=str
)
@pytest.mark.parametrize("stand", STANDINGS, ids=lambda stand: stand.__name__)
def test_the_shell_entry_does_what_which_says(lab: Lab, stand: Callable[[Lab], None], words: tuple[str, ...]) -> None:
    use_shim(lab)
    stand(lab)
    # After `--` every word belongs to the command in question, also a `--` of its own.
    said = lab.machine.rawr_install("which", "--json", "--", *words, cwd=lab.cwd)
    did = lab.machine.run("rawr", *words, cwd=lab.cwd)
    chain = said.json.get("data") or said.json["error"]["details"]
    if chain["action"] == "run":
        assert (said.code, did.code) == (0, 0)
        assert did.out.splitlines()[0] == f"workspace {Path(chain['workspace']).name}"
        assert chain["interpreter"] == {"wanted": "/bin/sh", "path": "/bin/sh"}
        assert chain["why"]
    elif said.json["ok"]:
        assert did.out.startswith({"toolkit": "Usage: rawr-install", "greet": "rawr (rawr-install"}[chain["action"]])
    else:
        assert (said.code, f"[{said.json['error']['code']}]" in did.err) == (did.code, True)


def test_a_link_runs_its_own_workspace_in_every_folder(lab: Lab) -> None:
    hop = lab.home / "hop"
    hop.symlink_to(lab.cli)
    lab.machine.entry.unlink()
    lab.machine.entry.symlink_to(hop)
    said = lab.machine.rawr_install("which", "--json", cwd=lab.machine.workspace("elsewhere")).json["data"]
    assert said["links"] == [str(hop), str(lab.cli)]
    assert (said["workspace"], said["cli"]) == (str(lab.ws), str(lab.cli))
    assert said["entry"] == {"path": str(lab.machine.entry), "kind": "workspace-link", "real": str(lab.cli)}


def test_the_tree_shows_the_whole_chain_in_order(lab: Lab) -> None:
    shown = lab.machine.rawr_install("which", "plugins", "list", "--all", cwd=lab.cwd).out
    entry, cli = lab.machine.entry, lab.cli
    assert shown == (
        "rawr plugins list --all\n"
        f"├─ PATH        {entry.parent}\n"
        f"├─ entry       {entry} (workspace-link)\n"
        f"│  → {cli}\n"
        f"├─ workspace   {lab.ws} (the entry is a link to this workspace's CLI, whatever folder you stand in)\n"
        f"├─ CLI         {cli}\n"
        "└─ interpreter /bin/sh\n"
    )


def test_a_plain_locale_gets_plain_characters(lab: Lab) -> None:
    env = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    shown = lab.machine.rawr_install("which", cwd=lab.cwd, env=env).out
    assert shown.isascii()
    assert "`- interpreter" in shown


def test_a_foreign_program_and_an_empty_path_are_said_plainly(lab: Lab) -> None:
    lab.program(lab.first_on_path(lab.home / "bin") / "rawr")
    foreign = lab.machine.rawr_install("which", "--json", cwd=lab.cwd)
    assert (foreign.code, foreign.json["error"]["code"]) == (1, "FOREIGN_ENTRY")
    assert foreign.json["error"]["details"]["entry"]["path"] == str(lab.home / "bin/rawr")
    none = lab.machine.rawr_install("which", cwd=lab.cwd, env={"PATH": "/nowhere"})
    assert (none.code, "[RAWR_NOT_ON_PATH]" in none.out) == (127, True)


def test_a_link_whose_interpreter_is_gone_is_an_error(lab: Lab) -> None:
    no_interpreter(lab)
    ran = lab.machine.rawr_install("which", "--json", cwd=lab.cwd)
    assert (ran.code, ran.json["error"]["code"]) == (126, "CLI_INTERPRETER_MISSING")


def test_which_works_in_a_folder_that_is_gone(lab: Lab) -> None:
    gone = lab.home / "gone"
    gone.mkdir()
    tools = lab.tools / "rawr-install"
    ran = lab.machine.run("/bin/sh", "-c", f'rmdir "$PWD"; exec {tools} which --json', cwd=gone)
    assert ran.json["data"]["workspace"] == str(lab.ws)
    assert os.path.exists(lab.cli)
