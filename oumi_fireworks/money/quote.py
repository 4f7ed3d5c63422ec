"""The one place that says what a model costs in a mode."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.money.prices import OWN, Prices
from oumi_fireworks.money.table import price_table, serverless_prices

_BATCH = Decimal("0.5")
"""The share of the online price that a batch costs, on input, cached input and output: Fireworks'
guide to batch inference, November 2026."""

_STANDARD_TIERS = (None, "auto", "default")
"""Values of `service_tier` at which the table's prices hold."""


def price_of(
    model: str,
    *,
    batch: bool,
    own: Prices | None = None,
    fields: Mapping[str, object] | None = None,
) -> Prices | None:
    """Return what a model's tokens cost; None where no price is known.

    Args:
        model: Its full name.
        batch: Whether it runs in batches: half the online price.
        own: The user's own prices, which are taken as they are, in either mode.
        fields: Fields of the requests. A `service_tier` other than the default has prices of its
            own online, which the table does not have.
    """
    if own is not None:
        return own
    if not batch and (fields or {}).get("service_tier") not in _STANDARD_TIERS:
        return None
    listed = serverless_prices(model)
    if listed is None or not batch:
        return listed
    return listed.times(_BATCH, f"{listed.source}, half for batch")


def concern_about(prices: Prices) -> str | None:
    """Return what the user should know of the prices; None where there is nothing."""
    return None if prices.source == OWN else price_table().concern()


def require_price(model: str, prices: Prices | None) -> Prices:
    """Return the prices, which a budget needs.

    Raises:
        ConfigurationError: If there are none.
    """
    if prices is None:
        raise ConfigurationError(
            f"There is no known price of {model}, so max_cost cannot be held. Give the prices of a "
            "million tokens as billed: the option price: {input: 0.10, output: 0.40}, or "
            "--price-in and --price-out. Nothing was sent."
        )
    return prices
