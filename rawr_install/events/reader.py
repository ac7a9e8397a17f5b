"""Reading the event log: every line of it, torn and foreign ones included; no lock is taken."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from rawr_install.ecmascript import iso
from rawr_install.errors import UsageError

# Longer than any line of ours; a foreign file without line ends is read in such pieces.
_PIECE = 1 << 16
READ_LIMIT = 8 << 20  # bytes; our own log is rotated at an eighth of that
_OPENING = '{"eventId":'
_POLL_SECONDS = 0.2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Line:
    """One line of the log: ``event`` is None where the line is torn or no event of ours."""

    text: str
    event: dict[str, object] | None


def parse(raw: bytes) -> list[Line]:
    """Judge what stands between two line ends; an event has the strings ``eventId``, ``ts`` and ``type``.

    A writer that was cut off (power, a full disk) left no line end, so the next
    event stands behind its torn one: that gives two lines.
    """
    text = raw.decode("utf-8", "replace").rstrip("\r")
    event = _event(text)
    start = text.rfind(_OPENING)
    if event is None and start > 0:
        return [Line(text[:start], None), Line(text[start:], _event(text[start:]))]
    return [Line(text, event)] if text.strip() else []


def _event(text: str) -> dict[str, object] | None:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    ours = isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("eventId", "ts", "type"))
    return value if ours else None


def _finite(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise ValueError(f"{token} is not a JSON number that can be written again")
    return number


# NaN, Infinity and 1e999 would make a document of ours that no JSON reader takes.
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


class _Source:
    """One open log, read line by line as it grows."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._pending = b""

    def lines(self) -> Iterator[Line]:
        """The whole lines that are there now."""
        size = os.fstat(self.file.fileno()).st_size
        if size < self.file.tell():
            self.file.seek(0)  # emptied by hand
        # No further than the size: a file that grows as fast as it is read has no end.
        while data := self.file.read(min(_PIECE, size - self.file.tell())):
            *whole, self._pending = (self._pending + data).split(b"\n")
            for raw in whole:
                yield from parse(raw)
            if len(self._pending) > _PIECE:
                yield from self.rest()

    def rest(self) -> Iterator[Line]:
        """What stands after the last line end: a torn line, or one of another program."""
        pending, self._pending = self._pending, b""
        yield from parse(pending)

    def close(self) -> Iterator[Line]:
        """Everything that is left; the file is closed."""
        with self.file:
            yield from self.lines()
            yield from self.rest()


def read(path: str) -> Iterator[Line]:
    """Every line, the log that was set aside first; a missing log has none. Raises OSError for an unreadable one."""
    for source in _open_both(path):
        yield from source.close()


def follow(path: str) -> Generator[Line, None, None]:
    """Every line there is, then each new one as it is written, across rotations; ends only by an exception.

    However many rotations come between two looks, nothing is lost that is still in one of the two files then.
    """
    sources: list[_Source] = []
    try:
        while True:
            found = [_known(source, sources) for source in _open_both(path)]
            for dropped in (source for source in sources if source not in found):
                yield from dropped.close()
            sources = found
            for source in sources:
                yield from source.lines()
            time.sleep(_POLL_SECONDS)
    finally:
        for source in sources:
            source.file.close()


def _known(source: _Source, sources: Sequence[_Source]) -> _Source:
    """The one of ``sources`` that is open on the same file, at the place to which it was read; else ``source``."""
    for known in sources:
        if os.path.sameopenfile(known.file.fileno(), source.file.fileno()):
            source.file.close()
            return known
    return source


def _open_both(path: str) -> list[_Source]:
    """The log that was set aside, and the current one, as they stood at one moment."""
    while True:
        # The current one first: while its name is still its own, what was set aside is the one just before it.
        current, aside = _open(path), _open(path + ".1")
        found = [source for source in (aside, current) if source]
        if current is None or _is_named(current, path):
            return found
        for source in found:
            source.file.close()


def _is_named(source: _Source, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(source.file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _open(path: str) -> _Source | None:
    """The log at ``path``, or None; of a file that is larger than any log of ours only its last :data:`READ_LIMIT`."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        return None
    info = os.fstat(file.fileno())
    if not stat.S_ISREG(info.st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    if info.st_size > READ_LIMIT:
        file.seek(info.st_size - READ_LIMIT)
        file.readline(_PIECE)
    return _Source(file)


# -- choosing --------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Which events are wanted: not before ``since`` (ISO 8601, UTC, ms, Z), of one of ``types``; empty is all."""

    since: str = ""
    types: Sequence[str] = ()

    def takes(self, event: dict[str, object]) -> bool:
        """Whether the event is wanted; ``lock`` takes every ``lock.*``."""
        kind = str(event["type"])
        wanted = not self.types or any(kind == name or kind.startswith(name + ".") for name in self.types)
        return wanted and str(event["ts"]) >= self.since


def parse_since(text: str, now_ms: int) -> str:
    """``10m``, ``2h``, ``3d`` ago or an ISO 8601 moment, as a time stamp of the log; raises UsageError."""
    if match := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
        return iso(max(0, now_ms - int(match[1]) * _UNITS[match[2]] * 1000))
    try:
        moment = datetime.fromisoformat(text)
        return iso(int(moment.timestamp() * 1000))  # a moment without a zone is local time
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text!r} is neither a time span nor an ISO 8601 moment.",
            code="BAD_SINCE",
            hint="for example: --since 10m, --since 2d, --since 2026-01-31T08:00:00Z",
        ) from None
