"""The rooms' rules: imports point one way, each dependency has one home, pure rooms touch no machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rawr_install"

# A room imports only from rooms with a smaller number. A folder is one room.
LEVEL = {
    "encoding": 0,
    "errors": 0,
    "atomic": 0,
    "report": 1,
    "files": 3,
    "paths": 2,
    "dispatch": 2,
    "events": 3,
    "state": 4,
    "machine": 5,
    "doctor": 6,
    "install": 6,
    "plugins": 6,
    "demo": 6,
    "cli": 7,
    "__main__": 8,
}
HOME_OF = {
    "click": {"cli"},
    "platformdirs": {"paths"},
    "filelock": {"machine"},
    "packaging": {"machine"},
}
# Modules that can open a connection: nothing leaves the machine.
NETWORK = {"asyncio", "ftplib", "http", "imaplib", "poplib", "smtplib", "socket", "socketserver", "ssl", "xmlrpc"}
PURE = {
    *("plugins/assess", "state/document", "report", "machine/facts"),
    *("doctor/diagnose", "doctor/verdict", "doctor/render", "doctor/redact", "doctor/checks"),
}
MACHINE = {"os", "sys", "subprocess", "pathlib", "shutil", "socket", "tempfile", "time"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def places_of(path: Path) -> set[str]:
    place = path.relative_to(PACKAGE)
    return {str(place.with_suffix("")), str(place.parent)}


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


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) != "__init__"]


def test_every_room_has_a_level_and_every_level_a_room() -> None:
    assert set(LEVEL) == {room_of(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "rawr_install" and len(parts) > 1 and parts[1] not in ("__version__", room):
            assert LEVEL[parts[1]] < LEVEL[room], f"{room} must not import {parts[1]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_opens_a_connection(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] in NETWORK or name == "urllib.request"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_dependency_has_one_home(path: Path) -> None:
    for name in imports(path):
        home = HOME_OF.get(name.split(".")[0])
        assert home is None or room_of(path) in home, f"{name} is imported outside {home}"


@pytest.mark.parametrize("path", [path for path in MODULES if PURE & places_of(path)], ids=lambda path: path.name)
def test_a_pure_room_touches_no_machine(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & MACHINE
