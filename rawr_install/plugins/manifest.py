"""The plugin manager's manifest: which plugins the workspace CLI loads. Bytes in, entries out; steps in, bytes out.

Format (wire): an npm ``package.json`` whose ``oclif.plugins`` is a list of
``{"name", "type", "root"}``. A missing type reads ``unknown``; a relative root
is relative to the manifest's folder; an entry without a name is counted, since
the program that reads the file skips it.

A manifest is *corrupt* when that program would read no plugin from it at all:
not UTF-8, not JSON, ``oclif`` not an object, ``oclif.plugins`` not a list, or a
null in the list.

:func:`edit` changes the text only inside ``oclif.plugins``: everything else,
and every entry that is not named, stays byte for byte. Pure but for :func:`read`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rawr_install.encoding import from_wire, to_wire
from rawr_install.plugins import package_json

LIMIT = 8 << 20
# What the plugin manager itself writes when it makes the file.
_FRESH = '{\n  "private": true,\n  "oclif": {\n    "schema": 1,\n    "plugins": []\n  },\n  "dependencies": {}\n}\n'


class Link(NamedTuple):
    """One entry with a name; ``root`` is absolute, None where the entry has none."""

    name: str
    type: str
    root: str | None


class Step(NamedTuple):
    """One change: ``link`` a name to a root, or ``uninstall`` a name."""

    verb: str
    name: str
    root: str = ""


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
        return parse(package_json.read(path, LIMIT), path)
    except FileNotFoundError:
        # A dangling link is not an absent file: a repair would write beside what somebody set up.
        return Manifest(path, problem="it is a link that leads nowhere" if os.path.islink(path) else None)
    except (OSError, ValueError) as error:
        return Manifest(path, problem=f"it cannot be read ({getattr(error, 'strerror', None) or error})")


def parse(data: bytes, path: str) -> Manifest:
    """Judge the manifest's bytes; ``path`` is where relative roots start."""
    try:
        entries = _entries(package_json.decode(data))
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


class _Item(NamedTuple):
    """An entry of the list: its own text, its name if it has one, and its value."""

    text: str
    name: str | None
    value: Any


def edit(manifest: Manifest, steps: Sequence[Step]) -> bytes:
    """The manifest's bytes after ``steps``, for a manifest without ``problem``; a missing one is made.

    Raises UnicodeError for a name or a root that is not UTF-8.
    """
    text = _FRESH if manifest.data is None else manifest.data.decode("utf-8")
    start = _list_start(text)
    if start is None:
        text = _with_list(text)
        start = _list_start(text) or 0
    end = _value_end(text, start)
    spans = list(_elements(text, start))
    style = _Style(text, start, end, spans)
    items = [_item(text[a:b]) for a, b in spans]
    for step in steps:
        items = _apply(items, step, style)
    return (text[:start] + style.render([item.text for item in items]) + text[end:]).encode("utf-8")


def _item(text: str) -> _Item:
    value = json.loads(text)
    return _Item(text, value["name"] if _named(value) else None, value)


def _apply(items: list[_Item], step: Step, style: _Style) -> list[_Item]:
    same = [item for item in items if item.name == step.name]
    if step.verb == "uninstall":
        return [item for item in items if item.name != step.name]
    # The last entry of a name is the one that counts; it keeps its unknown keys.
    old = same[-1].value if same else {"name": step.name}
    value = {**old, "type": "link", "root": to_wire(step.root)}
    made = _Item(style.element(value), step.name, value)
    if not same:
        return [*items, made]
    return [made if item is same[-1] else item for item in items if item is same[-1] or item.name != step.name]


class _Style:
    """How the list is written: what stands before, between and after its entries, and how a new one is indented."""

    def __init__(self, text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> None:
        found = re.search(r"\n([ \t]+)\"", text)
        self.unit = found.group(1) if found else "  "
        self.gap = " " if '": ' in text else ""
        line = text[text.rfind("\n", 0, start) + 1 : start]
        outer = ("\r\n" if "\r\n" in text else "\n") + line[: len(line) - len(line.lstrip(" \t"))]
        if spans:
            self.opening, self.closing = text[start + 1 : spans[0][0]], text[spans[-1][1] : end - 1]
        else:
            many_lines = "\n" in text.strip()
            self.opening, self.closing = (outer + self.unit, outer) if many_lines else ("", "")
        alone = "," + (self.opening if "\n" in self.opening else self.gap)
        self.between = text[spans[0][1] : spans[1][0]] if len(spans) > 1 else alone

    def element(self, value: object) -> str:
        if "\n" not in self.opening:
            return json.dumps(value, ensure_ascii=False, separators=("," + self.gap, ":" + self.gap))
        return self.opening.join(json.dumps(value, ensure_ascii=False, indent=self.unit).split("\n"))

    def render(self, elements: Sequence[str]) -> str:
        return f"[{self.opening}{self.between.join(elements)}{self.closing}]" if elements else "[]"


def _with_list(text: str) -> str:
    """``text`` with an empty ``oclif.plugins`` added, written anew in its own indent (as npm does)."""
    document = json.loads(text)
    document["oclif"] = {**(document.get("oclif") or {}), "plugins": []}
    found = re.search(r"\n([ \t]+)\"", text)
    made = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=found.group(1) if found else 2)
    return made + text[len(text.rstrip()) :]


# -- where things are in the text; it has been parsed, so it is valid JSON ----

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value_end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]


def _member(text: str, at: int, wanted: str) -> int | None:
    """Where the value of ``wanted`` starts in the object at ``at``; of two, the last (as JSON readers take it)."""
    found = None
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        found = at if key == wanted else found
        at = _skip(text, _value_end(text, at))
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _list_start(text: str) -> int | None:
    oclif = _member(text, _skip(text, 0), "oclif")
    start = _member(text, oclif, "plugins") if oclif is not None and text[oclif] == "{" else None
    return start if start is not None and text[start] == "[" else None


def _elements(text: str, at: int) -> Iterator[tuple[int, int]]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        end = _value_end(text, at)
        yield at, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
