"""The verifiers: the tests that prove a slice, run on a named copy of the package; each way in which one can say no."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]


def verify(name: str, *words: str | Path) -> tuple[int, dict[str, Any]]:
    argv = [sys.executable, str(PROJECT / "scripts" / name), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be named or broken."""
    shutil.copytree(PROJECT / "rawr_install", tmp_path / "rawr_install", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def break_it(copy: Path, module: str, old: str, new: str) -> None:
    path = copy / "rawr_install" / module
    assert path.read_text().count(old) == 1, f"{module} has changed: choose another line to break"
    path.write_text(path.read_text().replace(old, new))


def test_a_promise_that_holds_is_proven_on_the_named_copy(copy: Path) -> None:
    code, said = verify("verify_telemetry_contract", "--package", copy, "--check", "event.lifecycle")
    assert code == 0 and said["ok"]
    assert [(check["id"], check["pass"]) for check in said["checks"]] == [("event.lifecycle", True)]
    assert said["checks"][0]["tests"] > 10


def test_a_promise_that_is_broken_in_the_named_copy_is_not(copy: Path) -> None:
    break_it(copy, "events/telemetry.py", '"run.failed": ("failed",),', '"run.failed": ("failed", "completed"),')
    code, said = verify("verify_telemetry_contract", "--package", copy, "--check", "event.lifecycle")
    assert code == 1 and not said["ok"]
    (check,) = said["checks"]
    assert not check["pass"] and "failed" in check["message"]


def test_a_check_without_an_end_is_a_failure(copy: Path) -> None:
    break_it(copy, "events/telemetry.py", "    _check(input.type, input.status)\n", "    time.sleep(600)\n")
    words = ("--package", copy, "--check", "event.lifecycle", "--seconds", "12")
    code, said = verify("verify_telemetry_contract", *words)
    assert code == 1 and "had no end within 12 s" in said["checks"][0]["message"]


def test_what_cannot_be_judged_is_no_verdict(tmp_path: Path) -> None:
    code, said = verify("verify_telemetry_contract", "--package", tmp_path)
    assert code == 2 and "holds no rawr_install package" in said["error"]
    code, said = verify("verify_telemetry_contract", "--check", "event.shapes")
    assert code == 2 and "no such promise: event.shapes" in said["error"]


def rows(*outcomes: str) -> list[dict[str, str]]:
    return [{"id": "a.b", "sentence": "a sentence", "test": "t", "outcome": outcome} for outcome in outcomes]


def test_skipped_is_not_proven_and_what_no_test_proves_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    from lib.verifier import CannotVerifyError, judge

    assert judge(["a.b"], rows("passed", "passed"), "")[0]["pass"] is True
    assert judge(["a.b"], rows("passed", "skipped"), "")[0]["pass"] is False
    with pytest.raises(CannotVerifyError, match=r"no test proves: a\.b"):
        judge(["a.b"], [], "")


def test_every_promise_is_proven_by_a_test_and_no_test_proves_another() -> None:
    found: dict[str, set[str]] = {}
    for path in (PROJECT / "tests").rglob("test_*.py"):
        marked = re.findall(r'@pytest\.mark\.contract\(\s*"(\w+)",\s*"([\w.-]+)"', path.read_text())
        for slice_name, name in marked:
            found.setdefault(slice_name, set()).add(name)
    sys.path.insert(0, str(PROJECT / "scripts"))
    try:
        from lib.slices import REQUIRED
    finally:
        sys.path.pop(0)
    assert found == {name: set(ids) for name, ids in REQUIRED.items()}
