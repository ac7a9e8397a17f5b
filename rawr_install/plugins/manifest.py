"""The plugin manager's manifest: which plugins the workspace CLI loads. Bytes in, entries out; steps in, bytes out.

Format (wire): an npm ``package.json`` whose ``oclif.plugins`` is a list of
``{"name", "type", "root"}``. A missing type reads ``unknown``; a relative root
is relative to the manifest's folder; an entry without a name is counted, since
the program that reads the file skips it.

A manifest is *corrupt* when that program would read no plugin from it at all:
not UTF-8, not JSON, ``oclif`` not an object, ``oclif.plugins`` not a list, or a
null in the list.

:func:`edit` changes only ``oclif.plugins``, and there only the entries that it
is told to. Pure but for :func:`read`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rawr_install import ecmascript
from rawr_install.encoding import from_wire, to_wire
from rawr_install.errors import os_error_reason
from rawr_install.files import read_regular

LIMIT = 8 << 20
# What the plugin manager itself writes when it makes the file.
_FRESH = '{\n  "private": true,\n  "oclif": {\n    "schema": 1,\n    "plugins": []\n  },\n  "dependencies": {}\n}\n'


class Link(NamedTuple):
    """One entry with a name; ``root`` is absolute, None where the entry has none."""

    name: str
    type: str
    root: str | None


class Step(NamedTuple):
    """One change and why: ``link`` a name to a root, or ``uninstall`` a name."""

    verb: str
    name: str
    root: str = ""
    reason: str = ""

    @property
    def command(self) -> str:
        """The command of the workspace CLI that does the same (wire)."""
        if self.verb == "uninstall":
            return f"rawr plugins uninstall {self.name}"
        return f"rawr plugins link {ecmascript.stringify(self.root)} --install"


@dataclass(frozen=True)
class Manifest:
    """A manifest as read; ``problem`` says why it is corrupt, ``nameless`` counts entries without a name."""

    path: str
    links: tuple[Link, ...] = ()
    nameless: int = 0
    problem: str | None = None
    data: bytes | None = None


def read(path: str) -> Manifest:
    """Read the manifest at ``path``; never raises. A missing file is an empty manifest without ``data``."""
    try:
        return parse(read_regular(path, LIMIT), path)
    except FileNotFoundError:
        # A dangling link is not an absent file: a repair would write beside what the user set up.
        return Manifest(path, problem="it is a link that leads nowhere" if os.path.islink(path) else None)
    except OSError as error:
        return Manifest(path, problem=f"it cannot be read: {os_error_reason(error)}")


def parse(data: bytes, path: str) -> Manifest:
    """Judge the manifest's bytes; ``path`` is where relative roots start."""
    try:
        entries = _entries(ecmascript.parse(data))
    except (ValueError, RecursionError) as error:
        return Manifest(path, problem=str(error), data=data)
    folder = os.path.dirname(path)
    links = tuple(_link(entry, folder) for entry in entries if _named(entry))
    return Manifest(path, links, nameless=len(entries) - len(links), data=data)


def _entries(document: object) -> list[Any]:
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    oclif = document.get("oclif")
    if oclif is not None and not isinstance(oclif, dict):
        raise ValueError("oclif is not an object")
    found = oclif.get("plugins") if oclif else None
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError("oclif.plugins is not a list")
    if None in found:
        raise ValueError(f"entry {found.index(None)} of oclif.plugins is null")
    return found


def _named(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry["name"] != ""


def _link(entry: dict[str, Any], folder: str) -> Link:
    kind, root = entry.get("type"), entry.get("root")
    return Link(entry["name"], kind if isinstance(kind, str) else "unknown", _absolute(root, folder))


def _absolute(root: object, folder: str) -> str | None:
    if not isinstance(root, str) or not root:
        return None
    try:
        root = from_wire(root)
    except UnicodeError:
        pass  # a lone surrogate names no path; it leads nowhere, as written
    # An absolute root is shown as written.
    return root if os.path.isabs(root) else os.path.normpath(os.path.join(folder, root))


# -- editing -----------------------------------------------------------------


def edit(manifest: Manifest, steps: Sequence[Step]) -> bytes:
    """The manifest's bytes after ``steps``, for a manifest without ``problem``; a missing one is made.

    Raises UnicodeError for a root that is not UTF-8, ValueError or RecursionError for what JSON cannot say again.
    """
    text = _FRESH if manifest.data is None else manifest.data.decode("utf-8")
    document = json.loads(text)
    oclif = document["oclif"] = document.get("oclif") or {}
    oclif["plugins"] = oclif.get("plugins") or []
    for step in steps:
        oclif["plugins"] = _apply(oclif["plugins"], step)
    return _written_like(text, document)


def _apply(entries: list[Any], step: Step) -> list[Any]:
    same = [entry for entry in entries if _named(entry) and entry["name"] == step.name]
    if step.verb == "uninstall":
        return [entry for entry in entries if entry not in same]
    # The last entry of a name is the one that counts; it keeps its unknown keys.
    old = same[-1] if same else {"name": step.name}
    made = {**old, "type": "link", "root": to_wire(step.root)}
    if not same:
        return [*entries, made]
    return [made if entry is old else entry for entry in entries if entry is old or entry not in same]


def _written_like(text: str, document: object) -> bytes:
    """``document`` in the indentation, line ends and last lines of ``text``, as npm writes a ``package.json``."""
    found = re.match(r"\s*\{\r?\n([ \t]*)\S", text)
    gap = " " if '": ' in text else ""
    separators = ("," if found else f",{gap}", f":{gap}")
    indent = found[1] if found else None
    made = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    made = made.replace("\n", "\r\n" if "\r\n" in text else "\n") + text[len(text.rstrip()) :]
    return made.encode("utf-8", "backslashreplace")  # a lone surrogate is escaped in JSON as in Python
