"""Findings, lines for a person, and the envelope that every ``--json`` document comes in. Pure.

The envelope (wire): ``{"ok": true, "data", "warnings"?, "meta"}`` or
``{"ok": false, "error": {"message", "code", "details"?}, "warnings"?, "meta"}``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from rawr_install.encoding import well_formed
from rawr_install.errors import RawrError

SCHEMA_VERSION = 1
STATUSES = ("ok", "info", "warn", "fail", "skip", "crash")


class Remedy(NamedTuple):
    """The way out of a finding: words for a person, an argument vector for a program."""

    text: str
    argv: tuple[str, ...] = ()


class Finding(NamedTuple):
    """What one check found. ``id`` is stable; ``status`` is one of :data:`STATUSES`.

    ``cause`` is the id of the finding whose remedy mends this one as well, and is this one's.
    """

    id: str
    status: str
    summary: str
    evidence: Mapping[str, object] = MappingProxyType({})
    remedy: Remedy | None = None
    fixable: bool = False
    cause: str | None = None


class Span(NamedTuple):
    """A piece of a line that has a colour: that of a status, or ``bold``."""

    text: str
    style: str


Line = str | Span | tuple[str | Span, ...]
Document = dict[str, object]


def to_json(value: object) -> Any:
    """``value`` as JSON can hold it: dataclass and named tuple by their fields in camelCase, other tuples as lists."""
    fields = getattr(value, "_fields", None) or getattr(value, "__dataclass_fields__", None)
    if fields:
        return {_camel_case(name): to_json(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def success(command: str, data: object, warnings: Sequence[str] = ()) -> Document:
    """The envelope of a command that did what it was asked."""
    return _finish({"ok": True, "data": data}, command, warnings)


def failure(command: str, error: RawrError, warnings: Sequence[str] = ()) -> Document:
    """The envelope of a command that did not; the remedy is added to the details."""
    body: dict[str, object] = {"message": error.message, "code": error.code}
    details = dict(error.details or {})
    if error.remedy or error.hint:
        details.setdefault("remedy", way_out(error))
    if details:
        body["details"] = details
    return _finish({"ok": False, "error": body}, command, warnings)


def _finish(document: Document, command: str, warnings: Sequence[str]) -> Document:
    if warnings:
        document["warnings"] = list(warnings)
    document["meta"] = {"schemaVersion": SCHEMA_VERSION, "command": command}
    return document


def remedy_text(error: RawrError) -> str:
    """The remedy in words: the hint where there is one, else the command."""
    return error.hint or command_line(error.remedy)


def way_out(error: RawrError) -> Remedy:
    """The way out of an error."""
    return Remedy(remedy_text(error), error.remedy)


def to_run(*argv: str) -> Remedy:
    """The remedy that is a command."""
    return Remedy(command_line(argv), argv)


def command_line(argv: Sequence[str]) -> str:
    """``argv`` for a person to copy: one line that shows what :func:`printable` would escape, and yet can be run."""
    return " ".join(shlex.quote(word) if word.isprintable() else _ansi_c_quoted(word) for word in argv)


def _ansi_c_quoted(word: str) -> str:
    """``$'...'`` as POSIX.1-2024 has it, and bash, zsh, ksh and busybox long have had it: bytes in octal."""
    plain = (char if char.isprintable() and char not in "'\\" else _octal(char) for char in word)
    return f"$'{''.join(plain)}'"


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))


def to_text(document: object) -> str:
    """The document as printed (:func:`to_json`): 2-space indent, ASCII only so that any locale can print any path."""
    return well_formed(json.dumps(to_json(document), indent=2))


def printable(text: str) -> str:
    """``text`` with control characters and lone surrogates escaped: a path may carry a terminal's escape codes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
