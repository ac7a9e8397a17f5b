"""The verifiers: the tests that prove a slice, run on a named copy of the package; each way in which one can say no."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.distribution import PROJECT
from tests.support.scripts import load, script


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be named or broken."""
    shutil.copytree(PROJECT / "rawr_install", tmp_path / "rawr_install", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def break_it(copy: Path, module: str, old: str, new: str) -> None:
    path = copy / "rawr_install" / module
    assert path.read_text().count(old) == 1, f"{module} has changed: choose another line to break"
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_a_promise_that_holds_is_proven_on_the_named_copy(copy: Path) -> None:
    code, said = script("verify_telemetry_contract", "--package", copy, "--check", "event.lifecycle")
    assert code == 0 and said["ok"]
    assert [(check["id"], check["pass"]) for check in said["checks"]] == [("event.lifecycle", True)]
    assert said["checks"][0]["tests"] > 10


@pytest.mark.slow
def test_a_promise_that_is_broken_in_the_named_copy_is_not(copy: Path) -> None:
    break_it(copy, "events/telemetry.py", '"run.failed": ("failed",),', '"run.failed": ("failed", "completed"),')
    code, said = script("verify_telemetry_contract", "--package", copy, "--check", "event.lifecycle")
    assert code == 1 and not said["ok"]
    (check,) = said["checks"]
    assert not check["pass"] and "failed" in check["message"]


@pytest.mark.slow
def test_a_check_without_an_end_is_a_failure(copy: Path) -> None:
    break_it(
        copy, "events/telemetry.py", "    _check(input.type, input.status)\n", "    __import__('time').sleep(600)\n"
    )
    words = ("--package", copy, "--check", "event.lifecycle", "--seconds", "12")
    code, said = script("verify_telemetry_contract", *words)
    (check,) = said["checks"]
    assert code == 1 and not check["pass"] and "had no end within 12 s" in check["message"]


def test_what_cannot_be_judged_is_no_verdict(tmp_path: Path) -> None:
    code, said = script("verify_telemetry_contract", "--package", tmp_path)
    assert code == 2 and "holds no rawr_install package" in said["error"]
    code, said = script("verify_telemetry_contract", "--check", "event.shapes")
    assert code == 2 and "no such promise: event.shapes" in said["error"]


def rows(*outcomes: str) -> list[dict[str, str]]:
    return [{"id": "a.b", "sentence": "a sentence", "test": "t", "outcome": outcome} for outcome in outcomes]


def test_skipped_is_not_proven_and_what_no_test_proves_is_no_verdict() -> None:
    verifier = load("lib/verifier.py")
    judge = verifier.judge
    assert judge(["a.b"], rows("passed", "passed"), "")[0]["pass"] is True
    assert judge(["a.b"], rows("passed", "skipped"), "")[0]["pass"] is False
    for code in (0, 1, 5):  # 5: no test was chosen
        with pytest.raises(verifier.CannotVerifyError, match=r"no test proves: a\.b"):
            judge(["a.b"], [], verifier.broken_off(code, [], 12))
    assert judge(["a.b"], rows("passed"), verifier.broken_off(2, [], 12))[0]["pass"] is False


def test_a_run_without_an_end_names_its_tests_and_proves_nothing_not_even_what_had_passed() -> None:
    verifier = load("lib/verifier.py")
    seen = [{"test": name, "outcome": "began"} for name in ("t", "u")] + rows("passed")
    (check,) = verifier.judge(["a.b"], seen, verifier.broken_off(None, seen, 12))
    assert (check["pass"], check["message"]) == (False, "a sentence: had no end within 12 s, in u")


def test_every_promise_is_proven_by_a_test_and_no_test_proves_another() -> None:
    found: dict[str, set[str]] = {}
    for path in (PROJECT / "tests").rglob("*.py"):
        marked = re.findall(r'pytest\.mark\.contract\(\s*"(\w+)",\s*"([\w.-]+)"', path.read_text())
        for slice_name, name in marked:
            found.setdefault(slice_name, set()).add(name)
    assert found == {name: set(ids) for name, ids in load("lib/slices.py").REQUIRED.items()}
