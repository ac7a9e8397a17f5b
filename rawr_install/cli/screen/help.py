"""Help pages in lines that a terminal need not break in the middle of a word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import click

from rawr_install.cli.screen.terminal import stdout

_LEAST, _MOST = 30, 100  # columns: what words need, and what is easy to read


class Formatter(click.HelpFormatter):
    """click's, but for narrow terminals too: its own is never narrower than 50 columns."""

    def __init__(self) -> None:
        super().__init__(width=min(_columns(), _MOST) - 2)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """An option or a command and what it does; below it where it takes more than a third of the line."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


def page(ctx: click.Context) -> str:
    """The command's help page."""
    formatter = Formatter()
    ctx.command.format_help(ctx, formatter)
    width = _columns()
    lines = formatter.getvalue().rstrip("\n").split("\n")
    return "\n".join(part for line in lines for part in _beside_or_below(line, width))


def _columns() -> int:
    return max(stdout().width, _LEAST)


def _beside_or_below(line: str, width: int) -> Iterator[str]:
    """An example and what it does; below it where both do not fit into one line."""
    example, gap, said = line.rpartition("  ")
    if len(line) <= width or not (gap and example.strip()):
        yield line
        return
    indent = " " * (len(example) - len(example.lstrip()) + 4)
    yield example.rstrip()
    yield from textwrap.wrap(said, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
