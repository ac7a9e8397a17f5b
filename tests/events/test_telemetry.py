"""Every rule and refusal of the event and trace-link shapes."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from rawr_install import (
    REQUIRED_RUN_LIFECYCLE_EVENT_TYPES,
    REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT,
    CreateDeskEventInput,
    TraceLinkOptions,
    create_desk_event,
    default_trace_links,
)
from rawr_install.ecmascript import iso, now
from rawr_install.errors import RawrError, TelemetryError
from rawr_install.events.telemetry import EVENT_TYPES, STATUSES

pytestmark = pytest.mark.contract("C2", "event.peers", "what the library makes is what the TypeScript programs make")


def event(**words: Any) -> dict[str, Any]:
    given = {"run_id": "r1", "workflow_id": "w1", "type": "run.started", "status": "running", **words}
    return dict(create_desk_event(CreateDeskEventInput(**given)))


@pytest.mark.contract("C2", "event.shape", "an event has the wire's fields")
def test_a_full_event_has_every_field_in_the_contracts_order() -> None:
    full = event(desk_id="d1", detail="because", payload={"answer": [42]})
    assert list(full) == ["eventId", "runId", "workflowId", "type", "deskId", "ts", "status", "detail", "output"]
    assert (full["runId"], full["workflowId"], full["deskId"]) == ("r1", "w1", "d1")
    assert (full["detail"], full["output"]) == ("because", {"answer": [42]})


def test_what_was_not_given_is_absent_and_not_null() -> None:
    assert set(event()) == {"eventId", "runId", "workflowId", "type", "ts", "status"}


def test_the_payload_false_is_a_payload() -> None:
    assert event(payload=False)["output"] is False


def test_id_and_time_stamp_are_the_same_moment() -> None:
    made = create_desk_event(CreateDeskEventInput("r", "w", "run.failed", "failed"), now_ms=1_700_000_000_042)
    assert re.fullmatch(r"evt-1700000000042-[0-9a-f]{8}", made["eventId"])
    assert made["ts"] == "2023-11-14T22:13:20.042Z"


def test_a_time_stamp_is_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    time.tzset()
    try:
        assert iso(0) == "1970-01-01T00:00:00.000Z" and now()[:13] == time.strftime("%Y-%m-%dT%H", time.gmtime())
    finally:
        monkeypatch.undo()
        time.tzset()


def test_two_events_of_one_moment_have_two_ids() -> None:
    ids = {create_desk_event(CreateDeskEventInput("r", "w", "run.failed", "failed"), 5)["eventId"] for _ in range(100)}
    assert len(ids) == 100


def test_the_clock_is_used_when_no_time_is_given() -> None:
    assert event()["ts"] > "2024-01-01T00:00:00.000Z"


ALLOWED = {
    "run.started": {"queued", "running"},
    "run.completed": {"completed"},
    "run.failed": {"failed"},
    "desk.started": set(STATUSES),
    "desk.completed": set(STATUSES),
    "desk.failed": set(STATUSES),
}


@pytest.mark.contract("C2", "event.lifecycle", "each type takes its statuses and no other")
@pytest.mark.parametrize("status", ["queued", "running", "completed", "failed"])
@pytest.mark.parametrize("kind", ALLOWED)
def test_each_event_takes_its_statuses_and_refuses_the_others(kind: str, status: str) -> None:
    if status in ALLOWED[kind]:
        assert event(type=kind, status=status)["status"] == status
    else:
        with pytest.raises(TelemetryError) as refused:
            event(type=kind, status=status)
        assert str(refused.value) == f"invalid lifecycle status '{status}' for event '{kind}'"


def test_the_six_types_and_four_statuses_are_all_there_are() -> None:
    assert set(EVENT_TYPES) == set(ALLOWED)
    assert set(STATUSES) == {"queued", "running", "completed", "failed"}


@pytest.mark.parametrize(
    "words", [{"type": "run.paused"}, {"type": ""}, {"status": "done"}, {"status": ""}, {"type": "Run.Started"}]
)
def test_an_unknown_type_or_status_is_refused_by_name(words: dict[str, str]) -> None:
    with pytest.raises(TelemetryError, match=f"unknown event .* '{next(iter(words.values()))}'"):
        event(**words)


def test_a_refusal_is_a_toolkit_error_and_a_value_error() -> None:
    with pytest.raises(ValueError) as refused:
        event(status="completed")
    assert isinstance(refused.value, RawrError)
    assert (refused.value.code, refused.value.exit_code) == ("INVALID_TELEMETRY", 2)


def test_the_lifecycle_tables_are_the_contracts() -> None:
    assert REQUIRED_RUN_LIFECYCLE_EVENT_TYPES == ("run.started", "run.completed", "run.failed")
    table = {kind: set(statuses) for kind, statuses in REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT.items()}
    assert table == {kind: ALLOWED[kind] for kind in REQUIRED_RUN_LIFECYCLE_EVENT_TYPES}


def links(run_id: str = "r1", base: str = "http://host", **words: Any) -> list[dict[str, Any]]:
    environ = words.pop("environ", {})
    return [dict(link) for link in default_trace_links(base, run_id, TraceLinkOptions(**words), environ)]


@pytest.mark.contract("C2", "trace.links", "a run's links are the wire's")
def test_without_options_the_run_id_leads_to_both_places() -> None:
    assert [dict(link) for link in default_trace_links("http://host/base", "r1", environ={})] == [
        {
            "provider": "rawr",
            "label": "RAWR Run Timeline",
            "url": "http://host/base/api/orpc/coordination/runs/r1/timeline",
        },
        {"provider": "inngest", "label": "Inngest Trace", "url": "http://localhost:8288/runs/r1"},
    ]


@pytest.mark.parametrize(
    ("words", "label", "path"),
    [
        ({}, "Inngest Trace", "/runs/r1"),
        ({"inngest_run_id": "01H"}, "Inngest Trace (01H)", "/runs/01H"),
        ({"inngest_event_id": "ev"}, "Inngest Trace", "/events/ev"),
        ({"inngest_run_id": "01H", "inngest_event_id": "ev"}, "Inngest Trace (01H)", "/runs/01H"),
        ({"inngest_run_id": "", "inngest_event_id": ""}, "Inngest Trace", "/runs/r1"),
        ({"inngest_run_id": "a/b"}, "Inngest Trace (a/b)", "/runs/a%2Fb"),
    ],
)
def test_the_inngest_link_follows_the_best_known_id(words: dict[str, str], label: str, path: str) -> None:
    link = links(**words)[1]
    assert (link["label"], link["url"]) == (label, "http://localhost:8288" + path)


@pytest.mark.parametrize(
    ("option", "variable", "base"),
    [
        ("http://option", "http://variable", "http://option"),
        ("http://option///", None, "http://option"),
        (None, "http://variable/", "http://variable"),
        ("", "http://variable", "http://variable"),
        ("/", "http://variable", "http://variable"),
        ("", "", "http://localhost:8288"),
        (None, "//", "http://localhost:8288"),
        (None, None, "http://localhost:8288"),
        ("http://host/a/b//", None, "http://host/a/b"),
    ],
)
def test_the_inngest_base_is_option_then_variable_then_default(
    option: str | None, variable: str | None, base: str
) -> None:
    environ = {} if variable is None else {"INNGEST_BASE_URL": variable}
    assert links(inngest_base_url=option, environ=environ)[1]["url"] == f"{base}/runs/r1"


def test_the_environment_is_the_process_own_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_BASE_URL", "http://from-environment/")
    assert default_trace_links("http://host", "r1")[1]["url"] == "http://from-environment/runs/r1"


def test_trailing_slashes_of_the_base_are_trimmed() -> None:
    assert links(base="http://host/x///")[0]["url"] == "http://host/x/api/orpc/coordination/runs/r1/timeline"


# Left: text; right: what encodeURIComponent(text) gives in Node 22.
ENCODED = [
    ("a b", "a%20b"),
    ("a/b?c=d&e#f", "a%2Fb%3Fc%3Dd%26e%23f"),
    ("-_.!~*'()", "-_.!~*'()"),
    (";,:@&=+$", "%3B%2C%3A%40%26%3D%2B%24"),
    ("%20", "%2520"),
    ('"<>\\^`{|}', "%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ("[x]", "%5Bx%5D"),
    ("é€😀", "%C3%A9%E2%82%AC%F0%9F%98%80"),
    ("\x00\x7f", "%00%7F"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "encoded"), ENCODED)
def test_ids_are_percent_encoded_as_encode_uri_component_does(text: str, encoded: str) -> None:
    url = links(run_id=text)[0]["url"]
    assert url == f"http://host/api/orpc/coordination/runs/{encoded}/timeline"


def test_an_id_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(TelemetryError, match="lone surrogate"):
        links(run_id="a\ud800")
