"""How many wrappers stand around a function, measured on the function that runs: ``__wrapped__``, else its closure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CellType
from typing import Any

import click

# A wrapper that is meant to stand there: the module and name of its code, and why it is counted as none.
ALLOWED = {"click.decorators.pass_context.<locals>.new_func": "hands click's context over and does nothing else"}


def layers(function: Callable[..., Any], seen: tuple[object, ...] = ()) -> list[str]:
    """The wrappers around the innermost function, outermost first, by module and qualified name."""
    seen = (*seen, function)
    # Of several functions that one closes over, any may be the one that does the work: the deepest counts.
    stacks = [layers(each, seen) for each in _inside(function) if each not in seen]
    if not stacks:
        return []
    # Of the code, not of the function: a good wrapper carries the name of what it wraps.
    name = f"{function.__globals__['__name__']}.{function.__code__.co_qualname}"
    return [*([] if ALLOWED.get(name) else [name]), *max(stacks, key=len)]


def _inside(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """What a function wraps, as it says itself, else all functions that it closes over."""
    wrapped = getattr(function, "__wrapped__", None)
    filled = [cell for cell in getattr(function, "__closure__", None) or () if cell != CellType()]
    for value in [wrapped] if wrapped is not None else [cell.cell_contents for cell in filled]:
        if hasattr(value, "__code__"):
            yield value


def commands(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below ``command`` with its path."""
    yield path.strip() or "rawr-install", command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from commands(child, f"{path} {name}")
