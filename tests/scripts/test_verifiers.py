"""The verifiers pass on this package, and each of a table of broken copies fails the check that is meant for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
VERIFIERS = ["verify_storage_lock_contract", "verify_distribution_lifecycle", "verify_telemetry_contract"]


def script(name: str, *words: str | Path) -> tuple[int, Any]:
    """Run a script; its exit code and its one JSON document."""
    argv = [sys.executable, str(SCRIPTS / name), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout)


def load(name: str) -> ModuleType:
    """A script as a module, for its tables."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    loader = SourceFileLoader(name, str(SCRIPTS / name))
    spec = spec_from_loader(name, loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


MUTANTS = {mutant.id: mutant for mutant in load("mutants_verifiers").mutants()}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERIFIERS)
def test_a_verifier_passes_on_this_package(name: str) -> None:
    code, document = script(name)
    assert [row for row in document["checks"] if not row["pass"]] == []
    assert (code, document["ok"]) == (0, True)
    assert all(set(row) == {"id", "message", "pass"} and row["message"] for row in document["checks"])
    assert len(document["checks"]) >= 20


def test_there_are_at_least_twenty_mutants_and_every_verifier_has_some() -> None:
    table = load("mutants_verifiers").mutants()
    assert len({mutant.id for mutant in table}) == len(table) >= 20
    assert {f"verify_{mutant.verifier}" for mutant in table} == set(VERIFIERS)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_fits_the_source(mutant: Any) -> None:
    source = (SCRIPTS.parent / mutant.file).read_text()
    assert mutant.old in source
    # What is appended replaces names that are there.
    appended = "" if mutant.old else mutant.new
    for name in re.findall(r"^(?:def )?([A-Za-z_.]+)(?:\(.*\):| = )", appended, re.M):
        assert name == "_strict" or re.search(rf"\bdef {name.split('.')[-1]}\b", source), name


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["no-lock", "nothing-put-back", "no-append-flag"])
def test_a_mutant_of_each_verifier_is_caught(mutant: str) -> None:
    assert load("mutants_verifiers").run(MUTANTS[mutant], whole=False)["caught"] is True


@pytest.mark.full
def test_every_mutant_is_caught_by_the_check_that_is_meant_for_it() -> None:
    code, document = script("mutants_verifiers", "--jobs", "1")
    assert [row for row in document["results"] if row["caught"] is not True] == []
    assert (code, document["caught"]) == (0, len(MUTANTS))


def test_a_mutant_without_a_fault_is_not_caught(tmp_path: Path) -> None:
    mutants = load("mutants_verifiers")
    harmless = mutants.Mutant("harmless", mutants.TELEMETRY, "event.shape", "rawr_install/events/log.py", "", "\n")
    assert mutants.run(harmless, whole=False)["caught"] is False


def test_a_mutant_that_no_longer_fits_the_source_is_an_error_and_not_a_success() -> None:
    mutants = load("mutants_verifiers")
    stale = mutants.Mutant("stale", mutants.TELEMETRY, "event.shape", "rawr_install/events/log.py", "no such text", "")
    result = mutants.run(stale, whole=False)
    assert result["caught"] is None
    assert "no such text" in result["message"]


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("case", ["empty", "broken", "unknown check"])
def test_a_verifier_that_cannot_run_exits_with_2_and_says_so(name: str, case: str, tmp_path: Path) -> None:
    if case == "broken":
        (tmp_path / "rawr_install").mkdir()
        (tmp_path / "rawr_install/__init__.py").write_text("raise RuntimeError('broken')\n")
    words = ["--check", "no.such"] if case == "unknown check" else ["--package", str(tmp_path)]
    code, document = script(name, *words)
    assert (code, document["ok"], document["checks"]) == (2, False, [])
    assert document["error"]


def test_a_skipped_check_says_what_is_missing() -> None:
    _, document = script("verify_distribution_lifecycle", "--check", "dispatch.trust")
    [row] = document["checks"]
    assert row["pass"]
    assert row["message"].startswith(("126", "skipped: only root"))
