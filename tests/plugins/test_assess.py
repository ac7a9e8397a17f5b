"""Judging, pure: facts made by hand, for what the recorded cases do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rawr_install import assess_install_state
from rawr_install.errors import UsageError
from rawr_install.plugins.assess import Canonical, LinkFacts, assess
from rawr_install.plugins.catalog import Catalog, Plugin, Violation
from rawr_install.plugins.install_state import report
from rawr_install.plugins.manifest import Link, Manifest
from tests.conftest import Machine
from tests.support.plugins import link, make_linkable, make_manager

CORE = "@rawr/plugin-plugins"
LEGACY = "@rawr/plugin-agent-sync"
HERE = (1, 1)


def facts(*links: Link, runtime: frozenset[str] | None = None, targets: Any = None, **more: Any) -> LinkFacts:
    plugin = Plugin("a", "toolkit", "x", "a", "/ws/a", linkable=True, runtime_web=False)
    catalog = more.get("catalog") or Catalog((plugin,), ())
    manifest = more.get("manifest") or Manifest("/data/package.json", links)
    return LinkFacts(Canonical("/ws"), catalog, manifest, targets or {}, runtime)


def kinds(found: LinkFacts) -> list[object]:
    return [issue["kind"] for issue in assess(found).issues]


GOOD = Link("a", "link", "/ws/a")


@pytest.mark.parametrize(
    ("link", "targets", "kind"),
    [
        (GOOD, {}, []),
        (Link("a", "link", None), {}, ["stale_link"]),
        (Link("a", "link", "/gone"), {"/gone": None, "/ws/a": HERE}, ["stale_link"]),
        (Link("a", "link", "/alias"), {"/alias": HERE, "/ws/a": HERE}, []),
        (Link("a", "link", "/other"), {"/other": (1, 2), "/ws/a": HERE}, ["path_mismatch"]),
        (Link("a", "user", None), {}, ["not_linked"]),
        (Link("b", "user", "/b"), {}, ["missing_link"]),
    ],
)
def test_each_plugin_has_the_first_fault_that_fits(link: Link, targets: Any, kind: list[str]) -> None:
    assert kinds(facts(link, targets=targets)) == kind


@pytest.mark.parametrize(
    ("runtime", "linked", "wanted"),
    [
        (None, False, ["legacy_present"]),
        (frozenset(), False, ["legacy_present", "missing_core_plugin"]),
        (frozenset({CORE}), False, ["legacy_present", "legacy_overlap"]),
        (frozenset({"x"}), True, ["legacy_present", "legacy_overlap", "missing_core_plugin"]),
    ],
)
def test_the_legacy_plugin_overlaps_with_a_core_plugin_in_manifest_or_runtime(
    runtime: frozenset[str] | None, linked: bool, wanted: list[str]
) -> None:
    core = [Link(CORE, "core", None)] if linked else []
    found = facts(GOOD, Link(LEGACY, "user", None), *core, runtime=runtime)
    assert kinds(found) == wanted
    assert assess(found).status == "LEGACY_OVERLAP"


def test_a_missing_core_plugin_can_not_be_mended_here() -> None:
    found = facts(GOOD, runtime=frozenset({"x"}))
    [issue] = assess(found).issues
    assert (issue["autoFixable"], assess(found).actions, assess(found).status) == (False, (), "DRIFT_DETECTED")


def test_our_own_kinds_come_last_and_plan_nothing() -> None:
    broken = Violation("bad", "cli", "/ws/bad", "it is bad")
    orphan, twice = Link("orphan", "link", "/o"), Link("x", "user", None)
    found = facts(GOOD, orphan, twice, twice, catalog=Catalog(facts().catalog.plugins, (broken,)))
    assert kinds(found) == ["invalid_plugin", "duplicate_entry", "orphan_link"]
    assert assess(found).actions == ()
    assert not any(issue["autoFixable"] for issue in assess(found).issues)
    corrupt = facts(manifest=Manifest("/data/package.json", problem="it is bad"))
    assert kinds(corrupt) == ["missing_link", "manifest_corrupt"]


@pytest.mark.parametrize("kind", ["user", "core", "unknown"])
def test_an_entry_that_is_no_link_is_no_orphan(kind: str) -> None:
    assert kinds(facts(GOOD, Link("@oclif/plugin-help", kind, None))) == []


def test_the_link_of_a_broken_plugin_is_not_called_an_orphan_too() -> None:
    broken = Violation("bad", "cli", "/ws/bad", "it is bad")
    catalog = Catalog(facts().catalog.plugins, (broken,))
    assert kinds(facts(GOOD, Link("bad", "link", "/x"), catalog=catalog)) == ["invalid_plugin"]
    assert kinds(facts(GOOD, Link("@rawr/bad", "link", "/ws/bad"), catalog=catalog)) == ["invalid_plugin"]


def test_of_two_entries_the_last_counts_whichever_is_good() -> None:
    bad = Link("a", "user", None)
    assert kinds(facts(bad, GOOD)) == ["duplicate_entry"]
    assert kinds(facts(GOOD, bad)) == ["not_linked", "duplicate_entry"]


def test_links_are_listed_by_name_and_issues_in_the_order_of_plugins() -> None:
    plugins = [Plugin(name, "toolkit", "x", name, f"/ws/{name}", True, False) for name in ("a", "B", "c")]
    made = facts(Link("z", "user", None), Link("Y", "user", None), catalog=Catalog(tuple(plugins), ()))
    told = report(made, assess(made))
    assert [entry["name"] for entry in told["actualLinks"]] == ["Y", "z"]
    assert [entry["pluginName"] for entry in told["expectedLinks"]] == ["a", "B", "c"]
    assert [issue["pluginName"] for issue in told["issues"]] == ["a", "B", "c"]


def test_a_path_is_quoted_in_a_command_as_json_quotes_it() -> None:
    plugin = Plugin("a", "toolkit", "x", "a", '/ws ü/"a"\\', linkable=True, runtime_web=False)
    [action] = assess(facts(catalog=Catalog((plugin,), ()))).actions
    assert action.command == 'rawr plugins link "/ws ü/\\"a\\"\\\\" --install'


def test_a_relative_root_and_a_relative_workspace_are_understood(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = machine.workspace("ws")
    root = make_linkable(workspace, "one")
    data = make_manager(machine, link("@rawr/one", "../../../../../ws/plugins/cli/one")).parent
    monkeypatch.chdir(machine.folder)
    found = assess_install_state("ws", oclif_data_dir=data.relative_to(machine.folder))
    assert (found["inSync"], found["actualLinks"][0]["root"]) == (True, str(root))
    assert found["canonicalWorkspaceRoot"] == str(workspace)


def test_the_data_folder_follows_xdg(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = machine.workspace("ws")
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert assess_install_state(workspace)["pluginManagerManifestPath"] == str(
        machine.home / ".local/share/@rawr/cli/package.json"
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert assess_install_state(workspace)["pluginManagerManifestPath"] == str(tmp_path / "data/@rawr/cli/package.json")


def test_a_root_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        assess_install_state(tmp_path / "gone")
    assert caught.value.code == "NOT_A_WORKSPACE"
