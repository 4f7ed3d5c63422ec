"""A pilot: some rows are run before all of them, to learn what an answer takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch import (
    Answer,
    Failure,
    FailureSummary,
    OnOutcome,
    Outcome,
    Rejected,
    Request,
    UnreadableAnswer,
)
from oumi_fireworks.batch.outcomes import OverBudget
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.completions import ANSWERED_BY
from oumi_fireworks.engine.pilot_store import PilotStore, UnansweredRow
from oumi_fireworks.errors import APIError, FireworksError, OverBudgetError
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
        beyond: Rows of the input that are not the pilot's, and that an earlier pilot had sent whose
            answers are in the cache now.
        from_cache: Rows that the cache knew.
        rejected: Rows whose answers were not taken.
        failed: Rows without an answer.
        remembered: Those of the rejected and failed ones that an earlier pilot had sent.
        over_budget: Rows that the budget did not allow.
        failures: Why rows were rejected or have failed.
    """

    measured: dict[int, Usage] = field(default_factory=dict)
    spent: Usage = field(default_factory=Usage)
    answered: int = 0
    beyond: int = 0
    from_cache: int = 0
    rejected: int = 0
    failed: int = 0
    remembered: int = 0
    over_budget: int = 0
    failures: FailureSummary = field(default_factory=FailureSummary)

    @property
    def open(self) -> int:
        """Rows without an answer that was taken."""
        return self.rejected + self.failed + self.over_budget

    @property
    def has_only_failed(self) -> bool:
        """Whether rows have failed, and not a single one has brought anything to go by."""
        return self.failed > 0 and not self.answered + self.from_cache + self.rejected

    def note(self, row: int, outcome: Outcome, message: str | None = None) -> None:
        """Note what has become of a row that was sent, if the cache did not know it by then."""
        if isinstance(outcome, Answer) and ANSWERED_BY in outcome.completion:
            self.note_known(row, outcome)
            return
        self.spent += self._measure(row, outcome)
        self.answered += isinstance(outcome, Answer)
        self._note_open(outcome, message)

    def note_beyond(self, outcome: Outcome, *, is_counted: bool) -> None:
        """Note what has become of a row that an earlier pilot has sent, and this one has not.

        Args:
            outcome: What has become of it.
            is_counted: Whether it is a row of the input.
        """
        if isinstance(outcome, Answer | Rejected):
            self.spent += Usage.parse(outcome.completion.get("usage")) or Usage()
        self.beyond += is_counted and isinstance(outcome, Answer)

    def note_known(self, row: int, outcome: Outcome) -> None:
        """Note a row that was not sent: its answer is in the cache, or it would have none again."""
        self._measure(row, outcome)
        if not isinstance(outcome, Answer):
            self.remembered += 1
        elif ANSWERED_BY in outcome.completion:
            self.from_cache += 1
        else:
            self.answered += 1  # rejected by the rules of an earlier pilot, and taken now
        self._note_open(outcome, None)

    def _measure(self, row: int, outcome: Outcome) -> Usage:
        """Note what an answer took; nothing if it does not say so."""
        if not isinstance(outcome, Answer | Rejected):
            return Usage()
        used = Usage.parse(outcome.completion.get("usage"))
        if used is not None:
            self.measured[row] = used
        return used or Usage()

    def _note_open(self, outcome: Outcome, message: str | None) -> None:
        if isinstance(outcome, Answer):
            return
        if isinstance(outcome, OverBudget):
            self.over_budget += 1
            return
        self.rejected += isinstance(outcome, Rejected)
        self.failed += not isinstance(outcome, Rejected)
        self.failures.add(outcome, message)


class PilotRows:
    """What is known of the rows of a pilot, and what is to be known of them later.

    Args:
        keys: The keys of their requests, by row.
        cache: Keeps the answers that are taken, and knows others.
        store: What earlier pilots have left.
        model: The rows' model.
        check: Says of an answer whether it is taken.
        remembers: Whether rows stay as they are that an earlier pilot has left without an answer.
    """

    def __init__(
        self,
        keys: Mapping[int, bytes],
        cache: AnswerCache,
        store: PilotStore,
        model: str,
        check: OnOutcome,
        *,
        remembers: bool,
    ) -> None:
        self.keys = keys
        self._cache = cache
        self._store = store
        self._model = model
        self._check = check
        wanted = set(keys.values()) if remembers else ()
        self._open: Mapping[bytes, UnansweredRow] = store.open_rows(wanted)

    def known(self, row: int) -> Outcome | None:
        """Return what is known of a row; None where it is to be sent."""
        key = self.keys[row]
        completion = self._cache.find(key)
        if completion is not None:
            answer = self.judge(row, completion)
            if isinstance(answer, Answer):
                return answer
        before = self._open.get(key)
        if before is None:
            return None
        outcome = before.outcome(row, self.judge)
        self.keep(row, outcome)  # what is accepted may be another answer now
        return outcome

    def judge(self, row: int, completion: Mapping[str, Any]) -> Outcome:
        """Return what an answer makes of a row."""
        answer = Answer(row, completion)
        found = self._check(answer)
        if found is None:
            return answer
        if isinstance(found, Rejection):
            return Rejected(row, completion, found, 1)
        return UnreadableAnswer(row, found)

    def keep(self, row: int, outcome: Outcome) -> None:
        """Keep what was paid for: an answer that is taken goes into the cache."""
        if isinstance(outcome, Answer):
            self._cache.keep(self._model, [(self.keys[row], outcome.completion)])

    def remember(self, row: int, outcome: Outcome) -> None:
        """Remember a row that was sent and would have no answer again."""
        self._store.remember(self.keys[row], outcome)


async def run_pilot(
    pilot: Pilot,
    rows: PilotRows,
    requests: Iterable[Request],
    *,
    pump: Pump,
    model: str,
    budget: Budget | None,
    on_progress: OnProgress,
) -> None:
    """Run the rows of a pilot online. Each answer is in the cache as soon as it is here.

    Args:
        pilot: Filled as the answers come, so that whoever interrupts it has what there is.
        rows: What is known of them.
        requests: The rows; taken one by one.
        pump: Sends them.
        model: Whom to ask.
        budget: What the pilot must not cost more than; None sets no bound.
        on_progress: Told how far it is.

    Raises:
        FireworksError: What would have failed every row.
    """

    def unknown() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for request in requests:
            known = rows.known(request.index)
            if known is None:
                yield request.index, {"model": model, **request.body}
            else:
                pilot.note_known(request.index, known)

    def note(row: int, ended: Completion | FireworksError) -> None:
        if isinstance(ended, FireworksError):
            outcome = _failed(row, ended)
        else:
            outcome = rows.judge(row, ended)
            if isinstance(outcome, UnreadableAnswer):  # paid for, and nothing to measure by
                pilot.spent += Usage.parse(ended.get("usage")) or Usage()
        rows.keep(row, outcome)
        rows.remember(row, outcome)
        pilot.note(row, outcome)

    purse = None if budget is None else Purse(budget, None)
    total = len(rows.keys)
    await pump.run(unknown(), note, total=total, on_progress=on_progress, purse=purse)


def _failed(row: int, error: FireworksError) -> Outcome:
    if isinstance(error, OverBudgetError):
        return OverBudget(row)
    return Failure(row, str(error), str(error.status) if isinstance(error, APIError) else None)
