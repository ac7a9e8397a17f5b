"""Every attack of the table fails, and I am told so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.security.attacks import ATTACKS, Attack, Check
from tests.security.scene import PROJECT, Scene, codes, skip_reason


@cache
def _skip_reason() -> str:
    return skip_reason()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not tmp_path: pytest's folders let nobody else in."""
    if _skip_reason():
        pytest.skip(_skip_reason())
    with TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        yield Path(os.path.realpath(made))


def without(check: Check, folder: Path) -> Path:
    """A copy of the toolkit that lacks one check."""
    shutil.copytree(PROJECT / "rawr_install", folder / "rawr_install", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "shims", folder / "shims")
    path = place(check, folder)
    path.write_text(path.read_text().replace(check.line, check.without))
    return folder


def place(check: Check, folder: Path) -> Path:
    return folder / ("" if check.file.startswith("shims/") else "rawr_install") / check.file


CHECKS = [(row, check) for row in ATTACKS for check in row.stopped_by]


def test_each_check_is_where_the_table_says() -> None:
    for row, check in CHECKS:
        assert place(check, PROJECT).read_text().count(check.line) == 1, (row.sentence, check)


@pytest.mark.full
@pytest.mark.parametrize(("row", "check"), CHECKS, ids=lambda each: getattr(each, "sentence", None) or each.file)
def test_without_its_check_an_attack_succeeds_or_another_check_answers(folder: Path, row: Attack, check: Check) -> None:
    (folder / "toolkit").mkdir()
    succeeded, ran = row.succeeds(Scene(folder, package=without(check, folder / "toolkit")))
    assert succeeded or (row.code and not codes(ran, [row.code])), ran


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: f"{row.number}: {row.sentence}")
def test_an_attack_fails_and_says_why(folder: Path, row: Attack) -> None:
    succeeded, ran = row.succeeds(Scene(folder))
    assert not succeeded, ran
    assert not row.code or codes(ran, [row.code]), ran


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ATTACKS if row.number == 1], ids=lambda row: row.sentence)
def test_an_attack_on_root_fails(folder: Path, row: Attack) -> None:
    succeeded, ran = row.succeeds(Scene(folder, me=0))
    assert not succeeded and codes(ran, [row.code]), ran


def test_the_table_has_every_kind_of_attack() -> None:
    assert {row.number for row in ATTACKS} == {*range(1, 13)}
