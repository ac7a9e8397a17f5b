"""Every case of the table, through the twin and through the shell entry under each shell: one decision."""

from __future__ import annotations

import os

import pytest

from rawr_install import __version__
from rawr_install.dispatch.program import shell_entry_version
from tests.dispatch.cases import Case, T
from tests.dispatch.scene import SHIM, TWIN, Scene


def build(case: Case, scene: Scene) -> None:
    if case.root and os.geteuid() != 0:
        pytest.skip("only root can make another user's files")
    case.build(scene)


@pytest.mark.contract("C3", "dispatch.table", "rawr decides as the table says")
def test_rawr_decides_as_the_table_says(case: Case, runner: str, scene: Scene) -> None:
    build(case, scene)
    if case.runs and not case.by_twin and runner != TWIN and "RAWR_TRACE" not in scene.env:
        scene.toolkit = ""  # success needs no Python
    answer = scene.run(runner)
    expected = case.expected_out(scene)
    assert (answer.code, answer.error) == (case.code, case.error), answer.err
    if expected is None:
        assert "rawr" in answer.out
    elif case.begins:
        assert answer.out.startswith(expected)
    else:
        assert answer.out == expected


def test_what_the_shell_leaves_to_python_is_refused_where_that_is_gone(case: Case, shell: str, scene: Scene) -> None:
    build(case, scene)
    scene.toolkit = ""
    scene.env.pop("RAWR_TRACE", None)
    answer = scene.run(shell)
    assert (answer.code in (126, 127), answer.error) == (True, "TOOLKIT_GONE")


def test_the_table_holds_its_promised_number_of_cases() -> None:
    names = [case.name for case in T.cases]
    assert len(names) == len(set(names)) >= 80


def test_a_shell_entry_is_known_by_its_head_which_names_this_version() -> None:
    head = SHIM.read_bytes()[:4096]
    assert shell_entry_version(head) == __version__
    assert SHIM.read_text().split("\n").count("toolkit=''") == 1
