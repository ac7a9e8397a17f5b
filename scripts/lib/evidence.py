"""What a JUnit report of the project's tests proves of one commit."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as Xml
from collections import Counter
from pathlib import Path
from typing import Any

from lib.slices import REQUIRED


class Evidence:
    """One test run: what it was made of, what passed, and which promises that proves."""

    def __init__(self, report: Path) -> None:
        content = report.read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        suites = list(Xml.fromstring(content).iter("testsuite"))
        self.seconds = sum(float(suite.get("time", 0)) for suite in suites)
        self.cases = [case for suite in suites for case in suite.iter("testcase")]
        self.made_of = {
            str(each.get("value")) for suite in suites for each in suite.iterfind("properties/property[@name='commit']")
        }

    def counts(self, below: str = "") -> dict[str, float]:
        """What became of the tests of a folder or file, and how long they took."""
        start = below.removesuffix(".py").replace("/", ".")
        mine = [case for case in self.cases if f"{case.get('classname')}.".startswith(f"{start}." if start else "")]
        found = Counter(map(outcome, mine))
        seconds = round(sum(float(case.get("time", 0)) for case in mine), 1)
        return {name: found[name] for name in ("passed", "failed", "skipped")} | {"seconds": seconds}

    def gates(self, tree: str) -> list[dict[str, Any]]:
        """The run as a whole, which must be of ``tree``, and each slice of the contract."""
        counts = self.counts()
        problem = "" if self.made_of == {tree} else f"made of {', '.join(sorted(self.made_of)) or 'an unknown tree'}"
        problem = problem or (
            f"{counts['failed']} failed" if counts["failed"] else "" if counts["passed"] else "nothing ran"
        )
        whole = {"gate": "tests", "problem": problem, "commit": tree, "sha256": self.sha256, "counts": counts}
        return [whole | {"wall": round(self.seconds, 1), "checks": []}, *map(self.slice_gate, REQUIRED)]

    def slice_gate(self, name: str) -> dict[str, Any]:
        """One slice: skipped is not proven, and neither is what no test spoke of."""
        proofs = self.proofs(name)
        counts = Counter(each for _, outcomes, _ in proofs.values() for each in outcomes)
        checks = []
        for each in sorted(REQUIRED[name]):
            sentence, outcomes, _ = proofs.get(each, ("no test proved it", [], 0.0))
            checks.append({"id": each, "message": sentence, "pass": {*outcomes} == {"passed"}})
        bad = [check["id"] for check in checks if not check["pass"]]
        problem = f"not proven: {', '.join(map(str, bad))}" if bad else ""
        seconds = round(sum(seconds for _, _, seconds in proofs.values()), 1)
        return {"gate": name, "problem": problem, "counts": {**counts, "seconds": seconds}, "checks": checks}

    def proofs(self, slice_name: str) -> dict[str, tuple[str, list[str], float]]:
        """Promise -> (sentence, outcome of each test that proves it, their seconds)."""
        found: dict[str, tuple[str, list[str], float]] = {}
        for case in self.cases:
            for each in case.iterfind("properties/property[@name='contract']"):
                name, promise, sentence = str(each.get("value")).split(" ", 2)
                if name == slice_name:
                    _, outcomes, seconds = found.get(promise, ("", [], 0.0))
                    found[promise] = sentence, [*outcomes, outcome(case)], seconds + float(case.get("time", 0))
        return found

    def skipped(self) -> dict[str, int]:
        """Why tests were skipped -> how many."""
        return Counter(str(each.get("message")) for case in self.cases for each in case.iterfind("skipped"))


def outcome(case: Xml.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"
