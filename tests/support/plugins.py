"""Plugins and plugin manager manifests on disk, for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.machine import Machine

KINDS = {"cli": "toolkit", "agents": "agent", "web": "web", "api": "api", "workflows": "workflows"}
WIRING = {"commands": "./src/commands", "typescript": {"commands": "./src/commands"}}


def make_plugin(workspace: Path, group: str, folder: str, text: str | None = None, **more: Any) -> Path:
    """A plugin that keeps the contract, with ``more`` keys in its manifest; ``text`` is a manifest as it stands."""
    path = workspace / "plugins" / group / folder
    path.mkdir(parents=True)
    document = {"name": f"@rawr/{folder}", "rawr": {"kind": KINDS[group], "capability": folder}, **more}
    (path / "package.json").write_text(json.dumps(document) if text is None else text)
    return path


def make_linkable(workspace: Path, folder: str) -> Path:
    """A toolkit plugin that the plugin manager should link."""
    return make_plugin(workspace, "cli", folder, oclif=WIRING)


def manager_file(machine: Machine) -> Path:
    """Where the plugin manager's manifest is on this machine."""
    return machine.home / ".local/share/@rawr/cli/package.json"


def make_manager(machine: Machine, *entries: Any, text: str | None = None) -> Path:
    """The plugin manager's manifest with these entries, or with exactly ``text``."""
    path = manager_file(machine)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "@rawr/cli", "private": True, "oclif": {"plugins": list(entries), "schema": 1}}
    path.write_text(json.dumps(document, indent=2) + "\n" if text is None else text)
    return path


def link(name: str, root: Path | str) -> dict[str, str]:
    return {"name": name, "type": "link", "root": str(root)}


def entries_of(path: Path) -> Any:
    return json.loads(path.read_text())["oclif"]["plugins"]
