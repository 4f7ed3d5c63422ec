"""What a request is shown: which moment, and which record, if not those that it should be."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Mapping

from aiohttp import web

from oumi_fireworks.emulator.faults.weather import Lag
from oumi_fireworks.emulator.state.clock import Clock, Moment

STALE = "stale"
"""Key under which a request remembers by how many seconds a fault sets it back."""

OTHER = "other"
"""Key under which a request remembers whose record a fault shows instead; "" for any other."""


class ReadLog:
    """The latest reads of each resource and list, for lags that are counted in reads.

    Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._reads: dict[str, deque[float]] = {}
        self._began = 0.0
        self._lock = threading.Lock()

    def restart(self, seconds: float) -> None:
        """Forget all reads; nobody is shown what was before this second because of them."""
        with self._lock:
            self._reads.clear()
            self._began = seconds

    def note(self, what: str, seconds: float, back: int) -> float:
        """Note a read, and return when the one `back` reads before it was.

        Args:
            what: What is read, such as `jobs/job-1`.
            seconds: When, on the emulator's clock.
            back: How many reads to go back, at least 1.

        Returns:
            The second of that read; of the log's beginning, if there were not so many.
        """
        with self._lock:
            reads = self._reads.get(what)
            if reads is None or reads.maxlen != back:
                reads = self._reads[what] = deque(reads or (), maxlen=back)
            earlier = reads[0] if len(reads) == back else self._began
            reads.append(seconds)
            return earlier


def moment_shown(
    request: web.Request,
    what: str,
    lag: Lag,
    clock: Clock,
    reads: ReadLog,
    rng: random.Random,
) -> Moment | None:
    """Return the moment that a request is shown; None for the present.

    Args:
        request: It may have been set back by a fault.
        what: What it asks for, such as `jobs/job-1`.
        lag: By how much such reads lag.
        clock: Tells the time.
        reads: The earlier reads.
        rng: Decides whether this read lags, where that is left to chance.
    """
    now = clock.now()
    shown = now - float(request.get(STALE, 0.0))
    if lag:
        earlier = reads.note(what, now, lag.reads) if lag.reads else now
        if lag.probability >= 1 or rng.random() < lag.probability:
            shown = min(shown, earlier, now - lag.seconds)
    return clock.moment_at(shown) if shown < now else None


def record_shown(request: web.Request, record_id: str, known: Mapping[str, object]) -> str:
    """Return the id of the record that a request is shown: its own, unless a fault says not so.

    Args:
        request: It may have been promised another record by a fault.
        record_id: The record that it asks for.
        known: All records by id, in the order in which they came to be.
    """
    wanted: str | None = request.get(OTHER)
    if wanted is None:
        return record_id
    if wanted:
        return wanted if wanted in known else record_id
    others = [one for one in known if one != record_id]
    return others[-1] if others else record_id
