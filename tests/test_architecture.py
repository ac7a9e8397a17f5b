"""What import-linter cannot say: no room opens a connection, pure modules touch no machine."""

from __future__ import annotations

import ast
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_opens_a_connection(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] in NETWORK or name == "urllib.request"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_touches_no_machine(name: str) -> None:
    modules = [*PACKAGE.glob(f"{name}.py"), *PACKAGE.glob(f"{name}/*.py")]
    assert modules
    assert not {name.split(".")[0] for path in modules for name in imports(path)} & MACHINE
