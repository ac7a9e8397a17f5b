"""The public Python names of two checkouts, read by griffe without importing either."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.delta import PACKAGE, Change, assigned, of_sets

PART = "Python"
Taken = dict[str, tuple[str, set[str]]]  # name -> ("in", "out" or "inout", what its annotation admits)


def changes(before: Path, after: Path) -> Iterator[Change]:
    """Names, parameters and constants by griffe's rules; by ours types, and the fields of what goes in or comes out."""
    import griffe

    old, new = (_api(root) for root in (before, after))
    known, now = (_typed(api) for api in (old, new))
    told = set()
    for each in griffe.find_breaking_changes(old, new):
        path = str(each.as_dict()["object_path"]).removeprefix("rawr_public_api.").removeprefix(f"{PACKAGE}.")
        now_is = "" if each.new_value is None else f", now {each.new_value}"
        was = f"{each.kind.name.lower().replace('_', ' ')} (was {each.old_value}{now_is})"
        quoted = path.partition("(")[0].removesuffix(".__init__").rpartition(".")[2]
        told.add(quoted)
        yield Change(PART, path, was, True, quoted)
    for found in of_sets(PART, known, now):
        # A name that is still listed and leads nowhere is gone, too; of an unresolved name griffe tells nothing.
        quoted = found.name.partition("(")[0].partition(" ")[0].rpartition(".")[2]
        if not found.breaks or ("(" not in found.name and quoted not in told):
            yield Change(PART, found.name, found.what, found.breaks, quoted)
    for name in known.keys() & now.keys():
        yield from _type_changes(name, *known[name], *now[name])


def _type_changes(name: str, _: str, old: set[str], way: str, new: set[str]) -> Iterator[Change]:
    """What is taken may widen, what is given may narrow."""
    quoted = name.partition("(")[0].partition(" ")[0].rpartition(".")[2]
    for kind in sorted(old - new):
        yield Change(PART, name, f"no longer {kind}", "in" in way, quoted)
    for kind in sorted(new - old):
        yield Change(PART, name, f"may be {kind}", "out" in way, quoted)


def _api(root: Path) -> Any:
    """The public names as one module. The package resolves them on first use, which no static reader can see."""
    import griffe

    there = {home: names for home, names in _homes(root).items() if _is_module(root / PACKAGE / home.replace(".", "/"))}
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"from {PACKAGE}.{home} import {name}" for home, names in there.items() for name in names]
        listed = [name for names in there.values() for name in names]
        (Path(folder) / "rawr_public_api.py").write_text("\n".join([*lines, f"__all__ = {listed!r}", ""]))
        options: dict[str, Any] = {
            "search_paths": [str(root), folder],
            "allow_inspection": False,
            "modules_collection": griffe.ModulesCollection(),
            "try_relative_path": False,  # else the package beside the current folder would be read
        }
        if (root / PACKAGE).is_dir():
            griffe.load(PACKAGE, **options)
        return griffe.load("rawr_public_api", resolve_aliases=True, **options)


def _homes(root: Path) -> dict[str, list[str]]:
    """Home module -> its public names: the package's stub, before that (0.1) a table in its ``__init__``."""
    stub = root / PACKAGE / "__init__.pyi"
    if not stub.exists():
        return assigned(root, "_PUBLIC") or {}
    imports = [node for node in ast.parse(stub.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {(node.module or "").removeprefix(f"{PACKAGE}."): [each.name for each in node.names] for node in imports}


def _is_module(path: Path) -> bool:
    return path.with_name(f"{path.name}.py").exists() or (path / "__init__.py").exists()


def _typed(api: Any) -> Taken:
    """Every public name, parameter, result and field, and those of the classes that these are made of."""
    found: Taken = {}
    waiting = [(str(name), _target(api.members.get(str(name))), "") for name in api.exports or ()]
    seen = set()
    while waiting:
        name, target, way = waiting.pop()
        if target is None or (name, way) in seen:
            continue
        seen.add((name, way))
        found.setdefault(name, ("", set()))
        for part, annotation, admitted, goes in _parts(name, target, way):
            found[part] = (found.get(part, ("", set()))[0] + goes, admitted)
            waiting += [(str(each.name), each, goes) for each in _classes(annotation, api.modules_collection)]
    return found


def _parts(name: str, target: Any, way: str) -> Iterator[tuple[str, Any, set[str], str]]:
    """(name, annotation, what it admits, whether it goes in or comes out) of a function's or class's parts."""
    if target.is_function:
        for each in target.parameters:
            yield f"{name}({each.name})", each.annotation, _admitted(each.annotation), "in"
        yield f"{name} -> result", target.returns, _admitted(target.returns), "out"
    elif target.is_class:
        for field, member in target.all_members.items():
            if member.is_attribute and not field.startswith("_"):
                absent = {"absent"} if str(member.parent.keywords.get("total")) == "False" else set()
                yield f"{name}.{field}", member.annotation, _admitted(member.annotation) | absent, way
                if member.value is not None and "dataclass" not in target.labels:  # griffe tells of its defaults
                    yield f"{name}.{field} value", None, {str(member.value)}, "inout"
    elif target.is_attribute:
        yield f"{name} value", None, {str(target.value)}, "inout"


def _admitted(annotation: Any) -> set[str]:
    """The members of a union, and ``absent`` for a key that need not be there; nothing where no type is given."""
    found: set[str] = set()
    waiting = [] if annotation is None else [ast.parse(str(annotation), mode="eval").body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BinOp):
            waiting += [node.left, node.right]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("NotRequired", "Final"):
            waiting.append(node.slice)
            found |= {"absent"} if ast.unparse(node.value) == "NotRequired" else set()
        else:
            found.add(ast.unparse(node))
    return found


def _classes(annotation: Any, modules: Any) -> Iterator[Any]:
    """The package's own classes that an annotation names."""
    for each in annotation.iterate(flat=True) if hasattr(annotation, "iterate") else ():
        path = getattr(each, "canonical_path", "")
        if path.startswith(f"{PACKAGE}."):
            try:
                target = _target(modules[path])
            except KeyError:
                continue
            if target is not None and target.is_class:
                yield target


def _target(member: Any) -> Any:
    import griffe

    try:
        return member.final_target if member is not None and member.is_alias else member
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None
