"""Durations as people write them: ``7d``, ``36h``, ``90m``."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([smhdw]?)", re.ASCII)
OPTION_PATTERN = "^[1-9][0-9]{0,5}[smhdw]$"
"""What a duration in an option looks like, as a regular expression that JSON Schema takes, too."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_duration(text: object) -> timedelta:
    """Read ``7d``, ``36h``, ``90m`` or ``0``.

    Raises:
        ValueError: If it is no duration.
    """
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or (not match[2] and float(match[1])):
        raise ValueError(f"{text!r} is not a duration. Write 7d, 36h or 90m, for example.")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])


def is_duration(value: object) -> bool:
    """Tell whether an option may have this as a duration: :data:`OPTION_PATTERN`."""
    return isinstance(value, str) and re.fullmatch(OPTION_PATTERN, value) is not None
