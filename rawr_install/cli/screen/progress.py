"""Progress for a person who waits: one line on stderr, only on a terminal, only after a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rawr_install.report import printable

FIRST = 1.0  # seconds of silence
EVERY = 0.1  # seconds between two updates


class Progress:
    """A line that shows how far a task is; for ``with``, which wipes it away at the end."""

    def __init__(self, text: str) -> None:
        self._text = printable(text)
        self._next = time.monotonic() + FIRST
        self._shown = False
        self._on = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __call__(self, number: int | None = None) -> None:
        """Say that the task goes on, ``number`` things done so far."""
        if not self._on or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        self._shown = True
        done = "" if number is None else f" {number}"
        print(f"\r{self._text}{done} ...", end="", file=sys.stderr, flush=True)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
