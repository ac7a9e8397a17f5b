"""The same events as OpenTelemetry spans and log records; absent, broken or unreachable, nothing else changes."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rawr_install import events, otel
from rawr_install.errors import RefusedError
from tests.conftest import Machine
from tests.events.conftest import read_events
from tests.events.test_runs import change, logged

sdk = pytest.importorskip("opentelemetry.sdk", reason="the extra rawr-install[otel] is not installed")


# A busy machine may take longer than a user would want to wait.
PATIENT = {"OTEL_BSP_EXPORT_TIMEOUT": "30000"}


class Collector(ThreadingHTTPServer):
    """An OTLP collector over HTTP that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Any] = []
        self.logs: list[Any] = []
        self.service = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        if self.path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(data).resource_spans:
                self.server.service = plain(group.resource.attributes)["service.name"]
                self.server.spans += [span for scope in group.scope_spans for span in scope.spans]
        else:
            for group in ExportLogsServiceRequest.FromString(data).resource_logs:
                self.server.logs += [record for scope in group.scope_logs for record in scope.log_records]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the test's standard error."""


def plain(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_arrives_as_a_span_and_every_event_as_a_log_record(machine: Machine, collector: Collector) -> None:
    assert change(machine, "lock", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **PATIENT).code == 0
    local = logged(machine)
    [span] = collector.spans
    assert span.name == "rawr-install change"
    assert plain(span.attributes)["rawr.runId"] == local[0]["runId"]
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
    records = sorted(collector.logs, key=lambda record: plain(record.attributes)["rawr.ts"])
    assert sorted(record.event_name for record in records) == sorted(event["type"] for event in local)
    assert {plain(record.attributes)["rawr.eventId"] for record in records} == {event["eventId"] for event in local}
    assert {record.trace_id for record in records} == {span.trace_id}
    [contended] = [record for record in records if record.event_name == "lock.contended"]
    assert json.loads(plain(contended.attributes)["rawr.holder"]) == {"pid": 1}
    assert plain(contended.attributes)["rawr.attempts"] == 2
    assert collector.service == "rawr-install"


def test_a_failed_run_is_a_span_with_an_error(machine: Machine, collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "mine", **PATIENT}
    assert change(machine, "refused", **env).code == 1
    [span] = collector.spans
    assert (span.status.code, span.status.message) == (2, "No.")
    assert collector.service == "mine"
    [failed] = [record for record in collector.logs if record.event_name == "run.failed"]
    assert (failed.severity_text, failed.body.string_value) == ("ERROR", "No.")


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SERVICE_NAME": "mine"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "RAWR_EVENTS": "off"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
    ],
)
def test_nothing_leaves_the_machine_unless_it_is_asked_for(
    machine: Machine, collector: Collector, env: dict[str, str]
) -> None:
    ran = change(machine, "plain", **{name: collector.url if value == "URL" else value for name, value in env.items()})
    assert (ran.code, ran.out, ran.err) == (0, "done\n", "")
    assert collector.spans == collector.logs == []


def closed_port() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """A collector that accepts and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


BROKEN = [
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "CLOSED"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "DEAF"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "no url at all"},
    {"OTEL_TRACES_EXPORTER": "no-such-exporter", "OTEL_LOGS_EXPORTER": "no-such-exporter"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "CLOSED", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "CLOSED", "OTEL_BSP_MAX_QUEUE_SIZE": "many"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "CLOSED", "PYTHONPATH": "ABSENT"},
]


@pytest.mark.parametrize("env", BROKEN, ids=lambda env: " ".join(env.values()))
def test_a_broken_export_changes_nothing_for_the_user(
    machine: Machine, deaf: str, env: dict[str, str], tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    (absent / "opentelemetry").mkdir(parents=True)
    (absent / "opentelemetry/__init__.py").write_text("raise ImportError('not installed')\n")
    values = {"CLOSED": closed_port(), "DEAF": deaf, "ABSENT": str(absent)}
    ran = change(machine, "plain", **{name: values.get(value, value) for name, value in env.items()})
    assert (ran.code, ran.out, ran.err) == (0, "done\n", "")
    assert [event["type"] for event in logged(machine)] == ["run.started", "run.completed"]


def test_the_console_exporter_leaves_standard_output_to_the_document(machine: Machine) -> None:
    ran = change(machine, "plain", "--json", OTEL_TRACES_EXPORTER="console", OTEL_LOGS_EXPORTER="console")
    assert ran.json["ok"] is True
    assert "rawr-install change" in ran.err


IN_A_PROGRAM = """
import json, sys
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rawr_install import events

records, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
if sys.argv[1] == "configured":
    loggers, tracers = LoggerProvider(), TracerProvider()
    loggers.add_log_record_processor(SimpleLogRecordProcessor(records))
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    _logs.set_logger_provider(loggers)
    trace.set_tracer_provider(tracers)
before = trace.get_tracer_provider()
events.emit("lock.timeout", root="/w", holder={"pid": 7}, waitedMs=5000, attempts=3)
assert trace.get_tracer_provider() is before
found = [item.log_record for item in records.get_finished_logs()]
print(json.dumps([[r.event_name, r.severity_text, dict(r.attributes)["rawr.waitedMs"]] for r in found]))
"""


@pytest.mark.parametrize(("setup", "seen"), [("configured", [["lock.timeout", "ERROR", 5000]]), ("left alone", [])])
def test_a_program_that_uses_the_library_gets_events_in_its_own_sdk(
    machine: Machine, setup: str, seen: list[Any]
) -> None:
    ran = machine.run(sys.executable, "-c", IN_A_PROGRAM, setup)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == seen
    assert len(logged(machine)) == 1


def test_attributes_are_of_types_that_opentelemetry_has() -> None:
    event = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None, "f": {"g": [1]}}
    assert otel.attributes(event) == {
        "rawr.a": "x",
        "rawr.b": 1,
        "rawr.c": 1.5,
        "rawr.d": True,
        "rawr.f": '{"g": [1]}',
    }


def test_without_the_extra_the_modules_of_opentelemetry_are_never_loaded(log: Path) -> None:
    code = (
        "import sys; from rawr_install import events; events.emit('lock.lost', root='/w'); "
        "sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert len(read_events(log)) == 1


def test_a_refusal_in_a_run_is_not_swallowed_by_the_export(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "no-such-exporter")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setattr(otel, "_providers", None)
    with pytest.raises(RefusedError), events.Run("bad"):
        raise RefusedError("No.")
    assert len(read_events(log)) == 2
