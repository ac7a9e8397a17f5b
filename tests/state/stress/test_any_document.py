"""Any JSON document as ``state.json`` is read by the rules or refused untouched; and we write as the peers write."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from rawr_install.errors import StateCorruptError, StateVersionError
from rawr_install.state import document as schema, store as state
from tests.support.peers.actors import Actor, needs_node

pytestmark = pytest.mark.slow

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates, too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4))
IDS = st.lists(ANY_TEXT | st.sampled_from([" a ", "a", "\ufeffa\u2003", "\uff5e", "\U0001f600", "", "\n"]), max_size=6)
PLUGINS = st.fixed_dictionaries(
    {}, optional={"enabled": IDS | JSON, "disabled": IDS | JSON, "lastUpdatedAt": ANY_TEXT | JSON, "other": JSON}
)
VERSIONS = st.sampled_from([1, 1.0, 2, 0, True, "1", None])
STATES = st.fixed_dictionaries({"version": VERSIONS}, optional={"plugins": PLUGINS | JSON, "more": JSON})
SOUND = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "plugins": st.fixed_dictionaries({}, optional={"enabled": IDS, "disabled": IDS, "other": JSON}),
        "more": JSON,
    },
)
NOT_DURABLE = state.RepoStateMutationOptions(durable=False)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
# ECMA-262: WhiteSpace and LineTerminator.
JS_SPACE = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))


def tidy(ids: list[str]) -> list[str]:
    unique = {name.strip(JS_SPACE) for name in ids} - {""}
    return sorted(unique, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def verdict(document: Any) -> str:
    """The rules again, in other words than the product's."""
    match document:
        case {"version": version} if type(version) in (int, float):
            if version != 1:
                return "another version"
        case _:
            return "corrupt"
    plugins = document.get("plugins", {})
    sound = (
        isinstance(plugins, dict)
        and are_ids(plugins.get("enabled", []))
        and are_ids(plugins.get("disabled", []))
        and isinstance(plugins.get("lastUpdatedAt", ""), str)
    )
    return "sound" if sound else "corrupt"


def without(mapping: dict[str, Any], *known: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in known}


def workspace(data: bytes) -> Path:
    path = Path(tempfile.mkdtemp()) / ".rawr/state/state.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def enable_x(found: state.RepoState) -> state.RepoState:
    found["plugins"]["enabled"].append("x")
    return found


@QUICK
@example(document={"version": 1})
@example(document={"version": 2, "plugins": {}})
@example(document=[])
@given(document=STATES | SOUND | JSON)
def test_any_document_is_read_by_the_rules_or_refused_untouched(document: Any) -> None:
    path = workspace(json.dumps(document).encode())
    root = path.parents[2]
    if (said := verdict(document)) != "sound":
        refused(path, {"corrupt": StateCorruptError, "another version": StateVersionError}[said])
        return
    plugins = document.get("plugins", {})
    found: Any = state.get_repo_state(root)
    assert found["plugins"]["enabled"] == tidy(plugins.get("enabled", []))
    on = set(found["plugins"]["enabled"])  # an id on both lists is read as enabled
    off = [name for name in tidy(plugins.get("disabled", [])) if name not in on]
    assert found["plugins"].get("disabled", []) == off
    assert found["plugins"].get("disabled") != []
    state.mutate_repo_state_atomically(root, enable_x, NOT_DURABLE)
    written = json.loads(path.read_bytes())
    assert set(written["plugins"]["enabled"]) == {*tidy(plugins.get("enabled", [])), "x"}
    assert not set(written["plugins"]["enabled"]) & set(written["plugins"].get("disabled", []))
    assert same(without(written, "version", "plugins"), without(document, "version", "plugins"))
    known = ("enabled", "disabled", "lastUpdatedAt")
    assert same(without(written["plugins"], *known), without(plugins, *known))


@QUICK
@example(data=b"")
@example(data=b"\xef\xbb\xbf{}")
@example(data=b'{"version":1,"version":1}')
@example(data=b'{"version":1,"more":1e999}')
@example(data=b'{"version":1,"more":NaN}')
@example(data=b"[" * 100_000)
# Hypothesis tries the constants of the source, too: b'{"version":2}' is a state, of another version.
@given(data=st.binary(max_size=40).filter(lambda data: b"version" not in data))
def test_bytes_that_are_no_state_are_refused_untouched(data: bytes) -> None:
    refused(workspace(data), StateCorruptError)


def refused(path: Path, error: type[Exception]) -> None:
    before, data = path.stat(), path.read_bytes()
    with pytest.raises(error):
        state.get_repo_state(path.parents[2])
    with pytest.raises(error):
        state.mutate_repo_state_atomically(path.parents[2], enable_x, NOT_DURABLE)
    assert path.read_bytes() == data
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not (path.parent / "state.lock").exists()


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are one number there, and a float's digits are JavaScript's."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, (int, float)):
        return type(one) is type(other) and bool(one == other)
    return isinstance(other, (int, float)) and math.isclose(one, other, rel_tol=0, abs_tol=0)


@needs_node
def test_what_a_peer_writes_is_byte_for_byte_what_we_would_write() -> None:
    with Actor.node() as peer:

        @settings(QUICK, max_examples=60)
        @given(enabled=IDS, disabled=IDS)
        def check(enabled: list[str], disabled: list[str]) -> None:
            plugins = {"enabled": enabled, "disabled": [*disabled, "off"], "lastUpdatedAt": "2026-01-01T00:00:00.000Z"}
            path = workspace(json.dumps({"version": 1, "plugins": plugins}).encode())
            peer.do("enable", path.parents[2], ids=["peer"])
            theirs = path.read_bytes()
            assert schema.dump(schema.parse(theirs, "state.json")) == theirs

        check()
