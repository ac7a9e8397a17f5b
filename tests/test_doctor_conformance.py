"""The recorded cases: each is built on disk, the real command line is run, the document is compared field by field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine, Ran

CASES = json.loads((Path(__file__).parent / "conformance/doctor_global.json").read_text())["cases"]
SCRIPT = "#!/usr/bin/env bun\nconsole.log('workspace');\n"
WIRE = list(max((case["expect"]["wire"] for case in CASES), key=len))


class Lab:
    """The folder that the cases call ``${LAB}``, for one case."""

    def __init__(self, machine: Machine, case: dict[str, Any]) -> None:
        self.root = machine.folder / "lab"
        self.machine = machine
        self.case = json.loads(json.dumps(case).replace("${LAB}", str(self.root)))
        for name in ("ws-a", "ws-b"):
            machine.workspace(f"lab/{name}", cli=SCRIPT)
        (self.root / "link-to-ws-a").symlink_to("ws-a")
        self._file(self.root / "bin/bun", "#!/bin/sh\n", 0o755)
        self._fill(Path(self.case["env"]["HOME"]))

    def _fill(self, home: Path) -> None:
        home.mkdir(parents=True)
        for name, found in self.case["home"].items():
            path = home / name
            if found == "dir":
                path.mkdir(exist_ok=True)
            elif isinstance(found, str):
                path.symlink_to(found.removeprefix("-> "))
            elif found["text"] == "...":
                os.link(self.root / "ws-a/apps/cli/bin/run.js", path)
            else:
                self._file(path, found["text"], int(found["mode"], 8))

    @staticmethod
    def _file(path: Path, text: str, mode: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(mode)

    def doctor(self, *options: str) -> Ran:
        """Run doctor as the case says: in its folder, for its workspace."""
        case = self.case
        named = [] if case["cwd"] == case["workspace"] else ["--workspace", case["workspace"]]
        self.machine.env = case["env"]
        return self.machine.rawr_install("doctor", "global", *named, *options, cwd=Path(case["cwd"]))


def body(document: dict[str, Any]) -> dict[str, Any]:
    """The fields, wherever the verdict puts them."""
    found: dict[str, Any] = document["data"] if document["ok"] else document["error"]["details"]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_document_equals_the_recorded_one(machine: Machine, case: dict[str, Any]) -> None:
    lab = Lab(machine, case)
    before = machine.tree()
    ran = lab.doctor("--json")
    fields = body(ran.json)
    assert list(fields)[: len(WIRE)] == WIRE
    expected = lab.case["expect"]
    assert {name: fields[name] for name in expected["wire"]} == expected["wire"]
    assert fields["ownerFileStatus"] == expected["ownerFileStatus"]
    assert ran.json["ok"] is expected.get("ok", ran.json["ok"])
    assert ran.code == (0 if ran.json["ok"] else 1)
    assert ran.err == ""
    assert machine.tree() == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_text_has_the_same_verdict(machine: Machine, case: dict[str, Any]) -> None:
    lab = Lab(machine, case)
    document, text = lab.doctor("--json"), lab.doctor()
    healthy = "Global rawr is configured for Bun-global execution."
    assert text.out.splitlines()[0] == (healthy if document.json["ok"] else "Global rawr check failed.")
    assert text.code == document.code
    if not document.json["ok"]:
        assert document.json["error"]["code"] == "GLOBAL_RAWR_MISCONFIGURED"
        assert document.json["error"]["message"] == "Global rawr is not configured for Bun-global execution"
