"""How the values of a batch command's options are read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

from oumi_fireworks.batch.ids import BatchId
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.money import Prices
from oumi_fireworks.options.durations import read_duration


def own_prices(flags: PriceFlags) -> Prices | None:
    """Return the prices that were given, None where none are.

    Raises:
        WrongUseError: If only one is given: half a cost is misleading.
    """
    given = [each for each in flags if each is not None]
    if not given:
        return None
    if flags.input is None or flags.output is None:
        raise WrongUseError("Give both, --price-in and --price-out, to tell the cost.")
    if not all(0 <= each < math.inf for each in given):
        raise WrongUseError("A price is a number of dollars, 0 or more.")
    return Prices.of(flags._asdict())


def price_option(flags: PriceFlags) -> dict[str, float] | None:
    """Return the prices that were given as the option ``price``; None where none are.

    Raises:
        WrongUseError: If only one is given.
    """
    if own_prices(flags) is None:
        return None
    return {name: value for name, value in flags._asdict().items() if value is not None}


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
    try:
        return read_duration(text)
    except ValueError as error:
        raise WrongUseError(str(error)) from error
