"""The JSON Schemas in the package as the reader of a document sees them, and the recorded wire documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.delta import PACKAGE, Change

SILENT = {"$comment", "$defs", "$id", "$ref", "$schema", "default", "definitions", "description", "examples", "title"}
LOWER = {"minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties"}
UPPER = {"maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties"}
Found = Iterator[tuple[str, str, bool]]  # place, what became of it, whether that breaks a reader


def schemas(before: Path, after: Path) -> Iterator[Change]:
    """What may newly appear in a document breaks its reader, and so does a guarantee that goes; what comes does not."""
    old, new = (dict(_schema_files(root)) for root in (before, after))
    for name in sorted(old.keys() | new.keys()):
        stem = Path(name).name.partition(".")[0]
        if name in old and name in new:
            for at, what, breaks in Comparison(old[name], new[name]).of(old[name], new[name], ""):
                yield Change("JSON", f"{stem} {at or '/'}", what, breaks, stem)
        else:
            yield Change("JSON", stem, "removed" if name in old else "added", name in old, stem)


def _schema_files(root: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted((root / PACKAGE).rglob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if isinstance(document, dict) and "$schema" in document:
            yield path.relative_to(root).as_posix(), document


class Comparison:
    """Two schemas, whose references are followed."""

    def __init__(self, old: Any, new: Any) -> None:
        self.roots = old, new
        self.seen: set[tuple[str, str]] = set()

    def of(self, old: Any, new: Any, at: str) -> Found:
        """The differences below one place."""
        references = tuple(str(each.get("$ref", "")) if isinstance(each, dict) else "" for each in (old, new))
        if all(references):
            if references in self.seen:
                return
            self.seen.add((references[0], references[1]))
        old, new = (self._followed(each, root) for each, root in zip((old, new), self.roots, strict=True))
        yield from _values(old, new, at)
        for value in _strings(old, "required") - _strings(new, "required"):
            yield f"{at}/required", f"{value} removed", True
        for value in _strings(new, "required") - _strings(old, "required"):
            yield f"{at}/required", f"{value} added", False
        for key in sorted((old.keys() | new.keys()) - SILENT - {"type", "enum", "const", "required"}):
            yield from self._keyword(key, old.get(key), new.get(key), f"{at}/{key}")

    def _followed(self, schema: Any, root: Any) -> dict[str, Any]:
        """``true`` is the schema that promises nothing."""
        if not isinstance(schema, dict):
            return {} if schema else {"enum": []}
        if "$ref" not in schema:
            return schema
        target = root
        for name in str(schema["$ref"]).removeprefix("#").split("/")[1:]:
            target = target[name]
        return {**self._followed(target, root), **{key: value for key, value in schema.items() if key != "$ref"}}

    def _keyword(self, key: str, old: Any, new: Any, at: str) -> Found:
        if old == new and "$ref" not in json.dumps([old, new]):
            return
        if key in ("properties", "patternProperties"):
            yield from self._properties(old or {}, new or {}, at)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            yield from self._branches(key, old or [], new or [], at)
        elif key == "additionalProperties" and (new is None or isinstance(new, bool)):
            yield at, f"{json.dumps(old)} became {json.dumps(new)}", isinstance(old, dict)
        elif old is None or new is None:
            yield at, "added" if old is None else "removed", new is None
        elif isinstance(old, dict | bool) and isinstance(new, dict | bool):
            yield from self.of(old, new, at)
        else:
            narrower = (key in LOWER and new > old) or (key in UPPER and new < old)
            yield at, f"{json.dumps(old)} became {json.dumps(new)}", not narrower

    def _properties(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Found:
        for name in sorted(old.keys() | new.keys()):
            if name in old and name in new:
                yield from self.of(old[name], new[name], f"{at}/{name}")
            else:
                yield f"{at}/{name}", "removed" if name in old else "added", name in old

    def _branches(self, key: str, old: list[Any], new: list[Any], at: str) -> Found:
        """Of a choice a branch that comes breaks, of what holds all at once one that goes."""
        same = [each for each in old if each in new]  # but what they refer to may differ
        old, new = [each for each in old if each not in same], [each for each in new if each not in same]
        for number, pair in enumerate([*zip(same, same, strict=True), *zip(old, new, strict=False)]):
            yield from self.of(*pair, f"{at}/{number}")
        choice = key in ("anyOf", "oneOf")
        for branch in old[len(new) :]:
            yield at, f"{json.dumps(branch)} removed", not choice
        for branch in new[len(old) :]:
            yield at, f"{json.dumps(branch)} added", choice


def _values(old: dict[str, Any], new: dict[str, Any], at: str) -> Found:
    """Types and listed values: one that may newly appear breaks, one that no longer does not."""
    for key, was, now in (("type", _types(old), _types(new)), ("enum", _listed(old), _listed(new))):
        if was is None or now is None:
            if was != now:
                yield f"{at}/{key}", "added" if was is None else "removed", now is None
            continue
        for value in sorted(now - was):
            yield f"{at}/{key}", f"may be {value}", True
        for value in sorted(was - now):
            yield f"{at}/{key}", f"no longer {value}", False


def _types(schema: dict[str, Any]) -> set[str] | None:
    named = schema.get("type")
    found = {named} if isinstance(named, str) else {*named} if named else None
    return found | {"integer"} if found and "number" in found else found


def _listed(schema: dict[str, Any]) -> set[str] | None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if values is None else {json.dumps(value, sort_keys=True) for value in values}


def _strings(schema: dict[str, Any], key: str) -> set[str]:
    return {*schema.get(key, ())}


def wire(before: Path, after: Path) -> Iterator[Change]:
    """What changed in the recorded wire documents (tests/conformance): they may grow, and nothing else."""
    folder = "tests/conformance"
    for path in sorted((before / folder).glob("*.json")):
        new = after / folder / path.name
        if new.exists():
            old_document, new_document = (json.loads(each.read_text("utf-8")) for each in (path, new))
            for at, what in _losses(old_document, new_document, ""):
                yield Change("wire", f"{path.name} {at}", what, True)
        else:
            yield Change("wire", path.name, "removed", True)


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
