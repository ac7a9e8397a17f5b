"""The same events through OpenTelemetry: a run is a span, every event is a log record. The only importer of it.

Two processes, two rules, as OpenTelemetry wants it:

* The command line is an application: :func:`start` sets the SDK up from the
  standard ``OTEL_*`` variables, and only where one of them names an exporter or
  an endpoint. Install the extra for it: ``rawr-install[otel]``.
* A program that uses this package as a library sets up its own SDK; its events
  go to the providers that it has made the process's own, if any.

Absent, broken or unreachable, nothing else changes: no output, no exit code,
and at most :data:`FLUSH_SECONDS` of time by default. Nothing here changes a global of
OpenTelemetry's.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

FLUSH_SECONDS = 1.0
# Any of these asks for an export; without one nothing leaves the machine.
VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_LOGS_EXPORTER",
)
# "otlp" without a protocol means HTTP here: that is the exporter in our extra.
_OTLP = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_SCOPE = "rawr_install"

_providers: tuple[Any, Any] | None = None
_spans: dict[str, Any] = {}


def start(environ: Mapping[str, str]) -> None:
    """Set up exporters for this process from the standard variables; raises what the SDK raises."""
    global _providers
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _silence()
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "rawr-install"})
    # No shutdown at exit: it would wait much longer for a collector than flush() does.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in _exporters("traces", environ):
        tracers.add_span_processor(BatchSpanProcessor(exporter))
    for exporter in _exporters("logs", environ):
        loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    _providers = (tracers, loggers)


def _exporters(signal: str, environ: Mapping[str, str]) -> list[Any]:
    from importlib.metadata import entry_points

    named = environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    made = []
    for name in (name.strip() for name in named.split(",")):
        entry = _OTLP.get(protocol or "", "otlp_proto_http") if name == "otlp" else name
        for found in entry_points(group=f"opentelemetry_{signal}_exporter", name=entry):
            # Standard output belongs to the command's own document.
            made.append(found.load()(**({"out": sys.stderr} if name == "console" else {})))
    return made


def _silence() -> None:
    """Keep the SDK's complaints (no collector, ...) off this command's standard error."""
    for name in ("opentelemetry", "urllib3"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def export(event: Mapping[str, object]) -> None:
    """Send one event of the log; raises what the SDK raises."""
    from opentelemetry import _logs, trace

    tracers, loggers = _providers or (trace.get_tracer_provider(), _logs.get_logger_provider())
    run_id, kind = str(event.get("runId", "")), str(event["type"])
    if kind == "run.started":
        _spans[run_id] = tracers.get_tracer(_SCOPE).start_span(str(event["workflowId"]), start_time=_nanoseconds(event))
    span = _spans.get(run_id)
    loggers.get_logger(_SCOPE).emit(_record(event, trace.set_span_in_context(span) if span else None))
    if span and kind in ("run.completed", "run.failed"):
        span.set_attributes(attributes(event))
        if kind == "run.failed":
            span.set_status(trace.StatusCode.ERROR, str(event.get("detail", "")))
        _spans.pop(run_id).end(end_time=_nanoseconds(event))


def _record(event: Mapping[str, object], context: Any) -> Any:
    from opentelemetry._logs import LogRecord, SeverityNumber

    bad = event["type"] in ("run.failed", "desk.failed", "lock.timeout", "lock.lost")
    return LogRecord(
        timestamp=_nanoseconds(event),
        context=context,
        severity_number=SeverityNumber.ERROR if bad else SeverityNumber.INFO,
        severity_text="ERROR" if bad else "INFO",
        body=event.get("detail") or event["type"],
        attributes=attributes(event),
        event_name=str(event["type"]),
    )


def attributes(event: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    """The event's fields as ``rawr.<field>``; what OpenTelemetry has no type for goes as JSON text."""
    return {
        f"rawr.{name}": value if isinstance(value, str | int | float | bool) else json.dumps(value, default=str)
        for name, value in event.items()
        if value is not None
    }


def _nanoseconds(event: Mapping[str, object]) -> int:
    return round(datetime.fromisoformat(str(event["ts"])).timestamp() * 1000) * 1_000_000


def flush(environ: Mapping[str, str] = os.environ) -> None:
    """Send what is waiting, for at most ``OTEL_BSP_EXPORT_TIMEOUT`` ms, else :data:`FLUSH_SECONDS`; then give up."""
    given = environ.get("OTEL_BSP_EXPORT_TIMEOUT", "")
    deadline = time.monotonic() + (int(given) / 1000 if given.isdecimal() else FLUSH_SECONDS)
    # The SDK's own deadline does not interrupt a request that hangs; a daemon thread does not outlive us.
    waiting = [threading.Thread(target=provider.force_flush, daemon=True) for provider in _providers or ()]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(max(0.0, deadline - time.monotonic()))


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks the command line to export."""
    return any(environ.get(name) for name in VARIABLES) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
