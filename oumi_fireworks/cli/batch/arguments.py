"""How the values of a batch command's options are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from oumi_fireworks.batch.ids import BatchId
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.report import Prices

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def prices_of(price_in: float | None, price_out: float | None) -> Prices | None:
    """Return the prices, None where none are given.

    Args:
        price_in: Dollars for a million input tokens.
        price_out: Dollars for a million output tokens.

    Raises:
        WrongUseError: If only one is given: half a cost is misleading.
    """
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise WrongUseError("Give both, --price-in and --price-out, to tell the cost.")
    if price_in < 0 or price_out < 0:
        raise WrongUseError("A price cannot be negative.")
    return Prices(price_in, price_out)


def batch_ids(texts: Iterable[str]) -> list[str]:
    """Return ids as the service knows them, each once.

    Raises:
        WrongUseError: If one cannot be the id of a batch.
    """
    try:
        return list(dict.fromkeys(BatchId.parse(text).text for text in texts))
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def parse_duration(text: str) -> timedelta:
    """Read ``7d``, ``36h``, ``90m`` or ``0``.

    Raises:
        WrongUseError: If it is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or (not match[2] and float(match[1])):
        raise WrongUseError(f"{text!r} is not a duration. Write 7d, 36h or 90m, for example.")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])
