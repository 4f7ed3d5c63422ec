"""Metrics and spans for OpenTelemetry, off unless it is configured.

It is configured if the program has set providers of its own, or if one of OpenTelemetry's variables
names a collector: ``OTEL_EXPORTER_OTLP_ENDPOINT``, or that for traces or metrics alone.
``OTEL_SDK_DISABLED=true`` switches it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oumi_fireworks.events.event import (
    BatchEnded,
    BatchUnderWay,
    Event,
    RunEnded,
    RunProgress,
    RunStarted,
    TokenCounts,
)
from oumi_fireworks.logs import logger_for

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk import metrics as sdk_metrics
    from opentelemetry.sdk import trace as sdk_trace
    from opentelemetry.trace import Span, TracerProvider

logger = logger_for(__name__)

NAME = "oumi_fireworks"
"""Of the tracer and the meter, and before the dot of each metric."""

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES, _METRICS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"

_PATIENCE = 10_000
"""Milliseconds that the end of a run waits for what is still to be exported."""


class Telemetry:
    """Turns events into spans and metrics.

    A run is a span, each of its batches one below it; what needs a look is an event of the run's
    span. Counters: ``oumi_fireworks.rows`` by ``outcome``, ``oumi_fireworks.tokens`` by
    ``gen_ai.token.type``, ``oumi_fireworks.cost`` where prices are known, ``oumi_fireworks.jobs``
    by ``state``, ``oumi_fireworks.refusals``; all with ``gen_ai.request.model`` and
    ``oumi_fireworks.mode``.

    Args:
        tracers: Gives the tracer.
        meters: Gives the meter.
        own: The providers that were made for this run alone, to be shut down at its end.
    """

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider,
        own: tuple[sdk_trace.TracerProvider | sdk_metrics.MeterProvider, ...] = (),
    ) -> None:
        self._tracer = tracers.get_tracer(NAME)
        meter = meters.get_meter(NAME)
        self._rows = meter.create_counter(f"{NAME}.rows", "{row}", "Rows with an outcome")
        self._tokens = meter.create_counter(f"{NAME}.tokens", "{token}", "Tokens, as counted")
        self._cost = meter.create_counter(f"{NAME}.cost", "{USD}", "Dollars for the tokens")
        self._jobs = meter.create_counter(f"{NAME}.jobs", "{job}", "Batch jobs that have ended")
        self._refusals = meter.create_counter(f"{NAME}.refusals", "{refusal}", "429s, online")
        self._own = own
        self._common: dict[str, str] = {}
        self._run: Span | None = None
        self._batches: dict[str, Span] = {}
        self._refused = 0

    def hear(self, event: Event) -> None:
        """Count an event, and begin or end the spans that it stands for."""
        if event["event"] == "run_started":
            self._begin(event)
        elif event["event"] == "batch_under_way":
            self._begin_batch(event)
        elif event["event"] == "progress":
            self._count_refusals(event)
        elif event["event"] == "batch_ended":
            self._end_batch(event)
        elif event["event"] == "needs_a_look" and self._run is not None:
            self._run.add_event("needs_a_look", {"message": event["message"]})
        elif event["event"] == "run_ended":
            self._end(event)

    def close(self) -> None:
        """Export what there is."""
        for each in self._own:
            each.force_flush(_PATIENCE)
            each.shutdown()

    def _begin(self, event: RunStarted) -> None:
        self._common = {
            "gen_ai.provider.name": "fireworks",
            "gen_ai.request.model": event["model"],
            f"{NAME}.mode": event["mode"],
        }
        self._run = self._tracer.start_span(
            f"{NAME}.run",
            attributes={**self._common, f"{NAME}.run": event["run"]},
        )

    def _begin_batch(self, event: BatchUnderWay) -> None:
        from opentelemetry.trace import set_span_in_context

        assert self._run is not None  # every run has started first
        self._batches[event["batch"]] = self._tracer.start_span(
            f"{NAME}.batch",
            context=set_span_in_context(self._run),
            attributes={**self._common, f"{NAME}.batch": event["batch"]},
        )

    def _count_refusals(self, event: RunProgress) -> None:
        if event["refusals"] is not None:
            self._refusals.add(event["refusals"] - self._refused, self._common)
            self._refused = event["refusals"]

    def _end_batch(self, event: BatchEnded) -> None:
        self._jobs.add(len(event["jobs"]), {**self._common, "state": event["state"]})
        span = self._batches.pop(event["batch"], None)
        if span is not None:
            span.set_attributes(
                {
                    f"{NAME}.state": event["state"],
                    f"{NAME}.jobs": len(event["jobs"]),
                    f"{NAME}.rows.answered": event["rows"]["answered"],
                    f"{NAME}.rows.failed": event["rows"]["failed"],
                }
            )
            _set_cost(span, event["cost"])
            _set_error(span, event["error"])
            span.end()

    def _end(self, event: RunEnded) -> None:
        rows = event["rows"]
        for outcome, count in (
            ("answered", rows["answered"]),
            ("rejected", rows["rejected"]),
            ("failed", rows["failed"]),
            ("over_budget", rows["over_budget"]),
        ):
            self._rows.add(count, {**self._common, "outcome": outcome})
        if event["cost"] is not None:
            self._cost.add(event["cost"], self._common)
        if event["tokens"] is not None:
            self._count_tokens(event["tokens"])
        for span in self._batches.values():
            span.end()
        if self._run is not None:
            self._run.set_attribute(f"{NAME}.outcome", event["outcome"])
            _set_cost(self._run, event["cost"])
            _set_error(self._run, event["error"])
            self._run.end()

    def _count_tokens(self, tokens: TokenCounts) -> None:
        for kind, count in (("input", tokens["input"]), ("output", tokens["output"])):
            self._tokens.add(count, {**self._common, "gen_ai.token.type": kind})


def _set_cost(span: Span, dollars: float | None) -> None:
    if dollars is not None:
        span.set_attribute(f"{NAME}.cost", dollars)


def _set_error(span: Span, message: str | None) -> None:
    if message:
        from opentelemetry.trace import Status, StatusCode

        span.set_status(Status(StatusCode.ERROR, message))


def telemetry_of(environ: Mapping[str, str]) -> Telemetry | None:
    """Return what exports this run's metrics and spans; None where nothing is configured.

    Args:
        environ: The environment, which may hold OpenTelemetry's variables.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        _say_unavailable(environ)
        return None
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if _is_set_up(tracers) or _is_set_up(meters):
        return Telemetry(tracers, meters)
    if not _has_collector(environ):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _say_unavailable(environ)
        return None
    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "oumi-fireworks")})
    own_tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    own_readers = []
    if environ.get(_ENDPOINT) or environ.get(_TRACES):
        own_tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if environ.get(_ENDPOINT) or environ.get(_METRICS):
        own_readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    own_meters = MeterProvider(own_readers, resource=resource, shutdown_on_exit=False)
    return Telemetry(own_tracers, own_meters, (own_tracers, own_meters))


def _is_set_up(provider: object) -> bool:
    """Tell whether a program has set this provider: until then the API gives a stand-in."""
    home = type(provider).__module__
    return not home.startswith("opentelemetry.") or home.startswith("opentelemetry.sdk.")


def _has_collector(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in (_ENDPOINT, _TRACES, _METRICS))


def _say_unavailable(environ: Mapping[str, str]) -> None:
    if _has_collector(environ):
        logger.info(
            "OpenTelemetry is configured, and not installed for this package: "
            "pip install 'oumi-fireworks[otel]'."
        )
