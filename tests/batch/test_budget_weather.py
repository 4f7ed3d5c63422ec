"""A budget holds while reads lag and err, calls break, processes die and the budget changes.

What the emulator would bill is compared with the budget after every step; it only grows.
``make soak`` runs a thousand examples of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from oumi_fireworks.batch import BatchResults, BatchRun, Request, ShardLimits
from oumi_fireworks.batch.outcomes import OverBudget
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.batch.run_files import MANIFEST_NAME
from oumi_fireworks.money import Budget, Prices, Usage, most_usage
from oumi_fireworks.prompts import outline_of_request
from tests.batch.sky import ROWS
from tests.batch.support import a_run, body
from tests.batch.test_weather import Death, RunUnderAnySky

WORDS = 200
"""Words of an answer, unless it is cut off: then it costs what it may cost at the most."""

INPUT = st.decimals("0.001", 1, places=3)
PRICES = st.builds(Prices, INPUT, st.decimals(1, 200, places=2), st.none() | INPUT)
SHARES = st.sampled_from([0.3, 0.6, 0.9, 1.2, 2.5])


class UnderABudget(RunUnderAnySky):
    """A run of three rows under budgets that are a share of the most that they can cost."""

    def __init__(self) -> None:
        super().__init__()
        # An example may end before its prices are drawn, and is torn down all the same.
        self.lengths, self.prices, self.rows_a_job = [12] * ROWS, Prices(Decimal(1), Decimal(1)), 2
        self.share, self.highest = 1.0, Decimal()

    @initialize(
        lengths=st.lists(st.sampled_from([12, 2 * WORDS]), min_size=ROWS, max_size=ROWS),
        prices=PRICES,
        share=SHARES,
        rows_a_job=st.integers(1, 2),
    )
    def set_prices(self, lengths: list[int], prices: Prices, share: float, rows_a_job: int) -> None:
        self.lengths, self.prices, self.rows_a_job = lengths, prices, rows_a_job
        self.share, self.highest = share, Decimal()

    def rows(self) -> Iterator[Request]:
        for row, length in enumerate(self.lengths):
            mark = "word " * WORDS + self.marks.get(row, "")
            asked = body(row, mark) | {"max_tokens": length}
            yield Request(row, asked, outline_of_request(asked))

    @property
    def budget(self) -> Budget:
        """A share of the most that all rows can cost once."""
        usages = (most_usage(row.body, len(encode_row(row))) for row in self.rows())
        most = self.prices.dearest.cost(sum(usages, Usage()))
        return Budget(most * Decimal(str(self.share)), self.prices)

    def new_run(self) -> BatchRun:
        budget = self.budget
        self.highest = max(self.highest, budget.most)
        options: dict[str, Any] = {
            "row_retries": self.retries,
            "delete_datasets": self.tidy,
            "limits": ShardLimits(max_rows=self.rows_a_job),
            "budget": budget,
        }
        return a_run(
            self.run_folder, self.rows, place=self.output, **options | self.further_options()
        )

    def further_options(self) -> dict[str, Any]:
        """What else a run is made with, or what is different."""
        return {}

    @property
    def run_folder(self) -> Path:
        """The run's own folder."""
        return self.folder / "run"

    @property
    def manifest_path(self) -> Path:
        return self.run_folder / MANIFEST_NAME  # no run is made only to look at it

    def put(self, run: BatchRun, results: BatchResults, dies: Death | None) -> None:
        self.require_one_outcome(results)
        super().put(run, results, dies)

    def keep(self, results: BatchResults) -> None:
        self.require_one_outcome(results)

    def require_one_outcome(self, results: BatchResults) -> None:
        """Assert that every row has one outcome, and that none waits unless the run is kept."""
        outcomes = list(results.index.outcomes())
        assert [outcome.index for outcome in outcomes] == list(range(ROWS))
        counts = results.index.counts
        assert sum(counts.rows.values()) == ROWS
        waiting = [outcome for outcome in outcomes if isinstance(outcome, OverBudget)]
        assert len(waiting) == counts.over_budget
        assert results.held_by is not None or not waiting

    @rule(share=SHARES)
    def the_budget_changes(self, share: float) -> None:
        self.share = share

    @invariant()
    def the_bill_is_within_the_budget(self) -> None:
        if self.emulator is None:
            return
        assert self.bill() <= self.highest

    def bill(self) -> Decimal:
        """Return the dollars that the emulator would ask for."""
        jobs = self.service.ledger.jobs
        used = (Usage(job.input_tokens, job.output_tokens, job.cached_tokens) for job in jobs)
        return self.prices.cost(sum(used, Usage()))

    @contextmanager
    def room_for_all(self) -> Iterator[None]:
        """Raise the budget, for a while, so that it keeps nothing back."""
        share, self.share = self.share, 1000
        yield
        self.share = share

    def go_to_the_end(self) -> None:
        """Go under the budget as it is, then to the end with another one."""
        self.go()
        self.the_bill_is_within_the_budget()
        with self.room_for_all():
            super().go_to_the_end()
        self.the_bill_is_within_the_budget()


def test_a_budget_holds_under_any_sky() -> None:
    run_state_machine_as_test(
        UnderABudget, settings=settings(max_examples=15, stateful_step_count=4)
    )


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_budget_holds_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        UnderABudget, settings=settings(max_examples=1000, stateful_step_count=12)
    )
