"""The budget of a run on a cluster: which block may begin. Pure arithmetic.

Blocks begin in their order, each when it and all before it fit: those that are finished at what
they have cost, the others at the most that they can cost. So whoever has seen the blocks before
one knows of every block that has begun, also after the death of whoever began them, and nothing
has to be written down anywhere.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, auto

from oumi_fireworks.money import Budget, Charge, Usage


class Turn(Enum):
    """What becomes of the block whose turn it is."""

    BEGIN = auto()
    """It begins, or is gone on with."""
    ASK = auto()
    """It does not fit; whether it has begun before has to be found out."""
    WAIT = auto()
    """What is under way may leave enough for it."""
    LEAVE = auto()
    """It does not begin, and nor does any after it that has not begun before."""


class ClusterPurse:
    """What the blocks of a run have cost so far, and the most that those under way can cost.

    Args:
        budget: What both together must not exceed.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.spent = Decimal()
        """Dollars that the finished blocks have cost."""
        self.has_begun = False
        """Whether any block has begun."""
        self.is_used_up = False
        """Whether no further block begins."""
        self._under_way: dict[int, Decimal] = {}

    @property
    def at_most(self) -> Decimal:
        """Dollars that the blocks under way can cost at the most."""
        return sum(self._under_way.values(), Decimal())

    def decide(self, most: Usage, *, begun_before: bool | None) -> Turn:
        """Return what becomes of a block. To be asked about one block after the other.

        Args:
            most: The most tokens that it can take.
            begun_before: Whether its batch exists already; None where that is not known.
        """
        left = self.budget.most - self.spent - self.at_most
        if begun_before or (not self.is_used_up and self.budget.at_most(most) <= left):
            return Turn.BEGIN
        if begun_before is None:
            return Turn.ASK
        if self._under_way and not self.is_used_up:
            return Turn.WAIT
        self.is_used_up = True
        return Turn.LEAVE

    def begin(self, block: int, most: Usage) -> None:
        """Set aside what a block can cost that begins, or has begun before."""
        self.has_begun = True
        self._under_way[block] = self.budget.at_most(most)

    def settle(self, block: int, charge: Charge) -> None:
        """Count what a block has cost that is finished, in place of what was set aside for it."""
        self.has_begun = True
        self._under_way.pop(block, None)
        self.spent += self.budget.cost(charge)
