"""Every attack of the table fails, and I am told so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.security.attacks import ATTACKS, Attack
from tests.security.scene import Scene, codes, skip_reason


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


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: f"{row.number}: {row.sentence}")
def test_an_attack_fails_and_says_why(folder: Path, row: Attack) -> None:
    succeeded, ran = row.succeeds(Scene(folder))
    assert not succeeded, ran
    assert not row.code or codes(ran, [row.code]), ran


def test_the_table_has_every_kind_of_attack() -> None:
    assert {row.number for row in ATTACKS} == {*range(1, 13)}
