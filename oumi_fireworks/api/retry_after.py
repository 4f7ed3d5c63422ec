"""``Retry-After``: how long a service asks to be left alone, taken as advice with a bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from oumi_fireworks.logs import logger_for

__all__ = ["LONGEST_ADVICE", "read_retry_after"]

logger = logger_for(__name__)

LONGEST_ADVICE = 60.0
"""Seconds that are waited at most, whatever is asked for: servers were seen to exaggerate."""

NONSENSE = 86_400.0
"""Seconds from which on the header is ignored: no rate limit lasts for days."""


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that an answer's ``Retry-After`` asks for (RFC 9110, 10.2.3).

    A date counts from the answer's own ``Date``, so that a wrong clock on either side does no
    harm; from this machine's clock where the answer has none.

    Args:
        headers: The answer's headers, whose names are compared without regard to case.

    Returns:
        Seconds from 0 to :data:`LONGEST_ADVICE`; None where the header is missing or nonsense
        (no number and no date, negative, infinite, a day or more); a debug line says so.
    """
    header = headers.get("Retry-After")
    if header is None:
        return None
    seconds = _seconds(header, headers.get("Date"))
    if seconds is None or not 0 <= seconds < NONSENSE:
        logger.debug("Ignoring the header Retry-After: %.100r", header)
        return None
    return min(seconds, LONGEST_ADVICE)


def _seconds(header: str, date: str | None) -> float | None:
    try:
        seconds = float(header)
    except ValueError:
        until = _moment(header)
        if until is None:
            return None
        return (until - (_moment(date or "") or datetime.now(UTC))).total_seconds()
    return None if math.isnan(seconds) else seconds


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
