"""How the whole stands: over all blocks, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from oumi_fireworks.distributed.waiter import AtWork
from oumi_fireworks.grammar import number


@dataclass
class Totals:
    """What has become of the blocks so far.

    Attributes:
        begun: Blocks that were taken from the dataset.
        done: Blocks that are finished.
        rows: Rows of those that were taken.
        answered: Rows with an answer that holds, of blocks that are finished.
        rejected: Rows whose answers do not hold.
        failed: Rows without an answer.
        bad_rows: Rows that were not sent, since that cannot be.
        over_budget: Rows that were not sent, since the budget did not allow it.
        spent: Dollars that the finished blocks have cost; None without a budget.
        under_way: Dollars that the others can cost at the most that have begun.
        at_work: What the jobs under way have done.
    """

    begun: int = 0
    done: int = 0
    rows: int = 0
    answered: int = 0
    rejected: int = 0
    failed: int = 0
    bad_rows: int = 0
    over_budget: int = 0
    spent: Decimal | None = None
    under_way: Decimal = Decimal()
    at_work: AtWork = AtWork(0, 0, 0)  # noqa: RUF009 - frozen

    def __str__(self) -> str:
        parts = [
            f"{self.done:,} of {number(self.begun, 'block')} done",
            f"{number(self.answered, 'row')} answered",
        ]
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        if self.failed:
            parts.append(f"{self.failed:,} without an answer")
        if self.bad_rows:
            parts.append(f"{self.bad_rows:,} not sent")
        if self.over_budget:
            parts.append(f"{self.over_budget:,} over budget")
        if self.spent is not None:
            money = f"${self.spent:.4f} spent"
            parts.append(
                f"{money}, ${self.under_way:.4f} more at most" if self.under_way else money
            )
        work = self.at_work
        if work.batches:
            parts.append(
                f"{number(work.batches, 'batch', 'batches')} at work "
                f"({work.processed:,} of {number(work.total, 'row')})"
            )
        return ", ".join(parts)
