"""What a million tokens cost, and what some tokens cost then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from oumi_fireworks.money.usage import Usage

OWN = "your own prices"
"""The source of prices that the user gave."""

_PER_MILLION = -6
"""Power of ten by which the price of a million tokens becomes that of one."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in US dollars, as billed.

    Attributes:
        input: A million prompt tokens.
        output: A million tokens of answers.
        cached_input: A million prompt tokens that came from the cache; None: as `input`.
        source: Where they are from, in words.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    source: str = OWN

    @classmethod
    def of(cls, numbers: Mapping[str, float | int | Decimal | None]) -> Prices:
        """Return the user's own prices; a number means what it is written as (0.1 is a tenth)."""
        cached = numbers.get("cached_input")
        return cls(
            input=_exact(numbers["input"]),
            output=_exact(numbers["output"]),
            cached_input=None if cached is None else _exact(cached),
        )

    def cost(self, usage: Usage) -> Decimal:
        """Return the dollars for the tokens of some answers, exactly."""
        fresh = max(0, usage.prompt - usage.cached)
        return (
            fresh * self.input + usage.cached * self.cached + usage.completion * self.output
        ).scaleb(_PER_MILLION)

    @property
    def cached(self) -> Decimal:
        """What a million prompt tokens from the cache cost."""
        return self.input if self.cached_input is None else self.cached_input

    @property
    def dearest(self) -> Prices:
        """The same prices with the cache never cheaper, and never dearer, than anything else."""
        most = max(self.input, self.cached)
        return replace(self, input=most, cached_input=most)

    def times(self, factor: Decimal, source: str) -> Prices:
        """Return each price times a factor, and where these are from."""
        cached = None if self.cached_input is None else self.cached_input * factor
        return Prices(self.input * factor, self.output * factor, cached, source)


def _exact(number: float | int | Decimal | None) -> Decimal:
    return Decimal(str(number))
