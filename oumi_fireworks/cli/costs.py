"""Prices and costs, as several screens and programs see them."""

from __future__ import annotations

from oumi_fireworks.cli.json_outputs import PricesOutput
from oumi_fireworks.money import Prices


def as_json(prices: Prices) -> PricesOutput:
    """Return prices as JSON values."""
    return {
        "input": float(prices.input),
        "cached_input": float(prices.cached),
        "output": float(prices.output),
        "source": prices.source,
    }


def in_words(prices: Prices) -> str:
    """Return prices and where they are from, for people."""
    cached = "" if prices.cached_input is None else f", {prices.cached_input:f} cached"
    return (
        f"${prices.input:f} in{cached}, {prices.output:f} out, a million tokens ({prices.source})"
    )


def no_price(model: str) -> str:
    """Say that a model has no known price, and what to do about it."""
    name = model.rpartition("/")[2]
    return f"no price of {name} is known: --price-in and --price-out give one"
