"""The table of mutants fits the code, and the quick ones are caught here; scripts/mutants_state runs them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.peers.actors import needs_node
from tests.support.scripts import load

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts/mutants_state"
QUICK = ("no liveness lock", "no first commit check", "no second commit check", "not restored")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # else scripts/mutants_statec appears beside it
    return load("mutants_state")


def test_every_mutant_still_fits_the_code(table: ModuleType) -> None:
    for mutant in table.MUTANTS:
        assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, mutant.name
        assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests), mutant.name


@pytest.mark.full
@needs_node
def test_the_quick_mutants_are_caught() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--jobs", "1", "--only", ",".join(QUICK)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("caught") == len(QUICK)
