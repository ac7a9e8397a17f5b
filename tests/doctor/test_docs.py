"""The docs of the doctor: one section for each check, with its causes and its solution."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rawr_install.doctor.checks import CHECKS

PAGE = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_section_is_a_check_and_every_check_has_one() -> None:
    assert set(SECTIONS) == set(CHECKS)


@pytest.mark.parametrize("check_id", CHECKS)
def test_a_section_says_what_it_means_why_it_happens_and_what_to_do(check_id: str) -> None:
    meaning, causes, solution = re.fullmatch(
        r"\n(.+?)\n\n- \*\*Causes:\*\* (.+?)\n- \*\*Solution:\*\* (.+?)\n+", SECTIONS[check_id], re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert min(len(meaning), len(causes), len(solution)) > 10
