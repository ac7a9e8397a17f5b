"""The plugin manager's manifest: what is read from it, and what an edit leaves as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from rawr_install.plugins.manifest import LIMIT, Link, Manifest, Step, edit, parse, read

AT = "/data/@rawr/cli/package.json"


def of(document: Any) -> Manifest:
    return parse((document if isinstance(document, str) else json.dumps(document)).encode(), AT)


def listing(*entries: Any) -> Manifest:
    return of({"oclif": {"plugins": list(entries)}})


# -- reading -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        ({"name": "a", "type": "link", "root": "/x/../y"}, Link("a", "link", "/x/../y")),
        ({"name": "a", "type": "user"}, Link("a", "user", None)),
        ({"name": "a"}, Link("a", "unknown", None)),
        ({"name": "a", "type": 5, "root": 6}, Link("a", "unknown", None)),
        ({"name": "a", "root": ""}, Link("a", "unknown", None)),
        ({"name": "a", "type": "link", "root": "../../p"}, Link("a", "link", "/data/p")),
    ],
)
def test_an_entry_is_read_as_the_wire_says(entry: Any, seen: Link) -> None:
    assert listing(entry).links == (seen,)


def test_an_entry_without_a_name_is_counted_not_dropped_silently() -> None:
    found = listing({"type": "link"}, {"name": 5}, {"name": ""}, "a", 7, [], {"name": "b"})
    assert ([link.name for link in found.links], found.nameless, found.problem) == (["b"], 6, None)


@pytest.mark.parametrize("document", [{}, {"oclif": {}}, {"oclif": None}, {"oclif": {"plugins": None}}])
def test_a_manifest_without_the_list_has_no_links_and_no_problem(document: Any) -> None:
    assert (of(document).links, of(document).problem) == ((), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{nope", "Expecting property name"),
        ("", "Expecting value"),
        ("[]", "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        ('{"oclif": []}', "oclif is not an object"),
        ('{"oclif": "x"}', "oclif is not an object"),
        ('{"oclif": {"plugins": {}}}', "oclif.plugins is not a list"),
        ('{"oclif": {"plugins": [1, null]}}', "entry 1 of oclif.plugins is null"),
        ('{"x": NaN}', "NaN is not JSON"),
        ('\ufeff{"oclif": {}}', "Unexpected UTF-8 BOM"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_manifest_from_which_nothing_can_be_read_is_corrupt_and_says_why(text: str, says: str) -> None:
    found = of(text)
    assert found.problem
    assert says in found.problem
    assert found.links == ()


def test_a_missing_manifest_is_empty_and_anything_else_in_its_place_a_problem(tmp_path: Path) -> None:
    assert read(str(tmp_path / "gone")) == Manifest(str(tmp_path / "gone"))
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "huge").write_bytes(b" " * (LIMIT + 1))
    problems = [read(str(tmp_path / name)).problem for name in ("dangling", "folder", "huge")]
    assert problems == [
        "it is a link that leads nowhere",
        "it cannot be read: a folder (EISDIR)",
        f"it cannot be read: more than {LIMIT} bytes (EFBIG)",
    ]


# -- editing -----------------------------------------------------------------


def after(text: str, *steps: Step) -> str:
    return edit(of(text), steps).decode()


def test_an_edit_changes_the_named_entry_and_nothing_else() -> None:
    before = {"name": "move", "zeal": 1.5, "type": "user", "root": None}
    others = {"name": "keep", "tag": "é 1.0"}, {"type": "nameless"}

    def text(entry: object) -> str:
        document = {"a": [1, 2], "oclif": {"plugins": [others[0], entry, others[1]], "schema": 1}, "last": "ü"}
        return json.dumps(document, indent=4, ensure_ascii=False) + "\n\n"

    made = {**before, "type": "link", "root": "/ws/ü"}
    assert after(text(before), Step("link", "move", "/ws/ü")) == text(made)


def test_uninstalling_takes_every_entry_of_the_name_and_leaves_the_rest() -> None:
    text = '{"oclif": {"plugins": [{"name": "a"}, {"name": "b"}, {"name": "a", "x": 1}]}}'
    assert after(text, Step("uninstall", "a")) == '{"oclif": {"plugins": [{"name": "b"}]}}'


def test_what_json_cannot_say_again_is_not_written_as_something_else() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        after('{"x": 1e999}', Step("link", "a", "/r"))
    assert r"\ud800" in after(r'{"x": "\ud800"}', Step("link", "a", "/r"))


def test_linking_a_name_with_two_entries_leaves_one_with_the_last_ones_keys() -> None:
    text = '{"oclif":{"plugins":[{"name":"a","x":1},{"name":"b"},{"name":"a","y":2}]}}'
    made = '{"name":"a","y":2,"type":"link","root":"/r"}'
    assert after(text, Step("link", "a", "/r")) == '{"oclif":{"plugins":[{"name":"b"},' + made + "]}}"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", [None, 1, 2, 4, "\t"])
@pytest.mark.parametrize("already", [[], [{"name": "x", "more": {"deep": [1]}}]])
def test_indent_line_ends_and_one_line_files_stay_what_they_were(already: list[Any], indent: Any, newline: str) -> None:
    def text(*entries: Any) -> str:
        document = {"a": 1, "oclif": {"plugins": [*already, *entries], "b": {}}, "c": [[]]}
        return json.dumps(document, indent=indent).replace("\n", newline) + newline

    made = {"name": "a", "type": "link", "root": "/r"}
    assert after(text(), Step("link", "a", "/r")) == text(made)
    assert after(text(made), Step("uninstall", "a")) == text()


def test_a_file_without_spaces_gets_none() -> None:
    text = '{"oclif":{"plugins":[]}}'
    assert after(text, Step("link", "a", "/r")) == '{"oclif":{"plugins":[{"name":"a","type":"link","root":"/r"}]}}'


@pytest.mark.parametrize("oclif", [{}, {"oclif": None}, {"oclif": {}}, {"oclif": {"plugins": None, "k": 1}}])
@pytest.mark.parametrize("indent", [2, "\t"])
def test_a_manifest_without_the_list_gets_one_in_its_own_indent(oclif: Any, indent: Any) -> None:
    document = {"x": 1, **oclif, "y": "ü"}
    changed = after(json.dumps(document, indent=indent, ensure_ascii=False) + "\n\n", Step("link", "a", "/r"))
    entry = {"name": "a", "type": "link", "root": "/r"}
    wanted = {**document, "oclif": {**(document.get("oclif") or {}), "plugins": [entry]}}
    assert changed == json.dumps(wanted, indent=indent, ensure_ascii=False) + "\n\n"


def test_a_missing_manifest_is_made_as_the_plugin_manager_makes_it() -> None:
    made = json.loads(edit(Manifest(AT), [Step("link", "a", "/r")]))
    entry = {"name": "a", "type": "link", "root": "/r"}
    assert made == {"private": True, "oclif": {"schema": 1, "plugins": [entry]}, "dependencies": {}}


def test_of_two_keys_of_one_name_the_last_is_edited_as_it_is_the_one_read() -> None:
    text = '{"oclif": {"plugins": [{"name": "x"}]}, "oclif": {"plugins": 1, "plugins": [{"name": "a"}]}}'
    assert [link.name for link in of(text).links] == ["a"]
    assert after(text, Step("uninstall", "a")) == '{"oclif": {"plugins": []}}'


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(["a", "b", "c", "@x/d"])
_entries = st.lists(
    st.fixed_dictionaries({}, optional={"name": _names, "type": st.just("user"), "root": st.text(), "more": _values})
    | st.integers()
    | st.text(),
    max_size=5,
)
_steps = st.lists(
    st.builds(Step, st.just("link"), _names, st.just("/r")) | st.builds(Step, st.just("uninstall"), _names), max_size=4
)


@given(
    before=st.dictionaries(st.text().filter(lambda key: key != "oclif"), _values, max_size=3),
    entries=_entries,
    steps=_steps,
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
)
def test_any_edit_leaves_everything_that_it_does_not_name(
    before: dict[str, Any], entries: list[Any], steps: list[Step], indent: Any, ascii_only: bool
) -> None:
    document = {**before, "oclif": {"first": 1, "plugins": entries, "last": [{}]}, "after": before}
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    changed = json.loads(edit(of(text), steps))
    named = {step.name for step in steps}

    def others(found: list[Any]) -> list[Any]:
        return [entry for entry in found if not (isinstance(entry, dict) and entry.get("name") in named)]

    assert others(changed["oclif"]["plugins"]) == others(entries)
    for name in named:
        last = [step for step in steps if step.name == name][-1]
        kept = [entry for entry in changed["oclif"]["plugins"] if isinstance(entry, dict) and entry.get("name") == name]
        assert [(entry["type"], entry["root"]) for entry in kept] == ([("link", "/r")] if last.verb == "link" else [])
    changed["oclif"]["plugins"] = entries
    assert changed == document
    assert list(changed) == list(document)
