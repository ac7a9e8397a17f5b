"""The two decisions that wait for a condition, measured on what runs, and what follows from each.

    scripts/assess_conditional_triggers [--record FILE] [--check]

D-009  wrappers stacked three deep or more around a command, without a reason in the allow-list of lib/wrappers.py.
D-010  a run's end has a side effect. Then a contract of it is due, with tests that prove it (slice C4).

A decision is "deferred" while its condition is not met, "executed" when it is met and every promise of its contract
has a test, else "due". The file is written only when it changes. Exit code 0: nothing is due; 1: something is, or
--check and the file is not what was measured; 2: it cannot be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lib.copies import REPOSITORY
from lib.slices import REQUIRED
from lib.wrappers import commands, layers

DEPTH = 3
END_OF_A_RUN = "from rawr_install.events.log import Run\nwith Run('measured'): pass"


def wrapper_depth(root: Any) -> dict[str, object]:
    """D-009, measured on the callbacks of the commands below ``root``."""
    stacks = {path: layers(command.callback) for path, command in commands(root) if command.callback}
    deep = {path: stack for path, stack in stacks.items() if len(stack) >= DEPTH}
    most = max(map(len, stacks.values()), default=0)
    return {
        "id": "D-009",
        "condition": f"wrappers stacked {DEPTH} deep or more around a command",
        "measured": most,
        "status": "due" if deep else "deferred",
        "rationale": f"the deepest of {len(stacks)} commands has {most} wrapper{'s' * (most != 1)}",
        "evidence": deep,
    }


def end_of_run(tests: Path) -> dict[str, object]:
    """D-010: end a run in a home of its own, and look whether something is there afterwards."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"HOME": home, "PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-P", "-c", END_OF_A_RUN], env=environ, cwd="/", check=True, timeout=60)
        effects = sorted(str(path.relative_to(home)) for path in Path(home).rglob("*") if path.is_file())
    proofs = dict(sorted(proven(tests)))
    missing = sorted(REQUIRED["C4"] - set(proofs))
    status = "deferred" if not effects else "due" if missing else "executed"
    return {
        "id": "D-010",
        "condition": "the end of a run has a side effect",
        "measured": len(effects),
        "status": status,
        "rationale": "the end of a run is recorded in the event log; ending twice records one end, no fault of the log "
        "changes a command's exit code or output, and nothing waits for it",
        "evidence": {"effects": effects, "tests": proofs, "unproven": missing},
    }


def proven(tests: Path) -> list[tuple[str, str]]:
    """(promise, test) for each test that is marked as a proof of slice C4."""
    found = []
    for path in sorted(tests.rglob("test_*.py")):
        marks = re.findall(
            r'@pytest\.mark\.contract\(\s*"C4",\s*"([\w.-]+)".*?^def (test_\w+)', path.read_text(), re.S | re.M
        )
        found += [(name, f"{path.relative_to(tests.parent).as_posix()}::{test}") for name, test in marks]
    return found


def record(document: dict[str, object], path: Path, check: bool) -> bool:
    """Write the document where it differs from the file; returns whether it did."""
    text = json.dumps(document, indent=2) + "\n"
    differs = not path.is_file() or path.read_text("utf-8") != text
    if differs and not check:
        path.write_text(text, "utf-8")
    return differs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, default=REPOSITORY / "docs/dispositions/conditional-triggers.json")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the file is up to date")
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))  # this tree is measured, and not what may be installed of another
    try:
        from rawr_install.cli.main import root

        decisions = [wrapper_depth(root), end_of_run(REPOSITORY / "tests")]
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        print(json.dumps({"error": str(error)}))
        return 2
    document: dict[str, object] = {"schemaVersion": 2, "decisions": decisions}
    differs = record(document, options.record, options.check)
    print(json.dumps({**document, "file": str(options.record), "changed": differs}, indent=2))
    due = any(decision["status"] == "due" for decision in decisions)
    return 1 if due or (options.check and differs) else 0
