"""Judging and editing together, on manifests of every kind: one repair is enough, and it takes only what it planned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from rawr_install.plugins.assess import LEGACY_PLUGINS, Canonical, LinkFacts, assess
from rawr_install.plugins.catalog import Catalog, Plugin
from rawr_install.plugins.manifest import Manifest, edit, parse

AT = "/data/package.json"
NAMES = ("a", "b", "c", "d")
POOL = (*NAMES, "stranger", *LEGACY_PLUGINS)
# What stands at a root: the plugin's own folder by two spellings, another folder, nothing.
TARGETS: dict[str, tuple[int, int] | None] = {
    **{f"/ws/{name}": (1, number) for number, name in enumerate(NAMES)},
    **{f"/alias/{name}": (1, number) for number, name in enumerate(NAMES)},
    "/other": (1, 99),
    "/gone": None,
}

_entry = st.fixed_dictionaries(
    {"name": st.sampled_from(POOL)},
    optional={
        "type": st.sampled_from(["link", "user", 5]),
        "root": st.sampled_from([*TARGETS, None]),
        "more": st.lists(st.integers(), max_size=2),
    },
)
_entries = st.lists(_entry | st.just({"type": "nameless"}) | st.just("text"), max_size=8)


def facts(found: Manifest, expected: list[str]) -> LinkFacts:
    plugins = (Plugin(name, "toolkit", "x", name, f"/ws/{name}", True, False) for name in expected)
    return LinkFacts(Canonical("/ws"), Catalog(tuple(plugins), ()), found, TARGETS)


@given(entries=_entries, expected=st.lists(st.sampled_from(NAMES), unique=True), indent=st.sampled_from([None, 2]))
def test_one_repair_is_enough_and_touches_only_what_it_planned(
    entries: list[Any], expected: list[str], indent: int | None
) -> None:
    before = parse(json.dumps({"oclif": {"plugins": entries}}, indent=indent).encode(), AT)
    verdict = assess(facts(before, expected))
    after = parse(edit(before, verdict.actions), AT)
    again = assess(facts(after, expected))
    assert again.actions == ()
    assert not any(issue["autoFixable"] for issue in again.issues)
    planned = {action.name for action in verdict.actions}
    assert [link for link in after.links if link.name not in planned] == [
        link for link in before.links if link.name not in planned
    ]
    assert after.nameless == before.nameless
    if not verdict.actions:
        assert after.data == before.data


@given(entries=_entries, expected=st.lists(st.sampled_from(NAMES), unique=True))
def test_no_action_is_planned_twice_and_every_mendable_issue_has_one(entries: list[Any], expected: list[str]) -> None:
    verdict = assess(facts(parse(json.dumps({"oclif": {"plugins": entries}}).encode(), AT), expected))
    commands = [action.command for action in verdict.actions]
    assert len(commands) == len(set(commands))
    planned = {action.name for action in verdict.actions}
    assert planned == {issue["pluginName"] for issue in verdict.issues if issue["autoFixable"]}


@pytest.mark.slow
def test_the_benchmark_runs_and_prints_a_line_for_each_count() -> None:
    script = Path(__file__).parents[2] / "scripts/bench/plugins"
    done = subprocess.run(
        [sys.executable, str(script), "--counts", "10", "20", "--rounds", "2"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["plugins", "10", "20"]
