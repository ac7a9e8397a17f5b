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
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path

from lib.slices import REQUIRED

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE = 900.0  # seconds; a slice takes about one minute
Check = dict[str, object]


class CannotVerifyError(Exception):
    """There is nothing that could be judged."""


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
        python = environment(folder / "venv", package)
        tree = checkout(folder / "tree", package)
        report = folder / "report.jsonl"
        ended = run([str(python), *_pytest(slice_name, only, report)], tree, seconds)
        rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    return judge(wanted, rows, ended)


def environment(folder: Path, package: Path) -> Path:
    """An interpreter whose every process imports ``package`` first, and else what this one has; returns its path."""
    if not (package / "rawr_install/__init__.py").is_file():
        raise CannotVerifyError(f"{package} holds no rawr_install package")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    here = sysconfig.get_paths()
    # Lines of a .pth file go behind each other, and those of the folders that they name are not read.
    lines = dict.fromkeys([str(package), here["purelib"], here["platlib"]])
    (folder / "lib" / version / "site-packages/named-copy.pth").write_text("".join(f"{line}\n" for line in lines))
    code = "import os, rawr_install; print(os.path.realpath(os.path.dirname(rawr_install.__file__)))"
    asked = subprocess.run([python, "-P", "-c", code], cwd="/", capture_output=True, text=True, timeout=60)
    if asked.stdout.strip() != os.path.realpath(package / "rawr_install"):
        found = asked.stdout.strip() or asked.stderr.strip()[-300:]
        raise CannotVerifyError(f"the package of {package} is not what is imported: {found}")
    return python


def checkout(folder: Path, package: Path) -> Path:
    """The tests and what they stand on, around the named package."""
    left_out = shutil.ignore_patterns(".git", ".venv", "rawr_install", "build", "*cache*", "node_modules")
    shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=left_out)
    (folder / "rawr_install").symlink_to(package / "rawr_install")
    entry = package / "rawr_install/shell-entry"
    if not entry.is_file():
        entry = package / "shims/rawr"
    if entry.is_file():
        shutil.copy(entry, folder / "shims/rawr")
    return folder


def _pytest(slice_name: str, only: Sequence[str], report: Path) -> list[str]:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--slow", f"--contract={slice_name}"]
    words += ["-k", "not test_agreement or twin or dash"]  # one shell stands for the eight of the slow set
    return [*words, *(f"--promise={name}" for name in only), f"--contract-report={report}"]


def run(argv: list[str], folder: Path, seconds: float) -> str:
    """Run the tests; returns why they ended early, or ""."""
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"had no end within {seconds:g} s"
    return "" if process.returncode in (0, 1) else f"the test run broke off (exit {process.returncode})"


def judge(wanted: Iterable[str], rows: Sequence[dict[str, str]], ended: str) -> list[Check]:
    """What the test run says of each promise; raises CannotVerifyError for a promise that no test proves."""
    checks: list[Check] = []
    missing = []
    for name in sorted(wanted):
        mine = [row for row in rows if row["id"] == name]
        if not mine and not ended:
            missing.append(name)
        bad = [f"{row['test']} {row['outcome']}" for row in mine if row["outcome"] != "passed"]
        why = "; ".join(bad) or ended * (not mine)
        said = mine[0]["sentence"] if mine else name
        checks.append({"id": name, "message": f"{said}: {why}" if why else said, "pass": not why, "tests": len(mine)})
    if missing:
        raise CannotVerifyError(f"no test proves: {', '.join(missing)}")
    return checks
