"""The library's public names: all there, and typed for whoever imports them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import rawr_install

SOURCE = Path(rawr_install.__file__).read_text()


@pytest.mark.parametrize("name", rawr_install._HOME)
def test_a_public_name_resolves_to_that_of_its_home(name: str) -> None:
    home = importlib.import_module(f"rawr_install.{rawr_install._HOME[name]}")
    assert getattr(rawr_install, name) is getattr(home, name)
    assert name in dir(rawr_install)


def test_type_checkers_are_told_of_every_public_name() -> None:
    # mypy cannot look through __getattr__: each name is imported once more where only type checkers read.
    told = {
        (node.module or "").removeprefix("rawr_install."): {alias.name for alias in node.names}
        for branch in ast.parse(SOURCE).body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
    }
    assert told == {module: set(names) for module, names in rawr_install._PUBLIC.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = rawr_install.nope
