"""The documentation is held against the project: links resolve, commands exist, error codes are documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from rawr_install.cli.main import root

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]


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


def test_every_error_code_is_documented() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    undocumented = {code for code in _codes() if f"`{code}`" not in text}
    assert not undocumented


def _codes() -> set[str]:
    """The literal of every ``code=`` argument and class attribute in the package."""
    found: set[str] = set()
    for path in (PROJECT / "rawr_install").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                found |= _strings(node.value)
            if isinstance(node, ast.Assign) and any(
                isinstance(name, ast.Name) and name.id == "code" for name in node.targets
            ):
                found |= _strings(node.value)
    return {code for code in found if re.fullmatch(r"[A-Z][A-Z_]{3,}[A-Z]", code)}


def _strings(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_the_project_speaks_of_itself_alone() -> None:
    for path in [*PAGES, *(PROJECT / "rawr_install").rglob("*.py"), *(PROJECT / "scripts").rglob("*")]:
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not re.search(r"\.\./shared|/work/|/root/", text), path
