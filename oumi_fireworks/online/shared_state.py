"""What the runs of one pump share on one loop: the connections, the pace and the queue."""

from __future__ import annotations

import asyncio
import itertools
import logging

from oumi_fireworks.errors import FireworksError
from oumi_fireworks.logs import logger_for
from oumi_fireworks.online.buckets import ACCOUNT_REQUESTS
from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.gate import Gate
from oumi_fireworks.online.pacer import Pacer
from oumi_fireworks.online.session import Session
from oumi_fireworks.online.settings import PumpSettings
from oumi_fireworks.online.stream_rule import StreamRule
from oumi_fireworks.online.window import Window

__all__ = ["SharedState"]

logger = logger_for(__name__)

MOST_WORKERS = 1024
"""Requests at once where the pump chooses: 6,000 a minute that take ten seconds each."""

OTHER_FILES = 64
"""Open files that are left to the rest of the process."""


class SharedState:
    """What all runs of a pump use and learn, on the running loop.

    Args:
        settings: How the pump works.

    Attributes:
        loop: The loop that all of it belongs to.
        session: The connections.
        gate: Where requests wait for their permit.
        orders: Numbers the rows as they are begun.
        stream_rule: Decides which requests are streamed.
    """

    def __init__(self, settings: PumpSettings) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = Session(settings.url, settings.headers, settings.timeout)
        self.gate = Gate(
            Pacer(
                _window(settings),
                Ceilings(
                    settings.requests_per_minute,
                    settings.input_tokens_per_minute,
                    settings.output_tokens_per_minute,
                ),
                settings.requests_per_minute or ACCOUNT_REQUESTS,
            )
        )
        self.orders = itertools.count()
        self.stream_rule = StreamRule(settings.stream)
        self._said: set[str] = set()

    def say_starting(self, error: FireworksError) -> None:
        """Say once that the deployment is starting."""
        self._say("starting", logging.INFO, "The deployment is starting; waiting for it. %s", error)

    def say_overloaded(self, error: FireworksError) -> None:
        """Say once that the service sheds load, and what makes it rarer."""
        self._say(
            "overloaded",
            logging.WARNING,
            "The service is overloaded; sending fewer requests at once. On Fireworks' serverless "
            "models this is rarer, at a higher price, with extra_body: {service_tier: priority}. "
            "%s",
            error,
        )

    def _say(self, what: str, level: int, message: str, error: FireworksError) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.log(level, message, error)


def _window(settings: PumpSettings) -> Window:
    wanted = settings.workers or MOST_WORKERS
    workers = min(wanted, _most_connections())
    if settings.workers is None:
        logger.info(
            "The number of workers is not set: finding out how many requests at once are worth "
            "it, up to %d.",
            workers,
        )
    elif workers < wanted:
        logger.warning(
            "Using %d workers, not %d: each needs an open file, and this process may have no "
            "more. Raise the limit with `ulimit -n`.",
            workers,
            wanted,
        )
    return Window(workers, seek=settings.workers is None, adaptive=settings.adaptive)


def _most_connections() -> int:
    """How many connections the limit on open files allows."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit on sockets
        return 1 << 20
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_FILES)
