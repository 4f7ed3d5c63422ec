"""A pilot: some rows are run before all of them, to learn what an answer takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    Failure,
    OnOutcome,
    Rejected,
    Request,
)
from oumi_fireworks.batch.outcomes import OverBudget
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.completions import ANSWERED_BY
from oumi_fireworks.engine.cached_answers import CachedAnswers
from oumi_fireworks.errors import FireworksError, OverBudgetError
from oumi_fireworks.money import Budget, Usage
from oumi_fireworks.online import Completion, OnProgress, Pump, Purse


@dataclass
class Pilot:
    """What a pilot has brought so far.

    Attributes:
        measured: The tokens of each answer, whether it was taken or rejected, in the order of
            the rows once all are here.
        spent: The tokens of the answers that were paid for now.
        answered: Rows whose answers were taken and are in the cache now.
        from_cache: Rows that the cache knew.
        rejected: Rows whose answers were not taken.
        failed: Rows without an answer.
        over_budget: Rows that the budget did not allow.
        reason: Why the first of the rows failed; empty where none did.
    """

    measured: dict[int, Usage] = field(default_factory=dict)
    spent: Usage = field(default_factory=Usage)
    answered: int = 0
    from_cache: int = 0
    rejected: int = 0
    failed: int = 0
    over_budget: int = 0
    reason: str = ""

    def measure(self, row: int, completion: Mapping[str, Any]) -> Usage:
        """Note what an answer took; nothing if it does not say so."""
        used = Usage.parse(completion.get("usage"))
        if used is not None:
            self.measured[row] = used
        return used or Usage()


async def run_pilot(
    pilot: Pilot,
    requests: Iterable[Request],
    total: int,
    *,
    pump: Pump,
    model: str,
    cache: AnswerCache,
    check: OnOutcome,
    budget: Budget | None,
    on_progress: OnProgress,
) -> None:
    """Run the rows of a pilot. Each answer is in the cache as soon as it is here.

    Args:
        pilot: Filled as the answers come, so that whoever interrupts it has what there is.
        requests: The rows; taken one by one.
        total: How many there are.
        pump: Sends them.
        model: Whom to ask.
        cache: Keeps the answers that are taken, and knows others.
        check: Says of an answer whether it is taken.
        budget: What the pilot must not cost more than; None sets no bound.
        on_progress: Told how far it is.

    Raises:
        FireworksError: What would have failed every row.
    """
    answers = CachedAnswers(model, cache, check)

    def unknown() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for request in requests:
            known = answers.find(request)
            if known is None:
                yield request.index, {"model": model, **request.body}
            else:
                pilot.from_cache += 1
                pilot.measure(request.index, known)

    def note(row: int, outcome: Completion | FireworksError) -> None:
        is_taken = answers.keep(row, outcome)
        if isinstance(outcome, OverBudgetError):
            pilot.over_budget += 1
        elif isinstance(outcome, FireworksError):
            pilot.failed += 1
            pilot.reason = pilot.reason or str(outcome)
        else:
            pilot.spent += pilot.measure(row, outcome)
            pilot.answered += is_taken
            pilot.rejected += not is_taken

    purse = None if budget is None else Purse(budget, None)
    await pump.run(unknown(), note, total=total, on_progress=on_progress, purse=purse)
    pilot.measured = dict(sorted(pilot.measured.items()))


def note_batch(pilot: Pilot, results: BatchResults, places: Sequence[int]) -> None:
    """Note what has become of the rows of a pilot that was a batch.

    Args:
        pilot: Filled.
        results: What the batch has brought.
        places: The place of each of its rows in the input.
    """
    for row, outcome in zip(places, results.index.outcomes(), strict=True):
        if isinstance(outcome, Answer | Rejected):
            used = pilot.measure(row, outcome.completion)
            if ANSWERED_BY in outcome.completion:
                pilot.from_cache += 1
                continue
            pilot.spent += used
            pilot.answered += isinstance(outcome, Answer)
            pilot.rejected += isinstance(outcome, Rejected)
        elif isinstance(outcome, OverBudget):
            pilot.over_budget += 1
        else:
            pilot.failed += 1
            reason = outcome.message if isinstance(outcome, Failure) else results.message(outcome)
            pilot.reason = pilot.reason or reason
