"""What plugins a workspace has: manifests in, plugins and contract violations out.

Rules:

* A plugin is a folder, or a link to one, under ``plugins/{cli,agents,web,api,
  workflows}`` that is not hidden and holds a ``package.json``.
* ``rawr.kind`` in it matches the folder, ``rawr.capability`` is a non-empty
  string, and the keys of :data:`FORBIDDEN` are gone from ``rawr``.
* The id is the package's name, else the folder's.
* A plugin that breaks a rule is a :class:`Violation`, a value like any other:
  it hides none of the rest.

:func:`parse` is the whole contract as a pure function of a manifest's bytes;
:func:`discover` lists and reads, at most :data:`LIMIT` bytes a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rawr_install import ecmascript
from rawr_install.ecmascript import collation, trim
from rawr_install.errors import os_error_reason
from rawr_install.files import read_regular

KIND_OF = {"cli": "toolkit", "agents": "agent", "web": "web", "api": "api", "workflows": "workflows"}
FORBIDDEN = ("templateRole", "channel", "publishTier", "published")
LIMIT = 1 << 20


class Plugin(NamedTuple):
    """One plugin that keeps the contract; ``linkable`` and ``runtime_web`` say what it can be used for.

    ``name`` is the package's, None where it has none: the id is the folder's name then.
    """

    id: str
    kind: str
    capability: str
    folder: str
    path: str
    linkable: bool
    runtime_web: bool
    name: str | None = None


class Violation(NamedTuple):
    """One plugin that breaks the contract, and how; ``group`` is the folder it is in."""

    id: str
    group: str
    path: str
    message: str


@dataclass(frozen=True)
class Catalog:
    """Everything found in one workspace, sorted by id as the peers sort."""

    plugins: tuple[Plugin, ...]
    violations: tuple[Violation, ...]

    @property
    def linkable(self) -> dict[str, str]:
        """Name and root of every plugin that the plugin manager should link."""
        return {plugin.id: plugin.path for plugin in self.plugins if plugin.linkable}

    def find(self, wanted: str) -> Plugin | None:
        """The plugin with that id, else the one in the folder of that name."""
        by_id = (plugin for plugin in self.plugins if plugin.id == wanted)
        return next(by_id, None) or next((plugin for plugin in self.plugins if plugin.folder == wanted), None)


class _BrokenError(Exception):
    """A rule of the contract that a manifest breaks."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


def discover(root: str, progress: Callable[[int], None] = lambda _number: None) -> Catalog:
    """Find every plugin of the workspace ``root``; ``progress`` hears how many were read. Never raises for a plugin."""
    found = []
    for number, each in enumerate(_read_all(root), 1):
        found.append(each)
        progress(number)
    found.sort(key=lambda each: collation(each.id))
    plugins = tuple(each for each in found if isinstance(each, Plugin))
    return Catalog(plugins, tuple(each for each in found if isinstance(each, Violation)))


def _read_all(root: str) -> Iterator[Plugin | Violation]:
    for group in KIND_OF:
        parent = os.path.join(root, "plugins", group)
        try:
            folders = _folders(parent)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            said = f"{parent} cannot be listed: {os_error_reason(error)}"
            yield Violation(f"plugins/{group}", group, parent, said)
            continue
        for folder in folders:
            if found := _read_one(parent, folder, group):
                yield found


def _folders(parent: str) -> list[str]:
    with os.scandir(parent) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()  # follows a link: a plugin kept elsewhere counts
    except OSError:
        return False  # ELOOP: a link that leads to itself is not a folder


def _read_one(parent: str, folder: str, group: str) -> Plugin | Violation | None:
    path = f"{parent}{os.sep}{folder}"
    folder = os.fsencode(folder).decode("utf-8", "surrogateescape")  # as an id, it is UTF-8 in every locale
    try:
        data = read_regular(_manifest(path), LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Violation(
            folder, group, path, f"Failed to read plugin manifest {_manifest(path)}: {os_error_reason(error)}"
        )
    return parse(data, path, folder, group)


def _manifest(path: str) -> str:
    return f"{path}{os.sep}package.json"


# -- the contract, pure ------------------------------------------------------


def parse(data: bytes, path: str, folder: str, group: str) -> Plugin | Violation:
    """Judge one manifest: ``data`` is the ``package.json`` of ``path``, the folder ``folder`` under ``group``."""
    try:
        return _plugin(ecmascript.parse(data), path, folder, KIND_OF[group], group)
    except _BrokenError as broken:
        message = f"Plugin manifest contract violation at {_manifest(path)}: {broken}"
        return Violation(broken.name or folder, group, path, message)
    except (ValueError, RecursionError) as error:
        return Violation(folder, group, path, f"Failed to parse plugin manifest {_manifest(path)}: {error}")


def _plugin(document: object, path: str, folder: str, kind: str, group: str) -> Plugin:
    if not isinstance(document, dict):
        raise _BrokenError("manifest must be a JSON object")
    name = document.get("name")
    name = name if isinstance(name, str) and name else None
    try:
        capability = _capability(document.get("rawr"), kind, group)
    except _BrokenError as broken:
        raise _BrokenError(str(broken), name) from None
    linkable = kind == "toolkit" and _has_commands(document.get("oclif"))
    runtime_web = kind == "web" and _exports_runtime(document.get("exports"))
    return Plugin(name or folder, kind, capability, folder, path, linkable, runtime_web, name)


def _capability(rawr: object, kind: str, group: str) -> str:
    if not isinstance(rawr, dict):
        raise _BrokenError("required rawr object is missing")
    for key in FORBIDDEN:
        if key in rawr:
            raise _BrokenError(f"forbidden rawr.{key} is present")
    found = rawr.get("kind")
    if not isinstance(found, str) or not found:
        raise _BrokenError("required rawr.kind is missing")
    if found not in KIND_OF.values():
        raise _BrokenError(f'invalid rawr.kind "{found}"')
    if found != kind:
        raise _BrokenError(f'rawr.kind must be "{kind}" for plugins/{group}/*')
    capability = rawr.get("capability")
    if not isinstance(capability, str) or not trim(capability):
        raise _BrokenError("required rawr.capability is missing")
    return trim(capability)


def _has_commands(oclif: object) -> bool:
    typescript = oclif.get("typescript") if isinstance(oclif, dict) else None
    places = [each.get("commands") for each in (oclif, typescript) if isinstance(each, dict)]
    return len(places) == 2 and all(isinstance(place, str) and place for place in places)


def _exports_runtime(exports: object) -> bool:
    # In a package's exports, null closes an entry point.
    return isinstance(exports, dict) and any(exports.get(entry) is not None for entry in ("./server", "./web"))
