"""The recorded reports, case by case; where ours differs on purpose, the difference and its reason stand here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rawr_install import assess_install_state

RECORDED = Path(__file__).parent.parent / "conformance/install_state.json"
CASES = {case["scenario"]: case for case in json.loads(RECORDED.read_text())["cases"]}

# Scenario -> (why ours differs, the issues that ours has at the end, as kind and plugin).
# Everything else of the report is as recorded; where the peer raised, as in "install_in_sync_no_runtime".
DIFFERENCES: dict[str, tuple[str, list[tuple[str, str | None]]]] = {
    "install_bad_plugin_manifest": (
        "one broken plugin is an issue of its own, the peer gave up on all of them",
        [("invalid_plugin", "two")],
    ),
    "install_forbidden_legacy_key": (
        "one broken plugin is an issue of its own, the peer gave up on all of them",
        [("invalid_plugin", "two")],
    ),
    "install_duplicate_entries": (
        "two entries of one name are reported, the peer silently took the last",
        [("duplicate_entry", "@rawr/plugin-plugins")],
    ),
    "install_manifest_null_entry": (
        "a null entry makes the peer read no plugin at all; we read the same and say so",
        [("manifest_corrupt", None)],
    ),
}
# Added beside the recorded keys, with the owner allowed and not: what has to be said besides issues.
NAMELESS = "2 entries of oclif.plugins have no name"
NOTES = {
    "install_manifest_bad_entries": (NAMELESS, NAMELESS),
    "install_owner_is_current": ("", ""),
    "install_owner_other_linked_owner": ("", ""),
    "install_owner_not_a_workspace": ("", "The owner file is not-a-workspace"),
}
NO_OWNER = ("", "The owner file is missing")
OURS = {"orphan_link", "duplicate_entry", "manifest_corrupt", "invalid_plugin"}


def build(case: dict[str, Any], lab: Path) -> dict[str, Any]:
    """Make the recorded tree under ``lab``; returns the case with its paths in place."""
    made: dict[str, Any] = json.loads(json.dumps(case).replace("${LAB}", str(lab)))
    home = Path(made["input"]["workspaceRoot"]).parent
    for name, what in made["tree"].items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if what == "dir":
            path.mkdir(exist_ok=True)
        elif isinstance(what, str):
            path.symlink_to(what.removeprefix("-> "))
        else:
            path.write_text(what["text"])
    return made


def assess(case: dict[str, Any], fallback: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given = case["input"]
    monkeypatch.setenv("HOME", str(Path(given["workspaceRoot"]).parent))
    found = assess_install_state(
        given["workspaceRoot"], given.get("runtimePlugins"), given["oclifDataDir"], allow_global_owner_fallback=fallback
    )
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def expected(case: dict[str, Any], lab: Path, fallback: bool) -> dict[str, Any]:
    recorded: dict[str, Any] = case["with_global_owner_fallback" if fallback else "default"]
    if "threw" in recorded:
        text = json.dumps(CASES["install_in_sync_no_runtime"]["default"]).replace("${LAB}", str(lab))
        recorded = json.loads(text.replace("/in_sync_no_runtime/", f"/{case['scenario'].removeprefix('install_')}/"))
        recorded = {**recorded, "status": "DRIFT_DETECTED", "inSync": False}
    return recorded


@pytest.mark.contract("C3", "plugins.document", "the install state equals the recorded one")
@pytest.mark.parametrize("fallback", [False, True], ids=["local", "owner-allowed"])
@pytest.mark.parametrize("scenario", CASES)
def test_a_recorded_case_gives_the_recorded_report(
    scenario: str, fallback: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = build(CASES[scenario], tmp_path)
    found = assess(case, fallback, monkeypatch)
    wanted = expected(case, tmp_path, fallback)
    added = [issue for issue in found["issues"] if issue["kind"] in OURS]
    assert [(issue["kind"], issue.get("pluginName")) for issue in added] == DIFFERENCES.get(scenario, ("", []))[1]
    assert found["issues"] == [*wanted["issues"], *added]
    note = NOTES.get(scenario, NO_OWNER)[fallback]
    assert note in " ".join(found.get("notes", []))
    assert bool(found.pop("notes", None)) == bool(note)
    wanted["issues"] = found["issues"]
    wanted["summary"]["issueCount"] += len(added)
    assert found == wanted
    assert list(found) == list(wanted)


@pytest.mark.parametrize("scenario", CASES)
def test_the_keys_of_an_issue_come_in_the_recorded_order(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = build(CASES[scenario], tmp_path)
    for found, wanted in zip(
        assess(case, False, monkeypatch)["issues"], expected(case, tmp_path, False)["issues"], strict=False
    ):
        assert list(found) == list(wanted)


def test_every_difference_names_a_recorded_case() -> None:
    assert set(DIFFERENCES) | set(NOTES) <= set(CASES)


def test_a_violation_says_what_the_peer_said_when_it_gave_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = build(CASES["install_forbidden_legacy_key"], tmp_path)
    [issue] = assess(case, False, monkeypatch)["issues"]
    assert issue["message"] == case["default"]["threw"]
