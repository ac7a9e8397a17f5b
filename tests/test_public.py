"""The library's public names: all there, and typed for whoever imports them."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rawr_install

STUB = ast.parse(Path(rawr_install.__file__).with_suffix(".pyi").read_text())
HOMES = {alias.name: str(node.module) for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names}


@pytest.mark.parametrize("name", HOMES)
def test_a_public_name_resolves_to_that_of_its_home(name: str) -> None:
    assert getattr(rawr_install, name) is getattr(importlib.import_module(HOMES[name]), name)


def test_the_package_lists_its_public_names_and_star_imports_them() -> None:
    assert {"enable_plugin", "assess_install_state", "LockTimeoutError", "create_desk_event"} <= set(HOMES)
    assert set(HOMES) <= set(dir(rawr_install))
    names: dict[str, object] = {}
    exec("from rawr_install import *", names)
    assert set(HOMES) == set(names) - {"__builtins__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = rawr_install.nope


def test_a_type_checker_knows_the_public_names(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text("from rawr_install import enable_plugin\nreveal_type(enable_plugin('/x', 'p'))\n")
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path / "user.py"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert "Revealed type is" in done.stdout and "RepoState" in done.stdout, done.stdout
