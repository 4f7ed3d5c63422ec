"""How the whole stands: over all blocks, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass

from oumi_fireworks.distributed.waiter import AtWork


@dataclass
class Totals:
    """What has become of the blocks so far.

    Attributes:
        begun: Blocks that were taken from the dataset.
        done: Blocks that are finished.
        rows: Rows of those that were taken.
        answered: Rows with an answer, of blocks that are finished.
        failed: Rows without one.
        bad_rows: Rows that were not sent.
        at_work: What the jobs under way have done.
    """

    begun: int = 0
    done: int = 0
    rows: int = 0
    answered: int = 0
    failed: int = 0
    bad_rows: int = 0
    at_work: AtWork = AtWork(0, 0, 0)  # noqa: RUF009 - frozen

    @property
    def finished_rows(self) -> int:
        """Rows that are finished, whatever has become of them."""
        return self.answered + self.failed + self.bad_rows

    def __str__(self) -> str:
        parts = [
            f"{self.done:,} of {self.begun:,} blocks done",
            f"{self.answered:,} rows answered",
        ]
        if self.failed:
            parts.append(f"{self.failed:,} without an answer")
        if self.bad_rows:
            parts.append(f"{self.bad_rows:,} not sent")
        work = self.at_work
        if work.batches:
            parts.append(
                f"{work.batches:,} batches at work ({work.processed:,} of {work.total:,} rows)"
            )
        return ", ".join(parts)
