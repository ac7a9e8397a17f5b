"""What import-linter cannot say: how large rooms get, none opens a connection, pure modules touch no machine."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rawr_install"

# Modules that can open a connection: nothing leaves the machine.
NETWORK = {"asyncio", "ftplib", "http", "imaplib", "poplib", "smtplib", "socket", "socketserver", "ssl", "xmlrpc"}
PURE = {
    *("plugins/assess", "state/document", "report", "machine/facts"),
    *("machine/plan", "machine/undo", "machine/outcome", "machine/messages"),
    *("doctor/diagnose", "doctor/verdict", "doctor/render", "doctor/redact", "doctor/checks"),
}
MACHINE = {"os", "sys", "subprocess", "pathlib", "shutil", "socket", "tempfile", "time"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "rawr_install":
            found |= {f"rawr_install.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_a_folder_and_a_file_can_be_taken_in_at_a_glance() -> None:
    assert not {str(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 350}
    assert max(Counter(path.parent for path in MODULES).values()) <= 16


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_opens_a_connection(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] in NETWORK or name == "urllib.request"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_touches_no_machine(name: str) -> None:
    modules = [*PACKAGE.glob(f"{name}.py"), *PACKAGE.glob(f"{name}/*.py")]
    assert modules
    assert not {name.split(".")[0] for path in modules for name in imports(path)} & MACHINE
