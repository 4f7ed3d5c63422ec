"""What listeners do with events, and what becomes of a run whose listeners fail."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from oumi_fireworks.errors import ConfigurationError, WriteError
from oumi_fireworks.events.event import Event
from oumi_fireworks.events.journal import Journal
from oumi_fireworks.events.listener import Listener
from oumi_fireworks.events.notifications import Notifications
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.events.telemetry import Telemetry, telemetry_of
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.online import OnlineProgress
from tests.sink import Sink, sink

MODEL = "accounts/fireworks/models/m"


PRICES = Prices(Decimal(2), Decimal(10), Decimal(1))


def run(*listeners: Listener, prices: Prices | None = None) -> RunEvents:
    return RunEvents(
        listeners, mode="online", model=MODEL, rows=3, output="out.jsonl", online_prices=prices
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_journal_has_a_line_for_each_event_and_keeps_those_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for _ in range(2):
        with run(Journal(path)) as events:
            events.ended(answered=2, failed=1)
    told = lines(path)
    assert [each["event"] for each in told] == ["run_started", "run_ended"] * 2
    assert told[1]["outcome"] == "rows_open"
    assert told[0]["run"] == told[1]["run"] != told[2]["run"]


def test_a_line_that_a_crash_has_cut_off_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"run_started"}\n{"event":"progr')
    with run(Journal(path)):
        assert [each["event"] for each in lines(path)] == ["run_started", "run_started"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValueError("no such model"), "failed"), (KeyboardInterrupt("stopped"), "interrupted")],
)
def test_an_error_ends_a_run_with_its_words(
    tmp_path: Path, error: BaseException, outcome: str
) -> None:
    path = tmp_path / "events.jsonl"
    with pytest.raises(type(error)), run(Journal(path)):
        raise error
    assert lines(path)[-1]["outcome"] == outcome
    assert lines(path)[-1]["error"] == str(error)


def test_an_error_that_was_kept_ends_it_as_well(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with run(Journal(path)) as events:
        events.ended(answered=1, failed=2, ended_by=ValueError("the service is away"))
    assert lines(path)[-1]["outcome"] == "failed"
    assert lines(path)[-1]["error"] == "the service is away"
    rows = {"total": 3, "answered": 1, "rejected": 0, "failed": 2, "over_budget": 0}
    assert lines(path)[-1]["rows"] == rows


def test_progress_is_told_when_it_changes_but_not_at_every_moment(tmp_path: Path) -> None:
    path, now = tmp_path / "events.jsonl", [0.0]
    events = RunEvents([Journal(path)], mode="online", model=MODEL, clock=lambda: now[0])
    with events:
        for moment, done in [(0.0, 0), (1.0, 1), (4.9, 2), (5.0, 3), (11.0, 3), (12.0, 4)]:
            now[0] = moment
            events.saw_online(OnlineProgress(total=9, done=done, refusals=done))
    told = [each["rows"]["answered"] for each in lines(path) if each["event"] == "progress"]
    assert told == [0, 3, 4]


def test_a_warning_of_ours_is_an_event_while_the_run_lasts(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    logger = logging.getLogger("oumi_fireworks.somewhere")
    with run(Journal(path)):
        logger.warning("It stands still.")
        logger.info("All is well.")
    logger.warning("Too late.")
    assert [each.get("message") for each in lines(path)] == [None, "It stands still.", None]


class Broken:
    """A listener of somebody's that can do nothing."""

    def hear(self, event: Event) -> None:
        raise OSError("the disk is full")

    def close(self) -> None:
        raise OSError("still full")


def test_a_listener_that_fails_ends_nothing_and_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    with run(Broken(), Journal(path)) as events:
        events.saw_online(OnlineProgress(done=1))
    assert [each["event"] for each in lines(path)] == [
        "run_started",
        "needs_a_look",
        "progress",
        "run_ended",
    ]
    said = [record.getMessage() for record in caplog.records]
    assert [each.rpartition(": ")[2] for each in said] == ["the disk is full", "still full"]


def test_a_journal_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"Cannot write the events to .*Nothing was sent"):
        Journal(tmp_path)


def messages(where: Sink) -> list[tuple[str, str]]:
    posted = map(json.loads, where.bodies("/hook"))
    return [(each["type"], each["title"]) for each in posted]


def test_people_hear_of_the_end_and_of_what_needs_a_look_but_not_of_too_much() -> None:
    with sink() as where:
        with run(Notifications([f"json://127.0.0.1:{where.port}/hook"])) as events:
            events.needs_a_look("It stands still.")
            events.needs_a_look("It stands still.")
            for number in range(9):
                events.needs_a_look(f"Another one: {number}")
            events.ended(answered=3, failed=0)
        told = messages(where)
    assert told[0] == ("warning", "A Fireworks run needs a look")
    assert len(told) == 6
    assert told[-1] == ("success", "A Fireworks run has ended: every row answered")
    assert "3 of 3 rows answered." in json.loads(where.bodies("/hook")[-1])["message"]


def test_people_and_the_journal_hear_that_a_cap_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with sink() as where:
        hook = Notifications([f"json://127.0.0.1:{where.port}/hook"])
        with run(Journal(path), hook) as events:
            events.ended(answered=3, over_budget=5)
        told = messages(where)
        ending = json.loads(where.bodies("/hook")[-1])["message"]
    assert told[0] == ("warning", "A Fireworks run has reached its cap")
    assert [(each["event"], each.get("rows")) for each in lines(path)][1] == ("cap_reached", 5)
    assert "3 of 8 rows answered, 5 over budget." in ending


@pytest.mark.parametrize(
    ("prices", "cost", "said"),
    [
        (PRICES, 0.000113, "Tokens: 24 in, 7 out: $0.0001."),
        (None, None, "Tokens: 24 in, 7 out."),
    ],
)
def test_people_and_the_journal_hear_what_it_has_cost_and_of_each_outcome(
    tmp_path: Path, prices: Prices | None, cost: float | None, said: str
) -> None:
    path = tmp_path / "events.jsonl"
    with sink() as where:
        hook = Notifications([f"json://127.0.0.1:{where.port}/hook"])
        with run(Journal(path), hook, prices=prices) as events:
            events.saw_online(OnlineProgress(done=1, used=Usage(24, 7, 5)))
            events.ended(answered=4, rejected=3, failed=2, over_budget=1)
        message = json.loads(where.bodies("/hook")[-1])["message"]
    _, progress, _, ended = lines(path)
    assert progress["tokens"] == {"input": 24, "cached_input": 5, "output": 7}
    assert progress["cost"] == ended["cost"] == cost
    counts = {"total": 10, "answered": 4, "rejected": 3, "failed": 2, "over_budget": 1}
    assert ended["rows"] == counts
    assert ended["outcome"] == "rows_open"
    assert "4 of 10 rows answered, 3 rejected, 2 failed, 1 over budget." in message
    assert said in message


def test_a_message_that_is_not_taken_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with sink(status=500) as where, run(Notifications([f"json://127.0.0.1:{where.port}/hook"])):
        pass
    ours = [each for each in caplog.records if each.name.startswith("oumi_fireworks")]
    assert ["did not take a message" in each.getMessage() for each in ours] == [True]


@pytest.mark.parametrize("url", ["slakc://a-secret-token", "slack://", "a-secret-token"])
def test_a_url_that_apprise_does_not_know_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Apprise cannot use") as caught:
        Notifications([url])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("prices", "cost"), [(PRICES, 0.00011), (None, None)])
def test_spans_and_counters_in_a_program_that_has_set_up_its_own(
    prices: Prices | None, cost: float | None
) -> None:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with run(Telemetry(tracers, MeterProvider([reader])), prices=prices) as events:
        events.saw_online(OnlineProgress(done=1, refusals=4, used=Usage(20, 7)))
        events.needs_a_look("It stands still.")
        events.ended(answered=5, rejected=4, failed=3, over_budget=2)
    (span,) = spans.get_finished_spans()
    assert span.name == "oumi_fireworks.run"
    assert dict(span.attributes or {})["gen_ai.request.model"] == MODEL
    assert dict(span.attributes or {}).get("oumi_fireworks.cost") == cost
    assert [each.name for each in span.events] == ["needs_a_look"]
    data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
    metrics = data["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    sums = {
        (metric["name"], point["attributes"].get("outcome")): point["value"]
        for metric in metrics
        for point in metric["data"]["data_points"]
    }
    rows = {name: count for (metric, name), count in sums.items() if metric.endswith(".rows")}
    assert rows == {"answered": 5, "rejected": 4, "failed": 3, "over_budget": 2}
    assert sums.get(("oumi_fireworks.cost", None)) == cost
    assert sums[("oumi_fireworks.refusals", None)] == 4


def test_telemetry_is_off_unless_configured_and_goes_to_the_collector_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert telemetry_of({}) is None
    with sink() as where:
        endpoint = f"http://127.0.0.1:{where.port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        configured = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        assert telemetry_of({**configured, "OTEL_SDK_DISABLED": "true"}) is None
        telemetry = telemetry_of(configured)
        assert telemetry is not None
        with run(telemetry) as events:
            events.ended(answered=3, failed=0)
        traces = [ExportTraceServiceRequest.FromString(each) for each in where.bodies("/v1/traces")]
        (span,) = traces[0].resource_spans[0].scope_spans[0].spans
        assert span.name == "oumi_fireworks.run"
        counted = [
            ExportMetricsServiceRequest.FromString(each) for each in where.bodies("/v1/metrics")
        ]
        names = {metric.name for metric in counted[0].resource_metrics[0].scope_metrics[0].metrics}
        assert "oumi_fireworks.rows" in names
