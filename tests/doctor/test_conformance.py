"""The recorded cases: each is built on disk, the real command line is run, the document is compared field by field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine, Ran
from tests.support.machines import document, forked, validate

CASES = json.loads((Path(__file__).parents[1] / "conformance/doctor_global.json").read_text())["cases"]
SCRIPT = "#!/usr/bin/env bun\nconsole.log('workspace');\n"
HEADLINE = {True: "Global rawr is configured for Bun-global execution.", False: "Global rawr check failed."}
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

    def doctor(self) -> Ran:
        """Run doctor as the case says: in its folder, for its workspace."""
        self.machine.env = self.case["env"]
        return self.machine.rawr_install(*self._words(), "--json", cwd=Path(self.case["cwd"]))

    def text(self) -> Ran:
        """The same for a person."""
        return forked(self._words(), Path(self.case["cwd"]), self.case["env"])

    def _words(self) -> list[str]:
        named = [] if self.case["cwd"] == self.case["workspace"] else ["--workspace", self.case["workspace"]]
        return ["doctor", "global", *named]


@pytest.mark.contract("C3", "doctor.document", "the doctor's document equals the recorded one")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_document_equals_the_recorded_one_and_the_text_agrees(machine: Machine, case: dict[str, Any]) -> None:
    lab = Lab(machine, case)
    before = machine.tree()
    ran = lab.doctor()
    validate(ran.json)
    fields = document(ran)
    assert list(fields)[: len(WIRE)] == WIRE
    expected = lab.case["expect"]
    assert {name: fields[name] for name in expected["wire"]} == expected["wire"]
    assert fields["ownerFileStatus"] == expected["ownerFileStatus"]
    assert ran.json["ok"] is expected.get("ok", ran.json["ok"])
    assert ran.code == (0 if ran.json["ok"] else 1)
    assert ran.err == ""
    text = lab.text()
    assert (text.code, text.out.splitlines()[0]) == (ran.code, HEADLINE[ran.json["ok"]])
    assert machine.tree() == before
    if not ran.json["ok"]:
        assert ran.json["error"]["code"] == "GLOBAL_RAWR_MISCONFIGURED"
        assert ran.json["error"]["message"] == "Global rawr is not configured for Bun-global execution"
