"""Fireworks' prices as the library ``genai-prices`` lists them.

Loading it takes a quarter of a second, so it is loaded when the first price is asked for that is
not known from earlier the same day.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from oumi_fireworks.files import cache_folder
from oumi_fireworks.grammar import number
from oumi_fireworks.money.price_memory import PriceMemory
from oumi_fireworks.money.prices import Prices

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_PROVIDER = "fireworks"

_STALE_DAYS = 120
"""Days without a new price in the whole table after which it is called old."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The table of prices that is installed.

    Attributes:
        version: Of the library.
        newest: The newest date in the table, of whatever provider, that is not in the future: it
            has no date of its own.
    """

    version: str
    newest: date

    def __str__(self) -> str:
        return f"genai-prices {self.version}, prices of {self.newest}"

    def age(self, today: date | None = None) -> int:
        """Return how many days ago the newest price is from."""
        return ((today or datetime.now(UTC).date()) - self.newest).days

    def concern(self, today: date | None = None) -> str | None:
        """Return what the user should know of its age; None while it is young."""
        age = self.age(today)
        if age <= _STALE_DAYS:
            return None
        return (
            f"The table of prices ({self}) is {number(age, 'day')} old. `pip install -U "
            "genai-prices` brings a newer one; the option price gives your own."
        )


@cache
def price_table() -> PriceTable:
    """Return which table of prices is installed."""
    from genai_prices import __version__
    from genai_prices.data import providers
    from genai_prices.types import StartDateConstraint

    today = datetime.now(UTC).date()
    dates = (
        price.constraint.start_date
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for price in model.prices
        if isinstance(price.constraint, StartDateConstraint)
    )
    return PriceTable(__version__, max(each for each in dates if each <= today))


@cache
def _provider() -> Provider:
    from genai_prices.data import providers

    return next(each for each in providers if each.id == _PROVIDER)


def serverless_prices(model: str) -> Prices | None:
    """Return what a model's tokens cost online, today; None where the table does not say.

    A deployment of one's own (``...#accounts/...``) has no price by the token.

    Args:
        model: A full name: ``accounts/fireworks/models/...``.
    """
    memory = None if "genai_prices.data" in sys.modules else _memory()
    if memory is None:
        return _look_up(model)
    known = memory.read()
    if model in known:
        return known[model]
    prices = _look_up(model)
    memory.add(model, prices)
    return prices


def _memory() -> PriceMemory | None:
    """Return what was looked up today in the table that is installed; None without a home."""
    table = f"genai-prices {version('genai-prices')} on {datetime.now(UTC).date()}"
    try:
        return PriceMemory(cache_folder() / "prices.json", table)
    except RuntimeError:
        return None


def _look_up(model: str) -> Prices | None:
    # Asked of the provider itself: the library would go on to look at other providers' models.
    found: ModelInfo | None = _provider().find_model(model.lower())
    if found is None:
        return None
    prices: ModelPrice = found.get_prices(datetime.now(UTC))
    given, taken = _amount(prices, "input_mtok"), _amount(prices, "output_mtok")
    if given is None or taken is None:
        return None
    return Prices(given, taken, _amount(prices, "cache_read_mtok"), str(price_table()))


def _amount(prices: ModelPrice, key: str) -> Decimal | None:
    """Return a price of the table; None where there is none, or one that depends on the prompt."""
    amount = getattr(prices, key, None)
    return amount if isinstance(amount, Decimal) else None
