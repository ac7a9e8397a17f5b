"""The documentation is held against the project: links resolve, commands exist, error codes are documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rawr_install import errors
from rawr_install.cli.main import root

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    for line in re.findall(r"rawr-install((?: [a-z][a-z-]*)+)", page.read_text()):
        assert _resolves(line.split()), f"{page.name} names `rawr-install{line}`"


PROSE = {"is", "are", "on", "the", "dispatch", "shell", "beside", "entry", "path", "and", "itself", "changes", "put"}


def _resolves(words: list[str]) -> bool:
    """Whether the first word is a command (or plain English after the program's name, which is no command line)."""
    command = root.get_command(click.Context(root), words[0])
    if command is None:
        return words[0] in PROSE
    if isinstance(command, click.Group) and len(words) > 1:
        return words[1] in command.list_commands(click.Context(command))
    return True


# -- error codes ------------------------------------------------------------------------

CODE = re.compile(r"[A-Z][A-Z0-9_]{3,}[A-Z0-9]")
SOURCE = {path: path.read_text() for path in sorted((PROJECT / "rawr_install").rglob("*.py"))}
ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}


def documented() -> dict[str, set[int]]:
    """Code -> exit codes, of the rows of the table in docs/json.md."""
    rows = re.findall(r"^\| (`[^|]*`) \| ([0-9, ]+) \|", (PROJECT / "docs/json.md").read_text(), re.M)
    codes = [(code, {*map(int, exits.split(","))}) for cell, exits in rows for code in CODE.findall(cell)]
    assert len(codes) == len(dict(codes)), "a code has two rows"
    return dict(codes)


def raised() -> dict[str, set[int]]:
    """Code -> exit codes, of every error class and of every call in the package that spells ``code=`` out."""
    found: dict[str, set[int]] = {}
    for kind in ERRORS.values():
        if issubclass(kind, errors.RawrError):
            found.setdefault(kind.code, set()).add(kind.exit_code)
    for text in SOURCE.values():
        tree = ast.parse(text)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = {word.arg: word.value for word in call.keywords if word.arg}
            if "code" in given and (code := exit_code(call, given.get("exit_code"))) is not None:
                for name in literals(given["code"]) or handed_on(tree, given["code"]):
                    found.setdefault(name, set()).add(code)
    for again, kind in (("as_usage", errors.UsageError), ("as_refused", errors.RefusedError)):
        for name in said_again(again):
            found[name].add(kind.exit_code)
    return found


def said_again(function: str) -> set[str]:
    """The codes of the dispatcher that a command gives with an exit code of its own (``dispatch/messages``)."""
    nodes = [node for text in SOURCE.values() for node in ast.walk(ast.parse(text))]
    calls = (node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == function)
    made = {getattr(call.args[0].func, "attr", "") for call in calls if isinstance(call.args[0], ast.Call)}
    return {
        code for node in nodes if isinstance(node, ast.FunctionDef) and node.name in made for code in literals(node)
    }


def exit_code(call: ast.Call, given: ast.expr | None) -> int | None:
    """What an error ends with: as given, else by its class; None for what is no error."""
    if given is not None:
        return int(ast.literal_eval(given))
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return getattr(ERRORS.get(name), "exit_code", None)


def literals(node: ast.expr) -> set[str]:
    words = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return {word for word in words if CODE.fullmatch(word)}


def handed_on(tree: ast.Module, value: ast.expr) -> set[str]:
    """The codes that a function whose first parameter is ``value`` gets from its callers."""
    if not isinstance(value, ast.Name):
        return set()
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.args.args]
    named = {node.name for node in functions if node.args.args[0].arg == value.id}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") in named]
    return {name for call in calls if call.args for name in literals(call.args[0])}


def test_the_table_has_every_error_code_with_its_exit_codes() -> None:
    table, source = documented(), raised()
    assert len(source) > 60
    assert {code: exits for code, exits in source.items() if not exits <= table.get(code, set())} == {}


def test_the_table_has_no_error_code_and_no_exit_code_too_many() -> None:
    source, text = raised(), "".join(SOURCE.values()) + (PROJECT / "shims/rawr").read_text()
    for code, exits in documented().items():
        # An owner's trouble is a status, of which its code is made.
        assert code in text or (code.startswith("OWNER_") and code[6:].lower().replace("_", "-") in text), code
        assert exits == source.get(code, exits), code


def test_what_runs_only_with_full_is_listed() -> None:
    _, _, after = (PROJECT / "CONTRIBUTING.md").read_text().partition("into this list:")
    listed = set(re.findall(r"`(tests/[^`]+)`", after.partition("\n\n")[0]))
    marked = re.compile(r'pytest\.mark\.full|^SET = .*"full"', re.M)
    files = (PROJECT / "tests").rglob("*.py")
    assert listed == {str(path.relative_to(PROJECT)) for path in files if marked.search(path.read_text())}


ELSEWHERE = r"\.\./shared\b|/work/|/root/|/tmp/h/|\bissue #?[0-9]+\b|\b(AI|LLM|sub-?agent)s?\b|\bhelper session\b"


def test_the_project_speaks_of_itself_alone() -> None:
    """No file that git knows names a path of the machine where it was written, or who wrote it when."""
    asked = ["git", "-c", "safe.directory=*", "-C", str(PROJECT), "ls-files"]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no git clone")
    found = []
    for name in {*done.stdout.split("\n")} - {"", "tests/test_docs.py"}:
        path = PROJECT / name
        if path.is_file() and (said := re.search(ELSEWHERE, path.read_text("utf-8", "replace"))):
            found.append(f"{name}: {said[0]}")
    assert not found


def test_every_page_has_its_place_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", (PROJECT / "docs/index.md").read_text()))
    assert {path.name for path in (PROJECT / "docs").glob("*.md")} == linked | {"index.md"}


@pytest.mark.slow
def test_the_picture_is_what_the_commands_show_now() -> None:
    done = subprocess.run([sys.executable, PROJECT / "scripts/picture", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# -- decisions ----------------------------------------------------------------------------

DECISIONS = sorted((PROJECT / "docs/adr").glob("[0-9]*.md"))
TEMPLATE = re.compile(
    r"# (\d+)\. [^\n]+\n\nStatus: (?:accepted|replaced by \d+)\n\n"
    r"\*\*Context\.\*\* .+\n\n\*\*Decision\.\*\* .+\n\n\*\*Consequence\.\*\* .+\n",
    re.S,
)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_keeps_to_the_template_and_to_twenty_lines(page: Path) -> None:
    found = TEMPLATE.fullmatch(page.read_text())
    assert found and int(found[1]) == int(page.name[:4])
    assert page.read_text().count("\n") <= 20


def test_decisions_are_numbered_without_gaps_and_all_stand_in_the_index() -> None:
    listed = re.findall(
        r"^(\d+)\. \[(.+)\]\((\d{4}-[a-z0-9-]+\.md)\)$", (PROJECT / "docs/adr/README.md").read_text(), re.M
    )
    assert [(int(number), name) for number, _, name in listed] == [
        (number, page.name) for number, page in enumerate(DECISIONS, 1)
    ]
    assert [page.read_text().partition("\n")[0] for page in DECISIONS] == [f"# {n}. {title}" for n, title, _ in listed]


# -- the voice of the project --------------------------------------------------------------

# A message says what is not so, and who does it; the second word is what to write.
SPOKEN = {
    r"\b[Ss]omebod(?:y|ies)": "another user, another process, another program",
    r"\bin no workspace": "outside every workspace",
    r"(?<![Tt]here) is no (?!longer|reason|answer)[a-z]": "is not a",
}


@pytest.mark.parametrize(
    "path", [*PAGES, PROJECT / "SECURITY.md", PROJECT / "shims/rawr", *SOURCE], ids=lambda path: path.name
)
def test_no_sentence_says_it_in_another_voice(path: Path) -> None:
    if path.name == "survivors.md":  # quotes code
        return
    text = path.read_text()
    assert {found[0]: better for worse, better in SPOKEN.items() for found in re.finditer(worse, text)} == {}
