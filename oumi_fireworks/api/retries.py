"""The one place that says which failures are tried again, and after how long."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from oumi_fireworks.errors import (
    ConnectionFailedError,
    FireworksError,
    MalformedAnswerError,
    RateLimitError,
    RouteError,
    ServerError,
    UnreachableError,
)
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

T = TypeVar("T")


_ATTEMPTS_TO_REACH = 3
"""Calls of a server that does not answer at all: a wrong URL is reported within about a second,
and a server that is just starting has that long."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a call is repeated.

    Attributes:
        attempts: Calls at the most, the first one included.
        timeout: Seconds after which no further attempt begins.
        wait_initial: Seconds before the second attempt; doubles from there.
        wait_max: Longest wait in seconds. A ``Retry-After`` of the service may exceed it.
        wait_jitter: Up to this many seconds are added at random.
    """

    attempts: int = 8
    timeout: float = 180.0
    wait_initial: float = 0.25
    wait_max: float = 20.0
    wait_jitter: float = 0.5

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await ``call()`` until it succeeds, fails for good, or the policy is spent."""
        calls = 0

        def retry_or_wait(error: Exception) -> bool | float:
            if isinstance(error, UnreachableError) and calls >= _ATTEMPTS_TO_REACH:
                return False
            answer = _retry_or_wait(error)
            if answer and calls < self.attempts:
                logger.warning("Trying again: %s", error)
            return answer

        # The decorator, because it gives stamina's log records the name of what is repeated.
        @stamina.retry(
            on=retry_or_wait,
            attempts=self.attempts,
            timeout=self.timeout,
            wait_initial=self.wait_initial,
            wait_max=self.wait_max,
            wait_jitter=self.wait_jitter,
        )
        async def attempt() -> T:
            nonlocal calls
            calls += 1
            return await call()

        return await attempt()


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same call may succeed later.

    Connection errors, timeouts, 408, 429, 5xx, answers that were cut short, and a 404 or 405
    that is not the service's own; never other 4xx.
    """
    return isinstance(
        error,
        ConnectionFailedError | MalformedAnswerError | RateLimitError | RouteError | ServerError,
    )


def _retry_or_wait(error: Exception) -> bool | float:
    """Stamina's backoff hook: False, True (exponential), or seconds."""
    if not is_retryable(error):
        return False
    assert isinstance(error, FireworksError)
    retry_after = getattr(error, "retry_after", None)
    # Zero says "soon", which must not become a burst of all attempts at once.
    return float(retry_after) if retry_after else True


def _is_foreign(record: logging.LogRecord) -> bool:
    """Keep stamina's own log lines to other people's retries: ours are logged above."""
    return not str(getattr(record, "stamina.callable", "")).startswith(__name__)


logging.getLogger("stamina").addFilter(_is_foreign)
