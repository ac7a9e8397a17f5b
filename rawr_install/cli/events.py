"""``rawr-install events``: show the local event log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import click

from rawr_install.cli.base import JSON_KEY, Result, command, show
from rawr_install.encoding import well_formed
from rawr_install.errors import RawrError
from rawr_install.events import reader as eventlog
from rawr_install.events.reader import Choice, Line
from rawr_install.events.telemetry import unix_ms
from rawr_install.paths import Places

EXAMPLES = """
rawr-install events --since 1h                what happened in the last hour
rawr-install events --type lock --follow      watch locks wait, time out and change hands
rawr-install events --follow --json           one compact JSON object a line, without an end

The log is on this machine only. RAWR_EVENTS=off records nothing.
"""
_COMMON = ("eventId", "ts", "type", "pid", "runId", "workflowId", "status", "detail")


@command("events", epilog=EXAMPLES)
@click.option("--follow", "-f", is_flag=True, help="Go on showing events as they come; ends with Ctrl-C.")
@click.option(
    "--since", default="", metavar="WHEN", help="Leave out what is older: 10m, 2h, 3d, or an ISO 8601 moment."
)
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type, or all under it (lock, run.failed)."
)
@click.pass_context
def events(ctx: click.Context, follow: bool, since: str, types: Sequence[str]) -> Result:
    """Show what changing commands did on this machine, and what happened at the locks."""
    path = Places.from_environ(os.environ).events_file
    choice = Choice(eventlog.parse_since(since, unix_ms()) if since else "", types)
    try:
        if follow:
            return _follow(path, choice, as_json=JSON_KEY in ctx.meta)
        return _listing(path, choice)
    except BrokenPipeError:
        raise  # the reader of our output went away; the log is fine
    except OSError as error:
        raise _unreadable(path, error) from error


def _listing(path: str, choice: Choice) -> Result:
    lines = list(eventlog.read(path))
    chosen = [line for line in lines if line.event is None or choice.takes(line.event)]
    strange = [line.text for line in lines if line.event is None]
    data = {"path": path, "events": [line.event for line in chosen if line.event], "unreadable": strange}
    shown = [shown_line(line) for line in chosen] or [f"No events in {path}."]
    warnings = [f"{len(strange)} lines in {path} are torn or no events of ours."] if strange else []
    return Result(data, shown, warnings)


def _follow(path: str, choice: Choice, as_json: bool) -> Result:
    """Print line by line: what has no end cannot be returned as one outcome."""
    try:
        for line in _wanted(eventlog.follow(path), choice):
            show([well_formed(json.dumps(line.event)) if as_json else shown_line(line)])
    except KeyboardInterrupt:
        raise SystemExit(0) from None  # Ctrl-C is how a person says "enough"
    raise AssertionError("a followed log has no end")


def _wanted(lines: Iterator[Line], choice: Choice) -> Iterator[Line]:
    return (line for line in lines if line.event and choice.takes(line.event))


def shown_line(line: Line) -> str:
    """One line for a person: time, type, what it is about, and its other fields."""
    event = line.event
    if event is None:
        return f"? {line.text[:200]}"
    words = [str(event[name]) for name in ("ts", "type", "workflowId", "detail") if event.get(name) is not None]
    others = [f"{name}={json.dumps(value)}" for name, value in event.items() if name not in _COMMON]
    return "  ".join((*words, *others))


def _unreadable(path: str, error: OSError) -> RawrError:
    return RawrError(
        f"The event log {path} cannot be read: {error.strerror}.",
        code="EVENTS_UNREADABLE",
        remedy=("ls", "-l", path),
    )
