"""What a terminal gets to see: the one place that decides it.

Everything found on the machine may carry a terminal's escape codes, so commands
hand over plain text and :class:`~rawr_install.report.Span`; here control
characters are escaped, and colours are added where they can be seen.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import NamedTuple

from rawr_install.report import Line, Span, printable

# SGR parameters (ECMA-48).
_STYLES = {"fail": "1;31", "crash": "1;35", "warn": "1;33", "ok": "1;32", "info": "1;36", "skip": "1;2", "bold": "1"}


class Terminal(NamedTuple):
    """What standard output can show: its columns, colour or not, and the characters of its encoding."""

    width: int = 80
    colour: bool = False
    encoding: str = "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether it can show more than ASCII for sure: Python may run in UTF-8 where the terminal does not."""
        import locale  # few commands draw

        return all(name.lower().startswith("utf") for name in (self.encoding, locale.getencoding()))

    def show(self, line: Line) -> str:
        """``line`` as it is written: nothing in it moves the cursor, and no character is one that cannot be encoded."""
        spans = (line,) if isinstance(line, (str, Span)) else line
        return "".join(self._shown(span) for span in spans)

    def _shown(self, span: str | Span) -> str:
        text, style = span if isinstance(span, Span) else (span, "")
        plain = printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return f"\x1b[{_STYLES[style]}m{plain}\x1b[0m" if style and self.colour else plain


def local_time(moment: str) -> str:
    """An ISO 8601 moment as a person's clock shows it; what is none stays as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return moment


def tilde(path: str, home: str) -> str:
    """``path`` with the home folder as ``~``."""
    return "~" + path.removeprefix(home) if path == home or path.startswith(home + "/") else path


def tilde_in(sentence: str, home: str) -> str:
    """The sentence with ``~`` in its paths; not in a quoted one, where no shell would expand it."""
    return f" {sentence}".replace(f" {home}/", " ~/")[1:]


def stdout() -> Terminal:
    """What standard output can show."""
    terminal = sys.stdout.isatty()
    return Terminal(_width(terminal), _has_colour(terminal), sys.stdout.encoding or "ascii")


def _has_colour(terminal: bool) -> bool:
    """NO_COLOR (no-color.org), then FORCE_COLOR, then what the terminal is: the order of Python's own tracebacks."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")


def _width(terminal: bool) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if terminal else 80
    except (OSError, ValueError):
        return 80
