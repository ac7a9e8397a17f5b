"""What two checkouts of the project promise, compared: public symbols, JSON Schemas, recorded wire documents."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.version import Version

PACKAGE = "rawr_install"
Row = dict[str, str]


def assigned(root: Path, name: str) -> Any:
    """The literal that the package's ``__init__`` assigns to ``name``; None where there is none."""
    path = root / PACKAGE / "__init__.py"
    tree = ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == name for each in node.targets
        ):
            return ast.literal_eval(node.value)
    return None


def version(root: Path) -> str:
    """The package's version; ``0.0.0`` before there was one."""
    return str(assigned(root, "__version__") or "0.0.0")


def is_stable(released: str) -> bool:
    """Whether the version is 1.0 or later."""
    return Version(released).major >= 1


def may_break(before: str, after: str) -> bool:
    """Whether ``after`` may break users of ``before``: a new major version, below 1.0 a new minor one."""
    kept = 1 if is_stable(before) else 2
    return Version(after).release[:kept] > Version(before).release[:kept]


def unannounced(root: Path, before: str, names: list[str]) -> list[str]:
    """Those of ``names`` that neither the changelog above the section of ``before`` nor a fragment quotes."""
    path = root / "CHANGELOG.md"
    news = path.read_text("utf-8").partition(f"\n## {before}")[0] if path.exists() else ""
    news += "".join(fragment.read_text("utf-8") for fragment in (root / "changelog.d").glob("*.*.md"))
    quoted = {word for code in re.findall(r"`([^`]+)`", news) for word in re.findall(r"[\w-]+", code)}
    return [name for name in names if name not in quoted]


# -- public symbols --------------------------------------------------------


def symbols(before: Path, after: Path) -> dict[str, object]:
    """The delta of the public names: what was added, and what breaks its users.

    griffe reads both revisions without importing either. It is told what is public by a generated module that
    imports it, since the package resolves its names on first use, which no static reader sees.
    """
    import griffe

    old, new = _api(before), _api(after)
    known, now = set(_paths(old)), set(_paths(new))
    breaking = [
        {"symbol": _public(each.as_dict()["object_path"]), "kind": each.kind.name.lower(), "was": str(each.old_value)}
        for each in griffe.find_breaking_changes(old, new)
    ]
    # A name that is still listed and leads nowhere is gone, too; an unresolved name tells griffe nothing.
    reported = {row["symbol"].rpartition(".")[2] for row in breaking}
    gone = {name for name in known - now if name.isidentifier()} - reported
    breaking += [{"symbol": name, "kind": "object_removed", "was": "there"} for name in gone]
    added = sorted(now - known)
    kind = "breaking" if breaking else "additive" if added else "none"
    return {"delta": kind, "added": added, "breaking": sorted(breaking, key=json.dumps), "symbols": sorted(now)}


def _api(root: Path) -> Any:
    """The public names as one module. The package resolves them on first use, which no static reader can see."""
    import griffe

    table = _homes(root)
    there = {home: names for home, names in table.items() if _is_module(root / PACKAGE / home.replace(".", "/"))}
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"from {PACKAGE}.{home} import {name}" for home, names in there.items() for name in names]
        listed = [name for names in there.values() for name in names]
        (Path(folder) / "rawr_public_api.py").write_text("\n".join([*lines, f"__all__ = {listed!r}", ""]))
        collection = griffe.ModulesCollection()
        paths: dict[str, Any] = {
            "search_paths": [str(root), folder],
            "allow_inspection": False,
            "modules_collection": collection,
        }
        paths["try_relative_path"] = False  # else the package beside the current folder would be read
        if (root / PACKAGE).is_dir():
            griffe.load(PACKAGE, **paths)
        return griffe.load("rawr_public_api", resolve_aliases=True, **paths)


def _homes(root: Path) -> dict[str, list[str]]:
    """Home module -> its public names: the package's stub, before that (0.1) a table in its ``__init__``."""
    stub = root / PACKAGE / "__init__.pyi"
    if not stub.exists():
        return assigned(root, "_PUBLIC") or {}
    imports = [node for node in ast.parse(stub.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {(node.module or "").removeprefix(f"{PACKAGE}."): [each.name for each in node.names] for node in imports}


def _is_module(path: Path) -> bool:
    return path.with_name(f"{path.name}.py").exists() or (path / "__init__.py").exists()


def _paths(api: Any) -> Iterator[str]:
    """Every public name, the public members of classes, and the parameters of functions."""
    for name in api.exports or ():
        member = api.members.get(str(name))
        target = _target(member)
        if target is None:
            continue
        yield str(name)
        yield from (f"{name}({each.name})" for each in getattr(target, "parameters", ()) if target.is_function)
        if target.is_class:
            yield from (f"{name}.{inner}" for inner in target.members if not inner.startswith("_"))


def _target(member: Any) -> Any:
    import griffe

    try:
        return member.final_target if member is not None and member.is_alias else member
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None


def _public(path: str) -> str:
    return path.removeprefix("rawr_public_api.").removeprefix(f"{PACKAGE}.")


# -- JSON Schemas ----------------------------------------------------------


def schemas(before: Path, after: Path) -> dict[str, object]:
    """The delta of the JSON Schemas in the package, as the reader of a document sees it."""
    old, new = (dict(_schema_files(root)) for root in (before, after))
    breaking: list[Row] = [{"schema": name, "at": "", "what": "removed"} for name in sorted(set(old) - set(new))]
    added: list[Row] = [{"schema": name, "at": "", "what": "added"} for name in sorted(set(new) - set(old))]
    for name in sorted(set(old) & set(new)):
        for at, what, bad in _schema_changes(old[name], new[name], ""):
            (breaking if bad else added).append({"schema": name, "at": at or "/", "what": what})
    kind = "breaking" if breaking else "additive" if added else "none"
    return {"delta": kind, "added": added, "breaking": breaking, "schemas": sorted(new)}


def _schema_files(root: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted((root / PACKAGE).rglob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if isinstance(document, dict) and "$schema" in document:
            yield path.relative_to(root).as_posix(), document


def _schema_changes(old: Any, new: Any, at: str) -> Iterator[tuple[str, str, bool]]:
    """(place, what, whether it breaks a reader). A property or guarantee that goes breaks; one that comes does not."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield at, f"{json.dumps(old)} became {json.dumps(new)}", True
        return
    for key in sorted({*old, *new} - {"description", "title", "$comment", "examples", "$id"}):
        place = f"{at}/{key}"
        if key in ("required", "enum") and isinstance(old.get(key, []), list) and isinstance(new.get(key, []), list):
            yield from _list_changes(key, old.get(key, []), new.get(key, []), place)
        elif key not in new:
            yield place, "removed", True
        elif key not in old:
            yield place, "added", False
        else:
            yield from _schema_changes(old[key], new[key], place)


def _list_changes(key: str, old: list[Any], new: list[Any], at: str) -> Iterator[tuple[str, str, bool]]:
    for value in (each for each in old if each not in new):
        yield at, f"{json.dumps(value)} removed", True
    for value in (each for each in new if each not in old):
        yield at, f"{json.dumps(value)} added", False


# -- wire documents --------------------------------------------------------


def drift(before: Path, after: Path) -> dict[str, object]:
    """What changed in the recorded wire documents (tests/conformance): they may grow, and nothing else."""
    folder = "tests/conformance"
    names = sorted(path.name for path in (before / folder).glob("*.json"))
    changed: list[Row] = []
    for name in names:
        new = after / folder / name
        if not new.exists():
            changed.append({"document": name, "at": "", "what": "removed"})
            continue
        old_document, new_document = (json.loads((root / folder / name).read_text("utf-8")) for root in (before, after))
        changed += [{"document": name, "at": at, "what": what} for at, what in _losses(old_document, new_document, "")]
    return {"drift": bool(changed), "documents": names, "changed": changed}


def _losses(old: Any, new: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key in new:
                yield from _losses(old[key], new[key], f"{at}/{key}")
            else:
                yield f"{at}/{key}", "removed"
    elif isinstance(old, list) and isinstance(new, list) and len(new) >= len(old):
        for number, value in enumerate(old):
            yield from _losses(value, new[number], f"{at}/{number}")
    elif old != new:
        yield at, "changed"
