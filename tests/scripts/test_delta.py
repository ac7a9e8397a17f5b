"""What users hold on to, compared: each kind of change is told, and breaking exactly where it breaks somebody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.distribution import PROJECT
from tests.support.scripts import load

pytest.importorskip("griffe", reason="the extra rawr-install[review] is not installed")
load("lib/delta.py")  # puts the scripts on the path

from lib import delta_command_line, delta_documents, delta_names  # noqa: E402

Told = dict[str, tuple[str, bool]]  # name -> what became of it, whether that breaks

INIT = '__version__ = "1.2.0"\n_PUBLIC = {"core": ["LIMITS", "Options", "enable", "find"]}\n'
CORE = '''
from dataclasses import dataclass
from typing import NotRequired, TypedDict

LIMITS = ("few", "many")

@dataclass
class Options:
    timeout: float = 5.0
    _hidden: int = 0

class Found(TypedDict):
    path: str
    holder: str | None
    since: NotRequired[int]

def enable(root: str, name: str | int, options: Options | None = None) -> Found:
    """Enable."""

def find(root: str) -> str | None: ...

def _private(): ...
'''


def told(changes: Any) -> Told:
    return {each.name: (each.what, each.breaks) for each in changes}


def names(tmp_path: Path, *edits: tuple[str, str], init: str = INIT) -> Told:
    """What is told of the Python names after some edits of the module."""
    text = CORE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    for folder, code, head in (("before", CORE, INIT), ("after", text, init)):
        (tmp_path / folder / "rawr_install").mkdir(parents=True)
        (tmp_path / folder / "rawr_install/__init__.py").write_text(head)
        (tmp_path / folder / "rawr_install/core.py").write_text(code)
    return told(delta_names.changes(tmp_path / "before", tmp_path / "after"))


PYTHON: dict[str, tuple[tuple[str, str], str, str, bool]] = {
    "a removed function": (("def find(", "def _find("), "find", "removed", True),
    "a removed parameter": (("name: str | int, ", ""), "core.enable", "parameter", True),
    "a required parameter": (("root: str)", "root: str, deep: bool)"), "core.find", "parameter added required", True),
    "an optional parameter": (("root: str)", "root: str, deep: bool = False)"), "find(deep)", "added", False),
    "a removed field": (("timeout: float = 5.0", "_timeout: float = 5.0"), "core.Options.timeout", "object rem", True),
    "another default": (("5.0", "9.0"), "core.Options.__init__", "parameter changed default", True),
    "a new field": (("_hidden: int = 0", "_hidden: int = 0\n    deep: bool = False"), "Options.deep", "added", False),
    "a constant": (('"many"', '"lots"'), "LIMITS value", "may be ('few', 'lots')", True),
    "a parameter that takes less": (("str | int", "str"), "enable(name)", "no longer int", True),
    "a parameter that takes more": (("str | int", "str | int | bytes"), "enable(name)", "may be bytes", False),
    "a result that may be more": (("-> str | None", "-> str | bytes | None"), "find -> result", "may be bytes", True),
    "a result that is less": (("-> str | None", "-> str"), "find -> result", "no longer None", False),
    "a key of a result that goes": (("    path: str\n", ""), "Found.path", "removed", True),
    "a key of a result that comes": (("    path: str\n", "    path: str\n    at: int\n"), "Found.at", "added", False),
    "a key of another type": (("holder: str | None", "holder: int | None"), "Found.holder", "may be int", True),
    "a key that may be absent": (("path: str", "path: NotRequired[str]"), "Found.path", "may be absent", True),
    "keys that may all be absent": (("(TypedDict)", "(TypedDict, total=False)"), "Found.holder", "may be absent", True),
    "a key that is always there": (("NotRequired[int]", "int"), "Found.since", "no longer absent", False),
}


@pytest.mark.parametrize("case", PYTHON)
def test_python_names(case: str, tmp_path: Path) -> None:
    edit, name, what, breaks = PYTHON[case]
    found = names(tmp_path, edit)
    assert name in found, found
    assert found[name][0].startswith(what) and found[name][1] is breaks
    assert any(bad for _, bad in found.values()) is breaks


def test_what_is_private_may_change_and_the_rest_is_told_once(tmp_path: Path) -> None:
    assert names(tmp_path, ("def _private", "def _other")) == {}


def test_a_name_that_is_no_longer_public_is_removed(tmp_path: Path) -> None:
    assert names(tmp_path, init=INIT.replace(', "find"', ""))["find"][1] is True


@pytest.mark.parametrize("home", ["core/__init__.py", "room/core.py", "room/core/__init__.py"])
def test_a_public_name_may_move_within_the_package(home: str, tmp_path: Path) -> None:
    module = home.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    names(tmp_path, init=INIT.replace('"core"', f'"{module}"'))
    package = tmp_path / "after/rawr_install"
    (package / "core.py").unlink()
    (package / home).parent.mkdir(parents=True, exist_ok=True)
    (package / "room").mkdir(exist_ok=True)
    (package / "room/__init__.py").write_text("")
    (package / home).write_text(CORE)
    assert told(delta_names.changes(tmp_path / "before", tmp_path / "after")) == {}


# -- the command line ------------------------------------------------------------------


def a_group(*params: click.Parameter, **commands: click.Command) -> click.Group:
    group = click.Group("root")
    group.add_command(click.Command("do", params=list(params)))
    for name, command in commands.items():
        group.add_command(command, name)
    return group


def described(group: click.Group) -> dict[str, Any]:
    return dict(delta_command_line._described(group.to_info_dict(click.Context(group)), "rawr-install"))


def do(*names: str, **facts: Any) -> click.Group:
    """A command ``do`` with one option."""
    return a_group(click.Option([*names], **facts))


def mode(*choices: str) -> click.Group:
    return do("--mode", type=click.Choice(choices))


def takes(**facts: Any) -> click.Group:
    return a_group(click.Argument(["at"], **facts))


ALSO, HIDDEN = a_group(also=click.Command("also")), a_group(also=click.Command("also", hidden=True))
NONE, MODE, AT, FORCE = a_group(), mode("a", "b"), do("--at"), do("--force", is_flag=True)
COMMANDS: dict[str, tuple[click.Group, click.Group, tuple[str, str, bool] | None]] = {
    "a command that goes": (ALSO, NONE, ("also", "removed", True)),
    "a command that comes": (NONE, ALSO, ("also", "added", False)),
    "a command that is hidden": (NONE, HIDDEN, None),
    "an option that goes": (MODE, NONE, ("do --mode", "removed", True)),
    "an option that comes": (NONE, MODE, ("do --mode", "added", False)),
    "one that comes and is required": (NONE, do("--mode", required=True), ("do --mode", "added, required", True)),
    "one that becomes required": (AT, do("--at", required=True), ("do --at", "required False became True", True)),
    "a short name that goes": (do("-f", "--force", is_flag=True), FORCE, ("do -f", "removed", True)),
    "a flag that takes a word": (
        FORCE,
        do("--force", default=False),
        ("do --force", "takes nothing became boolean", True),
    ),
    "a choice that goes": (MODE, mode("a"), ("do --mode", "b is no longer a choice", True)),
    "a choice that comes": (MODE, mode("a", "b", "c"), ("do --mode", "c is a choice", False)),
    "a path that is checked": (takes(), takes(type=click.Path()), None),
    "a number where a word was": (AT, do("--at", type=int), ("do --at", "takes text became integer", True)),
    "an argument less": (takes(), takes(required=False), ("do AT", "required True became False", False)),
    "another default": (do("--at", default="x"), do("--at", default="y"), ("do --at", "default x became y", True)),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_and_options(case: str) -> None:
    old, new, row = COMMANDS[case]
    expected = {f"rawr-install {row[0]}": row[1:]} if row else {}
    assert told(delta_command_line.command_changes(described(old), described(new))) == expected


def test_the_commands_are_those_of_the_named_tree(tmp_path: Path) -> None:
    here = delta_command_line.commands(PROJECT)
    assert "rawr-install activate --force" in here or "rawr-install install --force" in here
    assert delta_command_line.commands(tmp_path) == {}
    (tmp_path / "rawr_install/cli").mkdir(parents=True)
    (tmp_path / "rawr_install/__init__.py").write_text("")
    (tmp_path / "rawr_install/cli/main.py").write_text("import click\nroot = click.Group('x')\n")
    assert [*delta_command_line.commands(tmp_path)] == ["rawr-install"]
    (tmp_path / "rawr_install/__init__.py").unlink()  # else the installed package would be described
    with pytest.raises(ValueError, match="cannot be described"):
        delta_command_line.commands(tmp_path)


PAGE = "| code | exit | meaning |\n|---|---|---|\n| `ONE` `TWO` | 1 | x |\n| `THREE` | 2, 127 | x |\n\n`FOUR` | 4 |\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("`ONE` ", "", {"ONE": ("removed", True)}),
        ("`ONE` ", "`ONE` `NEW` ", {"NEW": ("added", False)}),
        ("| 1 |", "| 1, 2 |", {"ONE": ("may exit with 2", True), "TWO": ("may exit with 2", True)}),
        ("2, 127", "127", {}),
        ("`FOUR`", "`FIVE`", {}),
    ],
)
def test_error_codes_and_exit_codes(old: str, new: str, expected: Told, tmp_path: Path) -> None:
    for folder, text in (("before", PAGE), ("after", PAGE.replace(old, new))):
        (tmp_path / folder / "docs").mkdir(parents=True)
        (tmp_path / folder / "docs/json.md").write_text(text)
    before, after = (delta_command_line.codes(tmp_path / name) for name in ("before", "after"))
    assert told(delta_command_line.code_changes(before, after)) == expected


def test_this_project_has_a_table_of_codes() -> None:
    assert delta_command_line.codes(PROJECT)["NO_WORKSPACE"] == {2, 127}


PROJECT_FILE = '[project]\nrequires-python = ">=3.11"\ndependencies = ["click>=8.2", "filelock>=4,<6"]\n'


@pytest.mark.parametrize(
    ("old", "new", "name", "what", "breaks"),
    [
        (">=3.11", ">=3.12", "requires-python", "3.11 is no longer", True),
        (">=3.11", ">=3.10", "requires-python", ">=3.11 became >=3.10", False),
        ("click>=8.2", "click>=8.3", "click", "8.2 is no longer", True),
        ("click>=8.2", "click>=8.2,<9", "click", "9 is no longer", True),
        ("click>=8.2", "click>8.2", "click", "8.2 is no longer", True),
        ("<6", "<7", "filelock", "<6,>=4 became <7,>=4", False),
        ('"click>=8.2", ', "", "click", "removed", False),
        ('"click>=8.2"', '"click>=8.2", "rich"', "rich", "added", False),
    ],
)
def test_dependencies(old: str, new: str, name: str, what: str, breaks: bool, tmp_path: Path) -> None:
    for folder, text in (("before", PROJECT_FILE), ("after", PROJECT_FILE.replace(old, new))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pyproject.toml").write_text(text)
    before, after = (delta_command_line.requirements(tmp_path / folder) for folder in ("before", "after"))
    ((said, bad),) = told(delta_command_line.requirement_changes(before, after)).values()
    assert said.startswith(what) and bad is breaks


# -- documents -------------------------------------------------------------------------

A, B = {"type": "string"}, {"enum": ["x", "y"]}
PROPERTIES: dict[str, Any] = {"a": {"$ref": "#/$defs/a"}, "b": B, "n": {"minimum": 1}}
SCHEMA: dict[str, Any] = {
    "$defs": {"a": A},
    "properties": PROPERTIES,
    "oneOf": [{"required": ["a"]}],
    "required": ["a"],
    "additionalProperties": False,
}


def having(**properties: Any) -> dict[str, Any]:
    return {"properties": {**PROPERTIES, **properties}}


def defined(**a: Any) -> dict[str, Any]:
    return {"$defs": {"a": a}}


NULL = {"required": ["a"], "properties": {"a": {"type": "null"}}}
SCHEMAS: dict[str, tuple[dict[str, Any], list[tuple[str, bool]]]] = {
    "a property that goes": ({"properties": {"a": A, "b": B}}, [("/properties/n", True)]),
    "a property that comes": (having(c={}), [("/properties/c", False)]),
    "a guarantee that goes": ({"required": []}, [("/required", True)]),
    "a guarantee that comes": ({"required": ["a", "b"]}, [("/required", False)]),
    "a value that may newly appear": (having(b={"enum": ["x", "y", "z"]}), [("/properties/b/enum", True)]),
    "a value that no longer appears": (having(b={"const": "x"}), [("/properties/b/enum", False)]),
    "values that are no longer listed": (having(b={}), [("/properties/b/enum", True)]),
    "a type that may newly appear": (defined(type=["string", "null"]), [("/properties/a/type", True)]),
    "a type behind a reference in a branch": ({"oneOf": [NULL]}, [("/oneOf/0/properties/a", False)]),
    "another type": (defined(type="number"), [("/properties/a/type", each) for each in (True, True, False)]),
    "a branch that comes": ({"oneOf": [*SCHEMA["oneOf"], {"required": ["b"]}]}, [("/oneOf", True)]),
    "a branch that goes": ({"oneOf": []}, [("/oneOf", False)]),
    "a lower bound": (having(n={"minimum": 0}), [("/properties/n/minimum", True)]),
    "a higher bound": (having(n={"minimum": 2}), [("/properties/n/minimum", False)]),
    "room for more": ({"additionalProperties": True}, [("/additionalProperties", False)]),
    "a definition under another name": ({"$defs": {"z": A}, **having(a={"$ref": "#/$defs/z"})}, []),
    "another description": ({"description": "new"}, []),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_a_schema_is_compared_as_its_reader_sees_it(case: str) -> None:
    change, expected = SCHEMAS[case]
    new = {**SCHEMA, **change}
    found = delta_documents.Comparison(SCHEMA, new).of(SCHEMA, new, "")
    assert sorted((at, breaks) for at, _, breaks in found) == sorted(expected)


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    old = {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"next": {"$ref": "#/$defs/t"}, "v": A}}}}
    new = {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"next": {"$ref": "#/$defs/t"}}}}}
    assert [at for at, _, _ in delta_documents.Comparison(old, new).of(old, new, "")] == ["/properties/v"]


def test_a_schema_that_goes_is_breaking_and_ours_are_found(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "rawr_install/data", tmp_path / "rawr_install/data")
    assert told(delta_documents.schemas(PROJECT, tmp_path)) == {}
    (tmp_path / "rawr_install/data/envelope.schema.json").unlink()
    assert told(delta_documents.schemas(PROJECT, tmp_path)) == {"envelope": ("removed", True)}


@pytest.mark.parametrize(
    ("document", "drift"),
    [
        ('{"cases": [{"id": 1, "key": "x"}, {"id": 2}]}', []),
        ('{"cases": [{"id": 1, "key": "x", "more": 1}], "new": 1}', []),
        ('{"cases": [{"id": 1, "key": "y"}]}', ["wire.json /cases/0/key"]),
        ('{"cases": [{"id": 1}]}', ["wire.json /cases/0/key"]),
        ('{"cases": []}', ["wire.json /cases"]),
        ("{}", ["wire.json /cases"]),
        ("", ["wire.json"]),
    ],
)
def test_a_recorded_wire_document_may_only_grow(document: str, drift: list[str], tmp_path: Path) -> None:
    for folder, text in (("before", '{"cases": [{"id": 1, "key": "x"}]}'), ("after", document)):
        (tmp_path / folder / "tests/conformance").mkdir(parents=True)
        if text:
            (tmp_path / folder / "tests/conformance/wire.json").write_text(text)
    assert [*told(delta_documents.wire(tmp_path / "before", tmp_path / "after"))] == drift
