"""The mutation runner: what counts as a mutant, and that each explained survivor is still one of the module's lines."""

from __future__ import annotations

import re

import pytest

from tests.support.distribution import PROJECT
from tests.support.scripts import load

CODE = "from __future__ import annotations\n\n\ndef f(a: int | None) -> int | None:\n    return a and 1\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("a: int | None", "a: int & None", True), ("-> int |", "-> int &", True), ("and", "or", False)],
)
def test_what_differs_in_annotations_alone_is_no_mutant(old: str, new: str, same: bool) -> None:
    program = load("lib/mutation.py").program
    assert (program(CODE) == program(CODE.replace(old, new))) is same


def test_a_mutant_is_named_by_its_function_and_lines() -> None:
    said = load("lib/mutation.py").change(CODE, CODE.replace("and", "or"))
    assert said == "f: `return a and 1` → `return a or 1`"


def test_every_explained_survivor_is_of_a_module_that_is_mutated_and_of_a_line_that_is_there() -> None:
    mutation = load("lib/mutation.py")
    text = (PROJECT / "docs/survivors.md").read_text()
    assert set(re.findall(r"^## (.+)$", text, re.M)) <= set(mutation.TESTS)
    lines = 0
    for module in mutation.TESTS:
        code = " ".join((PROJECT / f"rawr_install/{module}.py").read_text().split())
        for name in mutation.explained(module):
            lines += 1
            old = re.fullmatch(r"\S+: `(.+)` → `.+`", name)
            assert old and " ".join(old[1].split()) in code, f"{module} has no such line any more: {name}"
    assert lines == text.count("\n- "), "a line that is no explanation"
