"""A sample workspace, made on the spot: the smallest checkout that `rawr` accepts.

It is written by code because a wheel keeps neither empty folders nor, with
every installer, the executable bit. Its CLI is a plain ``sh`` program, so that
it runs on a machine without Bun.
"""

from __future__ import annotations

import json
import os
import shlex
from importlib.resources import files

from rawr_install.dispatch.workspace import cli_path

_PLUGIN = {"name": "@sample/hello", "version": "1.0.0", "private": True, "exports": {"./server": "./server.js"}}
_FACTS = {"kind": "web", "capability": "hello"}


def create(root: str, name: str) -> str:
    """Make a workspace called ``name`` at ``root``, which must not exist; returns ``root``, raises OSError."""
    plugin = os.path.join(root, "plugins", "web", "hello")
    os.makedirs(plugin)
    os.makedirs(os.path.dirname(cli_path(root)))
    _write_json(os.path.join(root, "package.json"), {"name": name, "private": True})
    _write_json(os.path.join(root, "apps", "cli", "package.json"), {"name": "@sample/cli", "private": True})
    _write_json(os.path.join(plugin, "package.json"), {**_PLUGIN, "rawr": _FACTS})
    _write(os.path.join(plugin, "server.js"), "export default {};\n", 0o644)
    _write(cli_path(root), _program(name), 0o755)
    return root


def _program(name: str) -> str:
    template = files("rawr_install").joinpath("data/sample-run.js").read_text("utf-8")
    return template.replace('"@NAME@"', shlex.quote(name))


def _write_json(path: str, document: object) -> None:
    _write(path, json.dumps(document, indent=2) + "\n", 0o644)


def _write(path: str, text: str, mode: int) -> None:
    # Mode by chmod: the one given to open(2) loses the umask's bits.
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
