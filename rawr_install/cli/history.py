"""``history``: the changes that were made on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from rawr_install.cli.base import Result, command
from rawr_install.cli.screen.terminal import local_time, stdout, tilde
from rawr_install.paths import Paths

if TYPE_CHECKING:
    from rawr_install.machine.change import Change, PathState
    from rawr_install.machine.records import Record


@command("history")
def history() -> Result:
    """List the changes that this toolkit has made, oldest first."""
    from rawr_install.machine.ownership import not_yours
    from rawr_install.machine.records import read_history

    paths = Paths.from_environ(os.environ)

    records = read_history(paths.history_file)
    lines = [line for record in records for line in _lines(record, paths.home, stdout().width)]
    theirs = not_yours(paths)
    data = {"records": [record.to_json() for record in records]}
    return Result(data, lines or ["No changes yet."], [theirs] if theirs else [])


def _lines(record: Record, home: str, width: int) -> Iterator[str]:
    head = f"{record.id:>4}  {local_time(record.at)}  {record.command}"
    yield head if record.status == "done" else f"{head} ({record.status})"
    for change in record.changes:
        if change.role != "receipt":
            yield from _step(change, home, width)


def _step(change: Change, home: str, width: int) -> Iterator[str]:
    """One line, or three where it is too long: a terminal would break a path in the middle of a word."""
    path, before, after = map(partial(tilde, home=home), (change.path, _shown(change.before), _shown(change.after)))
    line = f"      {path}: {before} -> {after}"
    yield from [line] if len(line) <= width else [f"      {path}:", f"        {before}", f"     -> {after}"]


def _shown(value: PathState) -> str:
    if value.kind == "file":
        first = value.data.decode("utf-8", "surrogateescape").partition("\n")[0]
        return "the shell entry" if first.startswith("#!") else first or "(empty)"
    return value.target or {"absent": "nothing", "kept": "a foreign file"}[value.kind]
