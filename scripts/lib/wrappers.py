"""How many wrappers stand around a function, measured on the function that runs: ``__wrapped__``, else its closure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

# A wrapper that is meant to stand there: the module and name of its code, and why it is counted as none.
ALLOWED = {"click.decorators.pass_context.<locals>.new_func": "hands click's context over and does nothing else"}


def layers(function: Callable[..., Any]) -> list[str]:
    """The wrappers around the innermost function, outermost first, by module and qualified name."""
    found: list[str] = []
    while (inner := _inside(function)) is not None:
        # Of the code, not of the function: a good wrapper carries the name of what it wraps.
        name = f"{function.__globals__['__name__']}.{function.__code__.co_qualname}"
        found += [] if name in ALLOWED else [name]
        function = inner
    return found


def _inside(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The one function that this one closes over; None where it wraps none, or chooses among several."""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    closed = [value for value in cells if hasattr(value, "__code__")]
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        return wrapped if hasattr(wrapped, "__code__") else None
    return closed[0] if len(closed) == 1 else None


def commands(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below ``command`` with its path."""
    yield path.strip() or "rawr-install", command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from commands(child, f"{path} {name}")
