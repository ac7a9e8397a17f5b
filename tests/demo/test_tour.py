"""The tour, from the built wheel in a fresh virtual environment, as a newcomer meets it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rawr_install.demo.tour import STORY, Step, judge
from tests.conftest import Machine, snapshot

pytestmark = pytest.mark.slow


@pytest.fixture
def temporary(machine: Machine) -> Path:
    """A temporary folder with a space in its name; whatever the tour leaves behind is found in it."""
    folder = machine.folder / "tmp dir"
    folder.mkdir()
    machine.env["TMPDIR"] = str(folder)
    return folder


def test_it_does_what_it_says_and_leaves_nothing(machine: Machine, scripts: Path, temporary: Path) -> None:
    before = snapshot(machine.folder)
    done = machine.run(scripts / "rawr-install", "tour")
    assert (done.code, done.err) == (0, "")
    assert f"[{len(STORY)}/{len(STORY)}]" in done.out
    assert "~/beta/plugins/web $ rawr greet 'dear reader'\nThis is the CLI of workspace beta.\n" in done.out
    assert "\n(exit code 127)\n" in done.out
    assert done.out.rstrip().endswith("rawr-install rollback, rawr-install uninstall")
    assert "\x1b" not in done.out
    assert snapshot(machine.folder).keys() == before.keys()


def test_as_json_it_is_one_document_with_every_step(machine: Machine, scripts: Path, temporary: Path) -> None:
    done = machine.run(scripts / "rawr-install", "tour", "--json")
    data = done.json["data"]
    assert (done.code, data["planned"], data["kept"]) == (0, len(STORY), False)
    assert [step["pass"] for step in data["steps"]] == [True] * len(STORY)
    assert [step["exitCode"] for step in data["steps"]] == [step.code for step in STORY]
    assert done.err.count("\n") == len(STORY)
    assert os.listdir(temporary) == []


def test_keep_keeps_a_home_that_still_works(machine: Machine, scripts: Path, temporary: Path) -> None:
    done = machine.run(scripts / "rawr-install", "tour", "--keep")
    (home,) = temporary.iterdir()
    assert (done.code, str(home) in done.out.splitlines()[-2]) == (0, True)
    again = machine.run(scripts / "rawr", "x", cwd=home, env={"HOME": str(home)})
    assert again.out == "This is the CLI of workspace alpha.\n  argument: x\n"


VARIABLES = {
    "RAWR_WORKSPACE_ROOT": "/nonexistent",
    "RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1",
    "BUN_INSTALL_BIN": "/nonexistent/bin",
    "XDG_STATE_HOME": "/nonexistent/state",
    "RAWR_TRACE": "1",
}


def test_the_users_variables_do_not_lead_it_astray(machine: Machine, scripts: Path, temporary: Path) -> None:
    done = machine.run(scripts / "rawr-install", "tour", "--json", env=VARIABLES)
    assert done.code == 0, done


@pytest.mark.parametrize(
    "where", ["a folder that is gone", *(pytest.param(where, marks=pytest.mark.full) for where in ("/", "a workspace"))]
)
def test_it_runs_from_anywhere(machine: Machine, scripts: Path, temporary: Path, where: str) -> None:
    gone = machine.folder / "gone"
    gone.mkdir()
    folder = {"/": Path("/"), "a workspace": machine.workspace("work")}.get(where, gone)
    leave = f"rmdir '{gone}';" if folder == gone else ""
    done = machine.run("/bin/sh", "-c", f"{leave} exec '{scripts}/rawr-install' tour --json", cwd=folder)
    assert done.code == 0, done


def test_it_runs_through_a_link_as_pipx_makes_it(machine: Machine, scripts: Path, temporary: Path) -> None:
    local = machine.home / ".local/bin"
    local.mkdir(parents=True)
    (local / "rawr-install").symlink_to(scripts / "rawr-install")
    assert machine.run(local / "rawr-install", "tour", "--json").code == 0


def test_inside_a_workspace_there_is_no_outside_to_show(machine: Machine, scripts: Path) -> None:
    folder = machine.workspace("work") / "tmp"
    folder.mkdir()
    done = machine.run(scripts / "rawr-install", "tour", "--json", env={"TMPDIR": str(folder)})
    assert (done.code, done.json["error"]["code"]) == (2, "TOUR_NO_ROOM")
    assert os.listdir(folder) == []


# A stand-in for a broken build: it has the mark of our shell entry, and dispatches nothing.
BROKEN = "#!/bin/sh\n# rawr-install shell entry\necho wrong\n"


def test_a_product_that_does_not_work_fails_the_tour(machine: Machine, scripts: Path, temporary: Path) -> None:
    broken = machine.folder / "broken"
    shutil.copytree(scripts.parent, broken, symlinks=True)
    (broken / "bin/rawr").write_text(BROKEN)
    tour = [broken / "bin/python", broken / "bin/rawr-install", "tour"]
    done = machine.run(*tour, "--json")
    error = done.json["error"]
    assert (done.code, error["code"]) == (1, "TOUR_FAILED")
    assert [step["pass"] for step in error["details"]["steps"]] == [False]
    shown = machine.run(*tour)
    assert (shown.code, "in a workspace, rawr is its own CLI" in shown.err) == (1, True)
    assert os.listdir(temporary) == []


def test_without_its_shell_entry_it_says_how_to_mend_that(machine: Machine, scripts: Path, temporary: Path) -> None:
    broken = machine.folder / "broken"
    shutil.copytree(scripts.parent, broken, symlinks=True)
    (broken / "bin/rawr").unlink()
    done = machine.run(broken / "bin/python", broken / "bin/rawr-install", "tour", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "TOOLKIT_DAMAGED")
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    ("code", "output", "passed"),
    [
        (1, "the owner\n   is gone", True),
        (1, "the owner is here", False),
        (0, "the owner is gone", False),
        (1, "", False),
    ],
)
def test_a_step_passes_only_with_its_exit_code_and_its_words(code: int, output: str, passed: bool) -> None:
    step = Step("look", ("rawr",), ("owner is gone",), code=1)
    assert judge(step, code, output).pass_ is passed
