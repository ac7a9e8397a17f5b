"""The sample is a workspace by the toolkit's own rules, and its CLI runs without Bun."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rawr_install.demo import sample
from rawr_install.dispatch.workspace import cli_path, discover
from rawr_install.machine import requirements as bun


@pytest.mark.parametrize("name", ["alpha", "two words", 'it\'s $(touch pwned) `x` "q" %s \\n'])
def test_its_cli_says_whose_it_is_and_what_it_was_given(tmp_path: Path, name: str) -> None:
    root = sample.create(str(tmp_path / "somewhere else"), name)
    done = subprocess.run([cli_path(root), "a b", ""], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == f"This is the CLI of workspace {name}.\n  argument: a b\n  argument: \n"
    assert os.listdir(tmp_path) == ["somewhere else"]


def test_it_is_found_and_needs_nothing(tmp_path: Path) -> None:
    root = sample.create(str(tmp_path / "one"), "one")
    assert discover(os.path.join(root, "plugins", "web"), {}).root == root
    assert bun.requirements(root, {"PATH": ""}, ask=False) == ()


def test_its_cli_is_executable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        root = sample.create(str(tmp_path / "one"), "one")
    finally:
        os.umask(before)
    assert os.access(cli_path(root), os.X_OK)


def test_nothing_that_exists_is_touched(tmp_path: Path) -> None:
    sample.create(str(tmp_path / "one"), "one")
    with pytest.raises(FileExistsError):
        sample.create(str(tmp_path / "one"), "two")
