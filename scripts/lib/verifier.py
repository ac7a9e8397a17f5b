"""A verifier: runs the tests that prove one slice of the contract, on a named copy of the package.

The tests run in a checkout made for them, whose ``rawr_install`` is a link to the named copy, under an
environment in which every process imports that copy. Exit code 0: every promise of the slice is proven;
1: one is not (a test failed, was skipped, or had no end); 2: nothing can be said (no such copy, another
copy was imported, a promise that no test proves).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from lib.copies import REPOSITORY, CannotVerifyError, checkout, interpreter, run
from lib.slices import REQUIRED

DEADLINE = 900.0  # seconds; a slice takes about one minute
Check = dict[str, object]


def main(slice_name: str) -> int:
    """Verify one slice, print one JSON document, return the exit code."""
    parser = argparse.ArgumentParser(description=f"Prove slice {slice_name} of the contract by its tests.")
    parser.add_argument("--package", type=Path, default=REPOSITORY, help="the folder that holds rawr_install/")
    parser.add_argument("--check", action="append", default=[], metavar="ID", help="only this promise (repeatable)")
    parser.add_argument("--seconds", type=float, default=DEADLINE, help="how long it may take (default: 900)")
    options = parser.parse_args()
    document: dict[str, object] = {"verifier": slice_name}
    try:
        checks = verify(slice_name, options.package.resolve(), options.check, options.seconds)
    except (CannotVerifyError, OSError) as error:
        print(json.dumps(document | {"ok": False, "error": str(error), "checks": []}, indent=2))
        return 2
    good = all(check["pass"] for check in checks)
    print(json.dumps(document | {"ok": good, "checks": checks}, indent=2))
    return 0 if good else 1


def verify(slice_name: str, package: Path, only: Sequence[str], seconds: float) -> list[Check]:
    """A row for each promise of the slice; raises CannotVerifyError."""
    wanted = set(only) or REQUIRED[slice_name]
    if unknown := sorted(wanted - REQUIRED[slice_name]):
        raise CannotVerifyError(f"{slice_name} makes no such promise: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="rawr-verify-") as made:
        folder = Path(os.path.realpath(made))
        folder.chmod(0o755)  # other users start programs in it
        python = interpreter(folder / "venv", package)
        tree = checkout(folder / "tree", package)
        report = folder / "report.jsonl"
        code = run([str(python), *_pytest(slice_name, only, report)], tree, seconds)
        rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    return judge(wanted, rows, broken_off(code, rows, seconds))


def broken_off(code: int | None, rows: Sequence[dict[str, str]], seconds: float) -> str:
    """Why a test run has not told everything, by pytest's exit code; empty where it has, if only that no test fits."""
    if code is not None:
        return "" if code in (0, 1, 5) else f"the test run broke off (exit {code})"
    under_way = dict.fromkeys(row["test"] for row in rows if row["outcome"] == "began")
    for row in rows:
        if row["outcome"] != "began":
            under_way.pop(row["test"], None)
    return f"had no end within {seconds:g} s, in {', '.join(under_way) or 'what comes before the tests'}"


def _pytest(slice_name: str, only: Sequence[str], report: Path) -> list[str]:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--slow", f"--contract={slice_name}"]
    words += ["-k", "not test_agreement or twin or dash"]  # one shell stands for the eight of the slow set
    return [*words, *(f"--promise={name}" for name in only), f"--contract-report={report}"]


def judge(wanted: Iterable[str], rows: Sequence[dict[str, str]], ended: str) -> list[Check]:
    """What the test run says of each promise; raises CannotVerifyError for a promise that no test proves.

    A run that broke off proves nothing: which tests it would still have made, nobody knows.
    """
    wanted = sorted(wanted)
    missing = [name for name in wanted if name not in {row["id"] for row in rows if "id" in row}]
    if missing and not ended:
        raise CannotVerifyError(f"no test proves: {', '.join(missing)}")
    checks: list[Check] = []
    for name in wanted:
        mine = [row for row in rows if row.get("id") == name]
        why = "; ".join(
            [f"{row['test']} {row['outcome']}" for row in mine if row["outcome"] != "passed"] + [ended] * bool(ended)
        )
        said = mine[0]["sentence"] if mine else name
        checks.append({"id": name, "message": f"{said}: {why}" if why else said, "pass": not why, "tests": len(mine)})
    return checks
