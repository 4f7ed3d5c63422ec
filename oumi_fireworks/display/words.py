"""Durations, sizes and money, as people read them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

_MINUTE, _HOUR = 60, 3600
"""Seconds in each."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
"""Units of size, each a thousand of the one before."""


def stopwatch(seconds: float) -> str:
    """Return a duration that ticks: ``0:00:07``, ``26:03:12``."""
    whole = max(0, int(seconds))
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def roughly(seconds: float) -> str:
    """Return about how long something takes or is ago: ``42 s``, ``2 h 5 min``, ``3 d``."""
    if seconds < _MINUTE - 0.5:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        whole, rest, unit, smaller = *divmod(minutes, 60), "h", "min"
    else:
        whole, rest, unit, smaller = *divmod(round(minutes / 60), 24), "d", "h"
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"


def duration(span: timedelta) -> str:
    """Return a duration as it was, in its two largest units: ``8 min 12 s``, ``0.4 s``."""
    seconds = span.total_seconds()
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    units = ((86400, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
    for (length, unit), (smaller, lesser) in pairwise(units):
        if whole >= length:
            first, rest = f"{whole // length} {unit}", whole % length // smaller
            return f"{first} {rest} {lesser}" if rest else first
    return f"{whole} s"


def dollars(amount: Decimal | float) -> str:
    """Return an amount of money with as many digits as it takes: ``$0.0042``, ``$12.30``."""
    if 0 < amount < 0.0001:
        return "<$0.0001"
    return f"${amount:,.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def size(count: float) -> str:
    """Return a number of bytes in decimal units, as limits are given: ``480 MB``, ``1.2 kB``."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    digits = 1 if unit and count < 9.95 else 0
    return f"{count:.{digits}f} {_UNITS[unit]}"
