"""Reading the values of proto3 JSON: times with nanoseconds, 64-bit numbers as strings, nulls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from oumi_fireworks.errors import MalformedAnswerError
from oumi_fireworks.grammar import ended
from oumi_fireworks.safe_text import one_line

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})?$"
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([sh])")


def time_at(raw: Mapping[str, Any], field: str) -> datetime | None:
    """Return a time with its zone, cut to microseconds, or None where there is none.

    Fireworks sends nine digits and a ``Z`` (``2026-08-30T03:48:56.029803417Z``).
    """
    match = _TIME.match(str(raw.get(field) or ""))
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    micros = (fraction or "0")[:6].ljust(6, "0")
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        return datetime.fromisoformat(f"{date}T{clock}.{micros}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def duration_at(raw: Mapping[str, Any], field: str) -> timedelta | None:
    """Return a duration such as ``86400s`` or ``24h``, or None where there is none."""
    match = _DURATION.fullmatch(str(raw.get(field) or ""))
    if match is None:
        return None
    number, unit = match.groups()
    try:
        return timedelta(seconds=float(number) * (3600 if unit == "h" else 1))
    except OverflowError:
        return None


def int_at(raw: Mapping[str, Any], field: str) -> int:
    """Return a number that may come as a string, may be null or absent: then 0."""
    value = raw.get(field)
    try:
        return int(value) if value is not None else 0
    except (TypeError, ValueError, OverflowError):
        return 0


def text_at(raw: Mapping[str, Any], field: str) -> str:
    """Return a string on one line; empty where there is none."""
    value = raw.get(field)
    return one_line(value) if isinstance(value, str) else ""


def mapping_at(raw: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return an object; empty where it is null or absent."""
    value = raw.get(field)
    return value if isinstance(value, Mapping) else {}


def objects_at(raw: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; empty where it is null or absent."""
    value = raw.get(field)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def require_about(raw: Mapping[str, Any], asked_for: str) -> None:
    """Refuse a resource that is another than the one that was asked for.

    Args:
        raw: The answer, a resource.
        asked_for: The id or the resource name.

    Raises:
        MalformedAnswerError: If it is another, or has no name: rows would cross.
    """
    name = text_at(raw, "name")
    if id_of(name) != id_of(asked_for):
        said = f"{name} in place of it" if name else "an answer without a name"
        raise MalformedAnswerError(f"Fireworks was asked for {asked_for}, and sent {ended(said)}")


def id_of(name: str) -> str:
    """Return the last part of a resource name: ``accounts/a/datasets/d`` gives ``d``."""
    return name.rpartition("/")[2]
