"""Discovery: the contract as a table, and folders as they really are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rawr_install.plugins.catalog import KIND_OF, LIMIT, Plugin, Violation, discover, parse
from tests.conftest import make_workspace
from tests.support.plugins import KINDS, WIRING, make_linkable, make_plugin

GOOD = {"kind": "toolkit", "capability": "x"}


def judged(document: Any, group: str = "cli") -> Plugin | Violation:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse(data, f"/ws/plugins/{group}/folder", "folder", group)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "manifest must be a JSON object"),
        ({}, "required rawr object is missing"),
        ({"rawr": "toolkit"}, "required rawr object is missing"),
        ({"rawr": {"capability": "x"}}, "required rawr.kind is missing"),
        ({"rawr": {"kind": 1, "capability": "x"}}, "required rawr.kind is missing"),
        ({"rawr": {"kind": "gadget", "capability": "x"}}, 'invalid rawr.kind "gadget"'),
        ({"rawr": {"kind": "web", "capability": "x"}}, 'rawr.kind must be "toolkit" for plugins/cli/*'),
        ({"rawr": {"kind": "toolkit"}}, "required rawr.capability is missing"),
        ({"rawr": {"kind": "toolkit", "capability": "  "}}, "required rawr.capability is missing"),
        ({"rawr": {"kind": "toolkit", "capability": 5}}, "required rawr.capability is missing"),
        *(({"rawr": {**GOOD, key: None}}, f"forbidden rawr.{key} is present") for key in
          ("templateRole", "channel", "publishTier", "published")),
    ],
)  # fmt: skip
def test_a_manifest_that_breaks_the_contract_is_a_violation_that_says_how(document: Any, says: str) -> None:
    found = judged(document)
    assert isinstance(found, Violation)
    where = "/ws/plugins/cli/folder/package.json"
    assert found.message == f"Plugin manifest contract violation at {where}: {says}"
    assert (found.id, found.path) == ("folder", "/ws/plugins/cli/folder")


@pytest.mark.parametrize(
    "data", [b"", b"{nope", b"\xff\xfe{}", b'\xef\xbb\xbf{"rawr":{}}', b'{"rawr":NaN}', b"[" * 100_000, b"{}\0"]
)
def test_bytes_that_are_no_json_are_a_violation(data: bytes) -> None:
    found = judged(data)
    assert isinstance(found, Violation)
    assert found.message.startswith("Failed to parse plugin manifest /ws/plugins/cli/folder/package.json: ")


def test_a_violation_carries_the_package_name_where_there_is_one() -> None:
    assert judged({"name": "@rawr/x", "rawr": {}}).id == "@rawr/x"


@pytest.mark.parametrize("name", [None, 5, ""])
def test_a_plugin_without_a_package_name_has_its_folder_as_id(name: object) -> None:
    assert judged({"name": name, "rawr": GOOD}).id == "folder"


@pytest.mark.parametrize(
    ("oclif", "linkable"),
    [
        (WIRING, True),
        (None, False),
        ({"commands": "./c"}, False),
        ({"commands": "./c", "typescript": "x"}, False),
        ({"commands": "", "typescript": {"commands": "./c"}}, False),
        ({"commands": {"a": 1}, "typescript": {"commands": "./c"}}, False),
    ],
)
def test_only_a_toolkit_plugin_with_both_command_folders_is_linked(oclif: Any, linkable: bool) -> None:
    found = judged({"rawr": GOOD, "oclif": oclif})
    assert isinstance(found, Plugin)
    assert found.linkable is linkable
    other = judged({"rawr": {"kind": "web", "capability": "x"}, "oclif": oclif}, "web")
    assert isinstance(other, Plugin)
    assert not other.linkable


@pytest.mark.parametrize(
    ("exports", "runs"),
    [
        ({"./server": "./s.ts"}, True),
        ({"./web": {"import": "./w.js"}}, True),
        ({".": "./i.js", "./server": None}, False),
        ("./index.js", False),
        (None, False),
    ],
)
def test_a_web_plugin_runs_when_it_exports_server_or_web(exports: Any, runs: bool) -> None:
    found = judged({"rawr": {"kind": "web", "capability": "x"}, "exports": exports}, "web")
    assert isinstance(found, Plugin)
    assert found.runtime_web is runs


def test_each_folder_has_its_kind(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    for group in KINDS:
        make_plugin(workspace, group, f"one-{group}")
    found = discover(str(workspace))
    assert {plugin.folder: plugin.kind for plugin in found.plugins} == {f"one-{group}": KINDS[group] for group in KINDS}
    assert KIND_OF == KINDS
    assert found.violations == ()


def test_one_broken_plugin_hides_no_other(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    for number in range(5):
        make_plugin(workspace, "web", f"good-{number}")
        make_plugin(workspace, "web", f"bad-{number}", text="{" if number % 2 else '{"rawr": 1}')
    found = discover(str(workspace))
    assert [plugin.folder for plugin in found.plugins] == [f"good-{number}" for number in range(5)]
    assert [violation.id for violation in found.violations] == [f"bad-{number}" for number in range(5)]


def test_a_linked_plugin_folder_counts_and_a_broken_link_does_not(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    elsewhere = make_linkable(make_workspace(tmp_path / "other"), "kept")
    group = workspace / "plugins/cli"
    group.mkdir()
    (group / "linked").symlink_to(elsewhere)
    (group / "dangling").symlink_to(tmp_path / "gone")
    (group / "loop").symlink_to("loop")
    found = discover(str(workspace))
    assert [(plugin.folder, plugin.path) for plugin in found.plugins] == [("linked", str(group / "linked"))]
    assert found.violations == ()


def test_hidden_folders_files_and_folders_without_a_manifest_are_no_plugins(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    make_plugin(workspace, "cli", ".hidden")
    (workspace / "plugins/cli/README.md").write_text("not a folder")
    (workspace / "plugins/cli/empty").mkdir()
    make_plugin(workspace, "cli", "dangling").joinpath("package.json").unlink()
    (workspace / "plugins/cli/dangling/package.json").symlink_to("gone")
    (workspace / "plugins/web").write_text("a file in the place of a folder")
    found = discover(str(workspace))
    assert (found.plugins, found.violations) == ((), ())


def test_a_manifest_that_cannot_be_read_at_once_is_a_violation(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    os.mkfifo(make_plugin(workspace, "cli", "fifo").joinpath("../fifo/pipe"))
    pipe = workspace / "plugins/cli/fifo"
    (pipe / "package.json").unlink()
    (pipe / "pipe").rename(pipe / "package.json")
    (make_plugin(workspace, "cli", "folder") / "package.json").unlink()
    (workspace / "plugins/cli/folder/package.json").mkdir()
    make_plugin(workspace, "cli", "huge", text=" " * (LIMIT + 1) + "{}")
    make_plugin(workspace, "cli", "zero")
    (workspace / "plugins/cli/zero/package.json").unlink()
    (workspace / "plugins/cli/zero/package.json").symlink_to("/dev/zero")
    make_linkable(workspace, "fine")
    found = discover(str(workspace))
    assert [plugin.folder for plugin in found.plugins] == ["fine"]
    reasons = {violation.id: violation.message.rpartition(": ")[2] for violation in found.violations}
    assert set(reasons) == {"fifo", "folder", "huge", "zero"}
    assert reasons["folder"] == "a folder (EISDIR)"
    assert reasons["huge"] == f"more than {LIMIT} bytes (EFBIG)"
    assert reasons["fifo"] == reasons["zero"] == "not a regular file (EINVAL)"


def test_a_manifest_just_within_the_limit_is_read(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    body = json.dumps({"rawr": GOOD})
    make_plugin(workspace, "cli", "large", text=" " * (LIMIT - len(body)) + body)
    assert [plugin.folder for plugin in discover(str(workspace)).plugins] == ["large"]


def test_a_plugin_is_found_by_id_then_by_folder(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    make_plugin(workspace, "web", "one", name="two")
    make_plugin(workspace, "web", "two", name="three")
    found = discover(str(workspace))
    by_id, by_folder = found.find("two"), found.find("one")
    assert by_id and by_folder
    assert (by_id.folder, by_folder.folder) == ("one", "one")
    assert found.find("four") is None


def test_every_plugin_read_is_told_to_the_progress(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    make_plugin(workspace, "cli", "one")
    make_plugin(workspace, "web", "two", text="{")
    told: list[int] = []
    discover(str(workspace), told.append)
    assert told == [1, 2]
