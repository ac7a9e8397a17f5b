"""The schemas: every document is valid, every field is described, nothing is ever taken away."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.conftest import Machine
from tests.doctor.test_conformance import CASES
from tests.support.machines import DOCTOR, IS_DOCTOR, IS_ENVELOPE, Lab, document, validate

DATA = Path(__file__).parent.parent / "rawr_install/data"
RELEASED = Path(__file__).parent / "schemas/0.1.0"
NAMES = ("doctor-global", "envelope")


def load(folder: Path, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((folder / f"{name}.schema.json").read_text())
    return schema


# The report without what only we add: a recorded document has the wire's fields.
FIELDS = Draft202012Validator({**DOCTOR["$defs"]["report"], "required": [], "$defs": DOCTOR["$defs"]})


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(load(DATA, name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_recorded_document_fits_the_fields_of_the_schema(case: dict[str, Any]) -> None:
    FIELDS.validate(case["expect"]["wire"])
    assert set(case["expect"]["wire"]) <= set(DOCTOR["$defs"]["report"]["properties"])


def test_a_fix_and_other_errors_are_valid_too(machine: Machine) -> None:
    lab = Lab(machine)
    machine.entry.unlink()
    validate(lab.doctor("--json", "--fix", "--verbose", "--login-shell").json)
    assert document(lab.doctor("--json", "--fix"))["findings"] == []
    for words in (["--no-such-option"], ["--check", "no.such"], ["--workspace", str(machine.home)], ["some.id"]):
        printed = lab.doctor("--json", *words).json
        IS_ENVELOPE.validate(printed)
        IS_DOCTOR.validate(printed)
        assert printed["ok"] is False
    homeless = lab.doctor("--json", env={"HOME": ""}).json
    IS_DOCTOR.validate(homeless)
    assert homeless["error"]["code"] == "NO_HOME"


def test_a_broken_document_is_refused_by_the_schema(machine: Machine) -> None:
    good = Lab(machine).doctor("--json").json
    for path, value in (("commandPath", 1), ("ownerFileStatus", "odd"), ("findings", None), ("entries", [{}])):
        broken = copy.deepcopy(good)
        broken["data"][path] = value
        with pytest.raises(ValidationError):
            IS_DOCTOR.validate(broken)
    with pytest.raises(ValidationError):
        IS_ENVELOPE.validate({**good, "more": 1})


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_the_schema_of_the_package(machine: Machine, name: str) -> None:
    assert json.loads(machine.rawr_install("schema", name).out) == load(DATA, name)
    assert machine.rawr_install("schema", name, "--json").json["data"] == load(DATA, name)


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each promise of a schema: a property and what it may be, what is required, each reference."""
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        here = f"{path}/{name}"
        if name == "required":
            yield from ((f"{here}/{field}", True) for field in value)
        elif name in ("type", "enum", "const", "$ref", "pattern"):
            yield here, value
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from fields(item, f"{here}/{index}")
        else:
            yield from fields(value, here)


def taken_away(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a reader of the old schema could rely on and no longer can; more values of an enum are an addition."""
    now = dict(fields(new))
    broken = []
    for path, promise in fields(old):
        kept = now.get(path)
        more = path.endswith("/enum") and isinstance(kept, list) and all(value in kept for value in promise)
        if kept != promise and not more:
            broken.append(path)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_only_grew_since_the_last_release(name: str) -> None:
    assert taken_away(load(RELEASED, name), load(DATA, name)) == []


def test_a_removed_and_a_retyped_field_are_noticed() -> None:
    old = load(RELEASED, "doctor-global")
    new = copy.deepcopy(old)
    report = new["$defs"]["report"]
    del report["properties"]["commandPath"]
    report["properties"]["pnpmRawrShimExists"]["type"] = "string"
    report["required"].remove("cliBinReal")
    report["properties"]["added"] = {"type": "string"}
    assert sorted(taken_away(old, new)) == [
        "/$defs/report/properties/commandPath/type",
        "/$defs/report/properties/pnpmRawrShimExists/type",
        "/$defs/report/required/cliBinReal",
    ]
