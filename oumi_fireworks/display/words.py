"""Durations, sizes and counts, as people read them."""

from __future__ import annotations

_MINUTE, _HOUR = 60, 3600
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def stopwatch(seconds: float) -> str:
    """Return a duration that ticks: ``0:00:07``, ``26:03:12``."""
    whole = max(0, int(seconds))
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def roughly(seconds: float) -> str:
    """Return a duration in its two largest units: ``42 s``, ``12 min``, ``2 h 5 min``, ``3 d``."""
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


def size(count: float) -> str:
    """Return a number of bytes in decimal units, as limits are given: ``480 MB``, ``1.2 kB``."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    digits = 1 if unit and count < 9.95 else 0
    return f"{count:.{digits}f} {_UNITS[unit]}"


def number(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun: ``1 row``, ``12,000 rows``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
