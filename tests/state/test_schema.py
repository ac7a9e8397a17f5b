"""The format: any document is read by the rules or refused; what is written reads back; lists are tidy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from rawr_install.ecmascript import trim
from rawr_install.errors import StateCorruptError, StateVersionError
from rawr_install.state import document as schema, switch
from rawr_install.state.document import RepoState

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
IDS = st.lists(st.text(max_size=6), max_size=8)
PLUGINS = st.fixed_dictionaries(
    {},
    optional={"enabled": IDS | VALUES, "disabled": IDS | VALUES, "lastUpdatedAt": st.text() | VALUES, "more": VALUES},
)
DOCUMENTS = VALUES | st.fixed_dictionaries(
    {"version": st.just(1) | st.integers(-1, 3) | VALUES}, optional={"plugins": PLUGINS | VALUES, "more": VALUES}
)


def read(document: object) -> RepoState:
    return schema.parse(json.dumps(document).encode(), "here")


@given(DOCUMENTS)
def test_any_document_is_read_by_the_rules_or_refused(document: Any) -> None:
    try:
        state = read(document)
    except (StateCorruptError, StateVersionError) as error:
        assert error.message.startswith("here ")
        return
    assert document["version"] == 1
    plugins = document.get("plugins", {})
    for name in ("enabled", "disabled"):
        kept = state["plugins"].get(name, [])
        assert isinstance(kept, list)
        assert set(kept) == {trim(text) for text in plugins.get(name, [])} - {""}
        units = [text.encode("utf-16-be", "surrogatepass") for text in kept]
        assert units == sorted(set(units))
    assert {key: value for key, value in state.items() if key not in ("version", "plugins")} == {
        key: value for key, value in document.items() if key not in ("version", "plugins")
    }


@given(DOCUMENTS)
def test_what_is_written_reads_back_as_the_same_state(document: Any) -> None:
    try:
        state = read(document)
    except (StateCorruptError, StateVersionError):
        return
    data = schema.dump(state)
    # As doubles: 2**70 as a double is written with the digits that name it, not with all that it has.
    assert json.loads(data, parse_int=float) == json.loads(json.dumps(state), parse_int=float)
    assert schema.dump(schema.parse(data, "here")) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        schema.parse(data, "here")
    except (StateCorruptError, StateVersionError):
        return
    assert json.loads(data)["version"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"version":1,"a":1,"a":2}', "a key twice"),
        ('{"version":1,"a":1e999}', "no program can represent"),
        ('{"version":1,"a":NaN}', "is not JSON"),
        ('{"version":1,"a":-Infinity}', "is not JSON"),
        ('{"version":1,"a":' + "9" * 5000 + "}", "is not JSON"),
        ('{"version":1,"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('\ufeff{"version":1}', "is not JSON"),
        ('{"version":true}', "no version number"),
        ('{"version":1,"plugins":{"enabled":["a",1]}}', "not a list of strings"),
        ("  ", "is empty"),
    ],
)
def test_what_a_read_could_not_keep_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(StateCorruptError, match=reason):
        schema.parse(text.encode(), "here")


@pytest.mark.parametrize("version", ["2", "0", "-1", "1.5", "99999999999999999999"])
def test_another_version_is_its_own_error(version: str) -> None:
    with pytest.raises(StateVersionError, match=f"version {version}"):
        schema.parse(f'{{"version":{version}}}'.encode(), "here")


def test_version_one_point_zero_is_version_one_as_it_is_in_javascript() -> None:
    assert schema.parse(b'{"version":1.0}', "here")["version"] == 1


def test_huge_integers_and_lone_surrogates_survive() -> None:
    data = b'{"version":1,"n":123456789012345678901234567890,"s":"\\ud800"}'
    made = schema.dump(schema.parse(data, "here"))
    assert b"123456789012345678901234567890" in made and b'"\\ud800"' in made


def test_white_space_is_javascripts() -> None:
    state = read({"version": 1, "plugins": {"enabled": ["\ufeff a\u2003", "\x1cb\x85", "\u00a0"]}})
    assert state["plugins"]["enabled"] == ["\x1cb\x85", "a"]


@pytest.mark.contract("C1", "format.one-list", "an id is never on both lists")
@given(st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from("abcd"), min_size=1, max_size=3)), max_size=8))
def test_an_id_is_never_on_both_lists_after_any_switches(steps: list[tuple[bool, list[str]]]) -> None:
    state, on = schema.default_repo_state(), set[str]()
    for enable, names in steps:
        before = schema.fresh(state)
        after = switch(names, on=enable)(state)
        assert after is not None
        state = schema.one_list_each(schema.normalised(after), before)
        on = on | set(names) if enable else on - set(names)
        assert set(state["plugins"]["enabled"]) == on
        assert not on & set(state["plugins"].get("disabled", []))


@pytest.mark.parametrize(
    ("before", "after", "enabled", "disabled"),
    [
        (([], []), (["a"], ["a"]), ["a"], None),
        ((["a"], []), (["a"], ["a"]), [], ["a"]),
        (([], ["a"]), (["a"], ["a"]), ["a"], None),
        ((["a"], ["a"]), (["a"], ["a", "b"]), ["a"], ["b"]),
    ],
)
def test_an_id_on_both_lists_goes_where_the_mutation_put_it(
    before: tuple[list[str], list[str]], after: tuple[list[str], list[str]], enabled: list[str], disabled: Any
) -> None:
    states = [read({"version": 1, "plugins": {"enabled": on, "disabled": off}}) for on, off in (before, after)]
    plugins = schema.one_list_each(states[1], states[0])["plugins"]
    assert (plugins["enabled"], plugins.get("disabled")) == (enabled, disabled)


def test_the_time_stamp_is_now_unless_the_mutator_set_it() -> None:
    before = read({"version": 1, "plugins": {"lastUpdatedAt": "then"}})
    assert schema.dated(schema.fresh(before), before, "now")["plugins"]["lastUpdatedAt"] == "now"
    changed = schema.fresh(before)
    changed["plugins"]["lastUpdatedAt"] = "theirs"
    assert schema.dated(changed, before, "now")["plugins"]["lastUpdatedAt"] == "theirs"
    for none in ("", " ", schema.NEVER):
        changed["plugins"]["lastUpdatedAt"] = none
        assert schema.dated(changed, before, "now")["plugins"]["lastUpdatedAt"] == "now"


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1}}, {"a": object()}, {"a": float("nan")}, {"a": b"x"}])
def test_a_value_that_json_does_not_have_cannot_be_written(value: dict[Any, Any]) -> None:
    with pytest.raises(schema.Malformed):
        schema.dump({**schema.default_repo_state(), **value})  # type: ignore[typeddict-item]


def test_one_and_true_are_not_the_same_state() -> None:
    one, true = (read({"version": 1, "x": value}) for value in (1, True))
    assert not schema.same(one, true) and schema.same(one, read({"version": 1, "x": 1}))
