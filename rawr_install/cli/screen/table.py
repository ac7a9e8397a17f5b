"""Tables that fit a line: columns as wide as their text needs, too long text folded, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rawr_install.report import printable

_GAP = 2


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The lines of a table of at most ``width`` columns; no line has white space at its end."""
    cells = [list(headers), *([printable(cell) for cell in row] for row in rows)]
    widths = _widths(cells, width)
    for row in cells:
        folded = (_folded(cell, size) for cell, size in zip(row, widths, strict=True))
        for parts in zip_longest(*folded, fillvalue=""):
            padded = (part.ljust(size) for part, size in zip(parts, widths, strict=True))
            yield (" " * _GAP).join(padded).rstrip()


def _widths(cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """What each column wants; where that is too much, the widest give way."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = width - _GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _folded(text: str, size: int) -> list[str]:
    """``text`` in pieces of at most ``size``, at spaces where there are some."""
    pieces = []
    while len(text) > size:
        cut = text.rfind(" ", 1, size + 1)
        pieces.append(text[:cut] if cut > 0 else text[:size])
        text = text[cut + 1 :] if cut > 0 else text[size:]
    return [*pieces, text]
