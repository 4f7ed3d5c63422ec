"""What becomes of a row after a failure: tried again, given up, or the end of the run.

Decisions only: no clock, no network, and chance is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from oumi_fireworks.api.retries import is_retryable
from oumi_fireworks.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    FireworksError,
    PaymentRequiredError,
    RateLimitError,
    ServerError,
    SuspendedError,
    UnreachableError,
)

__all__ = ["Next", "RetryBudget", "after_failure", "may_be_billed"]

SCALING_UP = "DEPLOYMENT_SCALING_UP"
"""The code of a 503 while a deployment that was scaled to zero starts."""

STEP = 10.0
"""Each retry waits this many times longer than the one before, as Oumi documents it."""

SPREAD = 0.25
"""Up to this part of a wait is added at random, so that rows do not return all at once."""


class Next(Enum):
    """What becomes of a row."""

    AGAIN = "try it again after a while, if its budget allows"
    WHEN_LET_IN = "send it again when the pump sends again; its budget is not touched"
    WHEN_STARTED = "send it again when the deployment is up; its budget is not touched"
    GIVE_UP = "it fails, and would fail again"
    STOP = "every row would fail like this: end the run"


def may_be_billed(error: FireworksError) -> bool:
    """Tell whether a request that ended so may have been carried out, and so be billed.

    Not where the service has refused it: for its own sake (4xx), or for having too much to do (429,
    503).
    """
    if not isinstance(error, APIError):
        return not isinstance(error, UnreachableError)
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        return True
    return error.status >= 500 and error.status != HTTPStatus.SERVICE_UNAVAILABLE


def after_failure(error: FireworksError) -> Next:
    """Say what becomes of a row that met an error.

    A bad key, an unpaid or suspended account, or a URL that cannot work stop the run. A refusal
    (429) and a deployment that was scaled to zero (503 with the code ``DEPLOYMENT_SCALING_UP``;
    docs, "Autoscaling") are the pump's to wait for. 408, 425, other 5xx, lost connections,
    timeouts and broken answers are worth a retry. Anything else is the row's own fault.
    """
    if isinstance(
        error, AuthenticationError | PaymentRequiredError | SuspendedError | ConfigurationError
    ):
        return Next.STOP
    if isinstance(error, RateLimitError):
        return Next.WHEN_LET_IN
    if isinstance(error, ServerError) and error.code == SCALING_UP:
        return Next.WHEN_STARTED
    return Next.AGAIN if is_retryable(error) else Next.GIVE_UP


@dataclass(frozen=True)
class RetryBudget:
    """How often a row is tried again, and after how long.

    Attributes:
        retries: Attempts after the first.
        base: Seconds before the first retry.
        longest: Most seconds before any retry. A ``Retry-After`` may exceed it.
    """

    retries: int = 5
    base: float = 1.0
    longest: float = 30.0

    def delay(self, failures: int, retry_after: float | None, chance: float) -> float | None:
        """Return the seconds until a row is tried again, or None if its budget is spent.

        Args:
            failures: How often it failed, 1 or more.
            retry_after: Seconds that the service asked for; they take precedence.
            chance: A random number from 0 to 1.
        """
        if failures > self.retries:
            return None
        if retry_after is not None:
            return retry_after
        # Not 10 ** (failures - 1) by itself, which overflows with a very patient budget.
        step = STEP ** min(failures - 1, 16)
        return min(self.base * step, self.longest) * (1 + SPREAD * chance)
