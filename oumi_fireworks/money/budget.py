"""A budget that holds: what was spent, and what what is under way can cost at the most.

Pure arithmetic. Who asks keeps the promise: nothing may begin that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from oumi_fireworks.money.prices import Prices
from oumi_fireworks.money.usage import Usage


@dataclass(frozen=True, slots=True)
class Charge:
    """What something has cost, or can cost.

    Attributes:
        used: Tokens that answers speak of.
        unknown: The most tokens of what no answer speaks of, and may be paid for all the same.
    """

    used: Usage = Usage()  # noqa: RUF009 - frozen
    unknown: Usage = Usage()  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars that must not be exceeded.

    Attributes:
        most: The dollars.
        prices: What tokens cost.
    """

    most: Decimal
    prices: Prices

    def at_most(self, usage: Usage) -> Decimal:
        """Return the most dollars for the most tokens, whatever comes from the cache."""
        return self.prices.dearest.cost(usage)

    def cost(self, charge: Charge) -> Decimal:
        """Return the dollars of a charge; what is not known counts at its worst."""
        return self.prices.cost(charge.used) + self.at_most(charge.unknown)

    def left(self, charges: Iterable[Charge]) -> Decimal:
        """Return the dollars that are left after some charges; below 0 if they are too many."""
        return self.most - sum((self.cost(charge) for charge in charges), Decimal())

    def choose(self, charges: Iterable[Charge], candidates: Sequence[Usage]) -> list[int]:
        """Return the places of the candidates that may begin together, in their order.

        Args:
            charges: All that was spent, and all that is under way.
            candidates: The most tokens of each.
        """
        left = self.left(charges)
        chosen = []
        for place, most in enumerate(candidates):
            cost = self.at_most(most)
            if cost <= left:
                left -= cost
                chosen.append(place)
        return chosen
