"""Blocks that begin in their order keep to a budget, whoever is killed, and whenever."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.distributed.purse import ClusterPurse, Turn
from oumi_fireworks.money import Budget, Charge, Prices, Usage

PRICES = Prices.of({"input": 1_000_000, "output": 1_000_000})
"""A dollar a token: dollars are whole numbers here."""


def purse_of(dollars: int) -> ClusterPurse:
    return ClusterPurse(Budget(Decimal(dollars), PRICES))


@dataclass
class Block:
    """A block, as the service knows it.

    Attributes:
        most: What it can cost.
        cost: What it will have cost.
        exists: Whether it has begun.
        is_finished: Whether it has ended, too.
    """

    most: int
    cost: int
    exists: bool = False
    is_finished: bool = False

    @property
    def exposure(self) -> int:
        if not self.exists:
            return 0
        return self.cost if self.is_finished else self.most


class Driver:
    """A driver under a budget. What it begins comes to be at once, later, or never."""

    def __init__(self, blocks: list[Block], dollars: int) -> None:
        self.blocks = blocks
        self.purse = purse_of(dollars)
        self.next = 0
        self.sent: set[int] = set()
        self.left = 0

    def step(self) -> Turn | None:
        """Decide about the next block; None where all were decided about."""
        if self.next == len(self.blocks):
            return None
        block, known = self.blocks[self.next], None
        while (turn := self.purse.decide(Usage(block.most), begun_before=known)) is Turn.ASK:
            known = block.exists
        if turn is Turn.BEGIN:
            self.purse.begin(self.next, Usage(block.most))
            self.sent.add(self.next)
        self.left += turn is Turn.LEAVE
        self.next += turn is not Turn.WAIT
        return turn

    def settle(self, number: int) -> None:
        self.blocks[number].exists = self.blocks[number].is_finished = True
        self.sent.discard(number)
        self.purse.settle(number, Charge(Usage(self.blocks[number].cost)))


def costs() -> st.SearchStrategy[Block]:
    return st.integers(1, 9).flatmap(
        lambda most: st.builds(Block, st.just(most), st.integers(0, most))
    )


@settings(max_examples=300)
@given(blocks=st.lists(costs(), min_size=1, max_size=12), data=st.data())
def test_what_was_spent_and_what_is_under_way_never_exceed_the_highest_bound(
    blocks: list[Block], data: st.DataObject
) -> None:
    highest = dollars = data.draw(st.integers(1, 40))
    drivers = [Driver(blocks, dollars)]
    for _ in range(data.draw(st.integers(1, 40))):
        driver = drivers[-1]
        waiting = sorted({number for each in drivers for number in each.sent})
        done = data.draw(st.sampled_from(["decide", "come to be", "settle", "kill"]))
        if done == "decide":
            driver.step()
        elif done == "come to be" and waiting:  # also what a driver has sent that is dead now
            blocks[data.draw(st.sampled_from(waiting))].exists = True
        elif done == "settle" and driver.sent:
            driver.settle(data.draw(st.sampled_from(sorted(driver.sent))))
        elif done == "kill":
            dollars = data.draw(st.integers(1, 40))
            highest = max(highest, dollars)
            drivers.append(Driver(blocks, dollars))
        everything = sum(
            block.exposure if block.exists else block.most * (number in waiting)
            for number, block in enumerate(blocks)
        )
        assert everything <= highest


@given(blocks=st.lists(costs(), min_size=1, max_size=12), first=st.integers(9, 60))
def test_a_higher_bound_goes_on_and_in_the_end_all_is_done(blocks: list[Block], first: int) -> None:
    for dollars in (first, first + 1, sum(block.most for block in blocks) + first):
        driver = Driver(blocks, dollars)
        while (turn := driver.step()) is not None:
            if turn is Turn.WAIT:
                driver.settle(min(driver.sent))
        for number in sorted(driver.sent):
            driver.settle(number)
        assert driver.purse.spent == sum(block.cost for block in blocks if block.is_finished)
        assert driver.left == sum(not block.exists for block in blocks)
    assert all(block.is_finished for block in blocks)


def test_nothing_after_a_block_that_does_not_fit_begins_unless_it_has_begun_before() -> None:
    purse = purse_of(10)
    assert purse.decide(Usage(8), begun_before=None) is Turn.BEGIN
    purse.begin(0, Usage(8))
    assert purse.decide(Usage(3), begun_before=None) is Turn.ASK
    assert purse.decide(Usage(3), begun_before=False) is Turn.WAIT
    purse.settle(0, Charge(Usage(8)))
    assert purse.decide(Usage(3), begun_before=False) is Turn.LEAVE
    assert purse.decide(Usage(1), begun_before=None) is Turn.ASK
    assert purse.decide(Usage(1), begun_before=False) is Turn.LEAVE
    assert purse.decide(Usage(1), begun_before=True) is Turn.BEGIN
    assert purse.spent == 8
