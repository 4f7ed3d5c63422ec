"""All that a running emulator is made of, for the handlers of requests to share."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from oumi_fireworks.emulator.faults.faults import FaultBook
from oumi_fireworks.emulator.faults.visibility import ReadLog
from oumi_fireworks.emulator.faults.weather import Weather
from oumi_fireworks.emulator.settings import Settings
from oumi_fireworks.emulator.state.clock import Clock
from oumi_fireworks.emulator.state.store import Store
from oumi_fireworks.emulator.work.limits import AdaptiveLimiter, Limits
from oumi_fireworks.emulator.work.online_charge import OnlineCharge
from oumi_fireworks.emulator.work.runner import Flaky, Runner
from oumi_fireworks.emulator.work.traffic import Latency, Limiter, RateLimit

if TYPE_CHECKING:
    from oumi_fireworks.emulator.work.upstream import UpstreamClient

OutputWriter = Callable[[Any, list[dict[str, Any]]], Mapping[str, bytes]]
"""From a job and the rows that it would have written to the files that it writes instead."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the emulator received.

    Args:
        method: HTTP method.
        path: Path, without the query.
        query: Query parameters.
        status: Status of the answer; 0 if the connection was dropped without one.
        headers: The request's headers, names in lower case.
        body: The body, if it was JSON and small enough to keep.
        time: When it came, in seconds since the epoch, on the emulator's clock.
    """

    method: str
    path: str
    query: dict[str, str]
    status: int
    headers: dict[str, str]
    body: Any
    time: float


@dataclass(slots=True)
class EmulatorState:
    """The emulator's parts, and what can be changed while it runs."""

    settings: Settings
    store: Store
    clock: Clock
    runner: Runner
    flaky: Flaky
    rng: random.Random
    faults: FaultBook
    requests: deque[RecordedRequest]
    reads: ReadLog = field(default_factory=ReadLog)
    weather: Weather = field(default_factory=Weather)
    limiter: Limiter = field(default_factory=Limiter)
    adaptive_limiter: AdaptiveLimiter | None = None
    rate_limit: RateLimit | None = None
    latency: Latency | None = None
    refusal: int | None = None
    suspend_state: str = "UNSUSPENDED"
    output_writer: OutputWriter | None = None
    upstream: UpstreamClient | None = None
    connections: int = 0
    online: OnlineCharge = OnlineCharge()  # noqa: RUF009 - frozen

    def set_weather(self, weather: Weather) -> None:
        """Change the weather; lags in reads count from here on."""
        self.reads.restart(self.clock.now())
        self.weather = weather

    @property
    def limits(self) -> Limits | None:
        """What is limited as the service limits it."""
        return self.adaptive_limiter.limits if self.adaptive_limiter else None

    def set_limits(self, limits: Limits | None) -> None:
        """Change what is limited; all buckets begin anew."""
        self.adaptive_limiter = AdaptiveLimiter(limits) if limits else None

    def dataset_path(self, dataset_id: str, file: str) -> Path:
        """Return where a file of a dataset is on disk."""
        return self.store.dataset_files(dataset_id) / file


STATE: web.AppKey[EmulatorState] = web.AppKey("emulator", EmulatorState)
