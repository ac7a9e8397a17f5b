"""Run and desk events, and the links to where a run can be watched. Pure but for the clock and its random ids.

The shapes are shared with the TypeScript programs (``createDeskEvent``,
``defaultTraceLinks``): an optional field that was not given is absent, as it is
in a JSON document made by JavaScript, never null. Where events are stored is
no concern of this module (see :mod:`rawr_install.events.log`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict

from rawr_install.ecmascript import encode_uri_component, iso, unix_ms
from rawr_install.errors import TelemetryError

REQUIRED_RUN_LIFECYCLE_EVENT_TYPES: Final = ("run.started", "run.completed", "run.failed")
REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT: Final[Mapping[str, tuple[str, ...]]] = {
    "run.started": ("queued", "running"),
    "run.completed": ("completed",),
    "run.failed": ("failed",),
}
EVENT_TYPES: Final = (*REQUIRED_RUN_LIFECYCLE_EVENT_TYPES, "desk.started", "desk.completed", "desk.failed")
STATUSES: Final = ("queued", "running", "completed", "failed")
INNGEST_BASE_URL: Final = "http://localhost:8288"
NOT_GIVEN: Final = object()  # what JavaScript calls undefined: a payload may be null


@dataclass(frozen=True, slots=True)
class CreateDeskEventInput:
    """What an event is made of; ``payload`` is any JSON value, null too, and becomes the event's ``output``."""

    run_id: str
    workflow_id: str
    type: str
    status: str
    desk_id: str | None = None
    detail: str | None = None
    payload: object = NOT_GIVEN


@dataclass(frozen=True, slots=True)
class TraceLinkOptions:
    """What is known about the run at Inngest; an empty string counts as not given."""

    inngest_base_url: str | None = None
    inngest_run_id: str | None = None
    inngest_event_id: str | None = None


class DeskEvent(TypedDict):
    """The event as it is written: ``ts`` is ISO 8601 in UTC with milliseconds and a ``Z``."""

    eventId: str
    runId: str
    workflowId: str
    type: str
    deskId: NotRequired[str]
    ts: str
    status: str
    detail: NotRequired[str]
    output: NotRequired[object]


class TraceLink(TypedDict):
    """One place where a run can be watched."""

    provider: str
    label: str
    url: str


def create_desk_event(input: CreateDeskEventInput, now_ms: int | None = None) -> DeskEvent:
    """Make the event of ``input``; ``now_ms`` is the time in Unix milliseconds, the clock's by default.

    Raises TelemetryError for an unknown type or status, and for a run event
    whose status is not one that :data:`REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT` allows.
    """
    _check(input.type, input.status)
    moment = unix_ms() if now_ms is None else now_ms
    event: dict[str, object] = {
        "eventId": identifier("evt", moment),
        "runId": input.run_id,
        "workflowId": input.workflow_id,
        "type": input.type,
        "deskId": input.desk_id,
        "ts": iso(moment),
        "status": input.status,
        "detail": input.detail,
    }
    made = {key: value for key, value in event.items() if value is not None}
    if input.payload is not NOT_GIVEN:
        made["output"] = input.payload
    return made  # type: ignore[return-value]


def _check(event_type: str, status: str) -> None:
    if event_type not in EVENT_TYPES:
        raise TelemetryError(f"unknown event type '{event_type}'", hint="use one of: " + ", ".join(EVENT_TYPES))
    if status not in STATUSES:
        raise TelemetryError(f"unknown event status '{status}'", hint="use one of: " + ", ".join(STATUSES))
    allowed = REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT.get(event_type, STATUSES)
    if status not in allowed:
        message = f"invalid lifecycle status '{status}' for event '{event_type}'"
        raise TelemetryError(message, hint="use one of: " + ", ".join(allowed))


def default_trace_links(
    base_url: str, run_id: str, options: TraceLinkOptions | None = None, environ: Mapping[str, str] = os.environ
) -> list[TraceLink]:
    """Where ``run_id`` can be watched: the workspace's own timeline, then Inngest's trace.

    Inngest's base is the option, else ``INNGEST_BASE_URL``, else
    ``http://localhost:8288``. Raises TelemetryError for an id that is not Unicode text (a lone surrogate).
    """
    given = options or TraceLinkOptions()
    base = _trimmed(given.inngest_base_url) or _trimmed(environ.get("INNGEST_BASE_URL")) or INNGEST_BASE_URL
    timeline = f"{_trimmed(base_url)}/api/orpc/coordination/runs/{_encoded(run_id)}/timeline"
    named = f" ({given.inngest_run_id})" if given.inngest_run_id else ""
    return [
        {"provider": "rawr", "label": "RAWR Run Timeline", "url": timeline},
        {"provider": "inngest", "label": f"Inngest Trace{named}", "url": base + _trace_path(given, run_id)},
    ]


def _trace_path(given: TraceLinkOptions, run_id: str) -> str:
    if given.inngest_run_id:
        return f"/runs/{_encoded(given.inngest_run_id)}"
    if given.inngest_event_id:
        return f"/events/{_encoded(given.inngest_event_id)}"
    return f"/runs/{_encoded(run_id)}"


def _trimmed(base: str | None) -> str:
    return (base or "").rstrip("/")


def _encoded(text: str) -> str:
    try:
        return encode_uri_component(text)
    except UnicodeError:
        raise TelemetryError(f"the id {text!r} holds a lone surrogate and cannot stand in a URL") from None


def identifier(prefix: str, moment: int) -> str:
    """A fresh id, ``<prefix>-<Unix ms>-<8 hex digits>``."""
    return f"{prefix}-{moment}-{os.urandom(4).hex()}"
