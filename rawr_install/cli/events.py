"""``rawr-install events``: show the local event log."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from rawr_install.cli.base import JSON_KEY, Result, command, show
from rawr_install.cli.screen.terminal import local_time
from rawr_install.ecmascript import unix_ms
from rawr_install.encoding import well_formed
from rawr_install.errors import RawrError, os_error_reason
from rawr_install.events import log, reader
from rawr_install.events.reader import Choice
from rawr_install.paths import Paths
from rawr_install.report import Line, Span

EXAMPLES = """
rawr-install events --since 1h                what happened in the last hour
rawr-install events --type lock --follow      watch locks wait, time out and change hands
rawr-install events --follow --json           one compact JSON object a line, without an end

The log is on this machine only. RAWR_EVENTS=off records nothing.
"""
_WIDTH = len("rawr-install plugins web disable")  # the longest name of a command that changes something
_COMMON = ("eventId", "ts", "type", "pid", "runId", "workflowId", "status", "detail")
Event = dict[str, Any]


@command("events", epilog=EXAMPLES)
@click.option("--follow", "-f", is_flag=True, help="Go on showing events as they come; ends with Ctrl-C.")
@click.option(
    "--since", default="", metavar="WHEN", help="Leave out what is older: 10m, 2h, 3d, or an ISO 8601 moment."
)
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type, or all under it (lock, run.failed)."
)
@click.option("--verbose", "-v", is_flag=True, help="Show every event, a run's start too, with all its fields.")
@click.pass_context
def events(ctx: click.Context, follow: bool, since: str, types: Sequence[str], verbose: bool) -> Result:
    """Show what changing commands did on this machine, and what happened at the locks; the newest comes last."""
    path = Paths.from_environ(os.environ).events_file
    choice = Choice(reader.parse_since(since, unix_ms()) if since else "", types)
    write = _raw if verbose else _sentence
    try:
        if follow:
            return _follow(path, choice, _as_json if JSON_KEY in ctx.meta else write)
        return _listing(path, choice, write)
    except OSError as error:
        raise _unreadable(path, error) from error


def _listing(path: str, choice: Choice, write: Callable[[Event], Line]) -> Result:
    lines = list(reader.read(path))
    chosen = [line.event for line in lines if line.event is not None and choice.takes(line.event)]
    strange = [line.text for line in lines if line.event is None]
    data = {"path": path, "events": chosen, "unreadable": strange}
    ended = {event.get("runId") for event in chosen if event["type"] in ("run.completed", "run.failed")}
    shown = [write(event) for event in chosen if write is _raw or not _is_start_of(event, ended)]
    warnings = [f"{len(strange)} lines in {path} are torn or no events of ours (--json shows them)."] if strange else []
    on, strange_word = log.switched_on(os.environ)
    if strange_word:
        warnings.append(
            f"{log.SWITCH_VARIABLE}={strange_word} is not understood, so events are recorded; off turns it off"
        )
    elif not on:
        warnings.append(f"{log.SWITCH_VARIABLE} is off here, so commands record nothing")
    return Result(data, shown or [f"No events in {path}."], warnings)


def _is_start_of(event: Event, ended: Collection[object]) -> bool:
    return event["type"] == "run.started" and event.get("runId") in ended


def _follow(path: str, choice: Choice, write: Callable[[Event], Line]) -> Result:
    """Print line by line: what has no end cannot be returned as one result."""
    gc.enable()  # this one may run for days
    try:
        for line in reader.follow(path):
            if line.event and choice.takes(line.event):
                show([write(line.event)])
    except KeyboardInterrupt:
        raise SystemExit(0) from None  # Ctrl-C is how a person says "enough"
    raise AssertionError("a followed log has no end")


def _as_json(event: Event) -> Line:
    return well_formed(json.dumps(event))


def _raw(event: Event) -> Line:
    """Everything that the event holds: time, type, what it is about, and its other fields."""
    words = [str(event[name]) for name in ("ts", "type", "workflowId", "detail") if event.get(name) is not None]
    return "  ".join((*words, *(f"{name}={json.dumps(value)}" for name, value in event.items() if name not in _COMMON)))


def _sentence(event: Event) -> Line:
    """When, what and how it ended, for a person."""
    output = event.get("output")
    output = output if isinstance(output, dict) else {}
    spent = output.get("durationMs", event.get("waitedMs"))
    seconds = f"{spent / 1000:.1f} s" if isinstance(spent, (int, float)) else ""
    what = str(event.get("workflowId") or event["type"])
    head = f"{local_time(str(event['ts']))}  {seconds:>7}  {what:<{_WIDTH}}  "
    if event["type"] == "run.failed":
        code = output.get("code")
        said = str(event.get("detail") or "").partition("\n")[0]
        return (head, Span(f"failed: {said}" + (f" [{code}]" if code else ""), "fail"))
    ends = {"run.completed": "done", "run.started": "started; no end is recorded"}
    return head + ends.get(str(event["type"]), str(event.get("root") or event.get("detail") or ""))


def _unreadable(path: str, error: OSError) -> RawrError:
    return RawrError(
        f"The event log {path} cannot be read: {os_error_reason(error)}.",
        code="EVENTS_UNREADABLE",
        remedy=("ls", "-l", path),
    )
