"""The rooms' rules: imports point one way, each dependency has one home, pure rooms touch no machine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rawr_install"

# A room imports only from rooms with a smaller number. A package (cli) is one room.
LEVEL = {
    "errors": 0,
    "durable": 0,
    "forks": 0,
    "hooks": 0,
    "npm_range": 0,
    "processes": 0,
    "volume": 0,
    "command_tree": 1,
    "git": 1,
    "judgement": 1,
    "lease": 1,
    "litter": 1,
    "package_json": 1,
    "paths": 1,
    "program": 0,
    "report": 1,
    "snapshot": 1,
    "takeover": 1,
    "telemetry": 1,
    "turnstile": 1,
    "workspace": 1,
    "entry": 2,
    "refusals": 2,
    "eventlog": 2,
    "events": 2,
    "folder": 2,
    "manifest": 2,
    "plugins": 2,
    "reading": 2,
    "sample": 2,
    "schema": 2,
    "watch": 2,
    "bun": 3,
    "dispatch": 3,
    "gate": 3,
    "inspection": 3,
    "links": 3,
    "shell_entry": 3,
    "lock": 3,
    "machine": 3,
    "drift": 4,
    "history": 4,
    "policy": 4,
    "receipt": 4,
    "state": 4,
    "facts": 5,
    "install_state": 5,
    "recovery": 5,
    "transaction": 5,
    "web": 5,
    "checks": 6,
    "inventory": 6,
    "repair": 6,
    "doctor": 7,
    "probe": 7,
    "chain": 8,
    "fixes": 8,
    "operations": 8,
    "redact": 8,
    "screen": 8,
    "shells": 8,
    "refresh": 9,
    "tour": 9,
    "cli": 10,
    "__main__": 12,
}
HOME_OF = {
    "click": {"cli"},
    "platformdirs": {"paths"},
    "filelock": {"turnstile", "machine"},
    "packaging": {"bun"},
}
# Modules that can open a connection: nothing leaves the machine.
NETWORK = {"asyncio", "ftplib", "http", "imaplib", "poplib", "smtplib", "socket", "socketserver", "ssl", "xmlrpc"}
PURE = {"drift", "schema", "report", "facts", "checks", "doctor", "screen", "redact"}
MACHINE = {"os", "sys", "subprocess", "pathlib", "shutil", "socket", "tempfile", "time"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


def test_the_architecture_page_names_every_room_with_its_level() -> None:
    page = (PACKAGE.parent / "docs/architecture.md").read_text()
    assert {room: int(level) for level, room in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.M)} == LEVEL


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


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in PURE], ids=lambda path: path.name)
def test_a_pure_room_touches_no_machine(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & MACHINE
