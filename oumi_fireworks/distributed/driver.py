"""Keeps the blocks of a dataset under way: as many as are allowed, in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import ray

from oumi_fireworks.distributed.gauges import Gauges
from oumi_fireworks.distributed.pieces import Keys, Piece
from oumi_fireworks.distributed.purse import ClusterPurse, Turn
from oumi_fireworks.distributed.stages import Collected, Look
from oumi_fireworks.distributed.tasks import Ref, Tasks, get
from oumi_fireworks.distributed.totals import Totals
from oumi_fireworks.distributed.waiter import AtWork
from oumi_fireworks.errors import InputChangedError, OverBudgetError
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Budget, Charge, Usage

logger = logger_for(__name__)

_LOOK_AFTER_SECONDS = 1.0
"""Seconds between two reports of how the whole stands."""

OnTotals = Callable[[Totals], None]
"""Told how the whole stands, about once a second."""

Known = Mapping[int, tuple[str, Collected]]
"""Blocks that an earlier run has finished, by their numbers: what they asked, and what became of
them."""


@dataclass(frozen=True)
class FinishedBlock:
    """A block with its answers.

    Attributes:
        number: Its position among the blocks.
        digest: Of what it asks.
        collected: What has become of it.
        table: The table, somewhere in the cluster; None where it was known to be finished.
    """

    number: int
    digest: str
    collected: Collected
    table: Ref


@dataclass
class _Work:
    """A block under way.

    Attributes:
        piece: Its rows.
        look: What it asks, once that is known.
        key: The key of its batch, once all before it are known.
        is_asked: Whether it was asked if its batch exists already.
        begun_before: The answer.
        batches: References to its batches.
        table: Its table, once it is finished.
    """

    piece: Piece[Ref]
    look: Look | None = None
    key: str = ""
    is_asked: bool = False
    begun_before: bool | None = None
    batches: list[Ref] = field(default_factory=list)
    table: Ref = None


class Driver:
    """Takes blocks through all steps.

    Args:
        tasks: The steps.
        pieces: The blocks, in their order.
        most: How many may be under way at the same time.
        events: Told what happens.
        purse: Tells which may begin; None allows all of them.
        on_totals: Told how the whole stands.
        known: The blocks that an earlier run has finished.
    """

    def __init__(
        self,
        tasks: Tasks,
        pieces: Iterator[Piece[Ref]],
        most: int,
        events: RunEvents,
        purse: ClusterPurse | None,
        on_totals: OnTotals | None,
        known: Known,
    ) -> None:
        self._tasks = tasks
        self._pieces = pieces
        self._most = most
        self._events = events
        self._purse = purse
        self._on_totals = on_totals
        self._known = known
        self._keys = Keys()
        self._next = 0
        self._looked: dict[int, _Work] = {}
        self._pending: dict[Ref, _Work] = {}
        self._totals = Totals()
        self._gauges = Gauges()

    def blocks(self) -> Iterator[FinishedBlock]:
        """Yield the blocks as they are finished, in any order.

        Raises:
            InputChangedError: If a block that is known asks something else now.
            OverBudgetError: If the budget does not allow any block.
        """
        try:
            yield from self._blocks()
        finally:
            self._tasks.close()

    def _blocks(self) -> Iterator[FinishedBlock]:
        asked = self._tasks.at_work()
        while True:
            self._take()
            if not self._pending:
                for last in (asked, self._tasks.at_work()):
                    self._tell(get(last))
                self._end()
                return
            watched = [*self._pending, asked]
            ready, _ = ray.wait(watched, num_returns=1, timeout=_LOOK_AFTER_SECONDS)
            for ref in ready:
                if ref is asked:
                    continue
                yield from self._advance(self._pending.pop(ref), get(ref))
            if asked in ready or ray.wait([asked], timeout=0)[0]:
                self._tell(get(asked))
                asked = self._tasks.at_work(after=_LOOK_AFTER_SECONDS)

    def _take(self) -> None:
        """Take blocks from the dataset until as many are under way as are allowed."""
        totals = self._totals
        while totals.begun - totals.done < self._most:
            piece = next(self._pieces, None)
            if piece is None:
                return
            totals.begun += 1
            totals.rows += piece.rows
            self._pending[self._tasks.look(piece)] = _Work(piece)

    def _advance(self, work: _Work, found: Look | Collected | bool) -> Iterator[FinishedBlock]:
        """Go on with a block; yield those that are finished by that."""
        if isinstance(found, Look):
            work.look = found
            self._looked[work.piece.number] = work
        elif isinstance(found, bool):
            work.begun_before = found
            if work.piece.number not in self._looked:  # its turn was before
                self._decide(work)
        elif found.again is not None:
            work.batches.append(found.again)
            self._collect(work)
            return
        else:
            yield self._finished(work, found)
        yield from self._in_order()

    def _in_order(self) -> Iterator[FinishedBlock]:
        """Decide about the blocks whose turn it is: a key depends on the blocks before.

        A block that waits for the budget keeps those after it waiting (:mod:`.purse`).
        """
        while (work := self._looked.get(self._next)) is not None:
            assert work.look is not None
            work.key = work.key or self._keys.key(work.look.digest)
            before = self._known.get(work.piece.number)
            if before is not None:
                yield self._finished_before(work, *before)
            elif not work.look.rows:
                outcome, work.table = self._tasks.leave_out(work.piece)
                self._pending[outcome] = work
            elif not self._decide(work):
                return
            del self._looked[self._next]
            self._next += 1

    def _decide(self, work: _Work) -> bool:
        """Begin a block or leave it out, as the budget says; tell whether its turn is over."""
        assert work.look is not None
        purse = self._purse
        if work.is_asked and work.begun_before is None:
            return False
        if purse is None:
            self._submit(work)
            return True
        turn = purse.decide(work.look.most, begun_before=work.begun_before)
        if turn is Turn.BEGIN:
            purse.begin(work.piece.number, work.look.most)
            self._submit(work)
        elif turn is Turn.ASK:
            work.is_asked = True
            self._pending[self._tasks.has_begun(work.key)] = work
            return purse.is_used_up  # nothing after it depends on the answer
        elif turn is Turn.LEAVE:
            if not purse.has_begun:
                raise OverBudgetError(_too_small(purse.budget, work.piece.name, work.look.most))
            outcome, work.table = self._tasks.leave_over(work.piece)
            self._pending[outcome] = work
        return turn is not Turn.WAIT

    def _submit(self, work: _Work) -> None:
        work.batches.append(self._tasks.submit(work.piece, work.key))
        self._collect(work)

    def _collect(self, work: _Work) -> None:
        """Wait for a block's last batch, and collect then."""
        ended = self._tasks.wait(work.batches[-1])
        outcome, work.table = self._tasks.collect(work.piece, work.batches, ended)
        self._pending[outcome] = work

    def _finished_before(self, work: _Work, digest: str, collected: Collected) -> FinishedBlock:
        assert work.look is not None
        if work.look.digest != digest:
            raise InputChangedError(
                f"{work.piece.name} asks something else than when it was written before: the "
                "input has changed. Name another output, or replace this one; batches of blocks "
                "that are as they were are found again, and not paid twice."
            )
        return self._finished(work, collected)

    def _finished(self, work: _Work, collected: Collected) -> FinishedBlock:
        assert work.look is not None
        totals = self._totals
        totals.done += 1
        totals.answered += collected.answered
        totals.rejected += collected.rejected
        totals.failed += collected.failed
        totals.bad_rows += collected.bad_rows
        totals.over_budget += collected.over_budget
        if self._purse is not None and not collected.over_budget:
            # A run without a budget has not counted what it has cost.
            charge = collected.charge or Charge(unknown=work.look.most)
            self._purse.settle(work.piece.number, charge)
        return FinishedBlock(work.piece.number, work.look.digest, collected, work.table)

    def _tell(self, at_work: AtWork) -> None:
        """Tell how the whole stands, and what has happened."""
        totals = self._totals
        totals.at_work = at_work
        if self._purse is not None:
            totals.spent, totals.under_way = self._purse.spent, self._purse.at_most
        self._gauges.set(totals)
        for snapshot in at_work.news:
            self._events.saw_batch(snapshot)
        for concern in at_work.concerns:
            logger.warning("%s", concern)
        self._events.saw_rows(answered=totals.answered, failed=totals.rejected + totals.failed)
        if self._on_totals is not None:
            self._on_totals(totals)

    def _end(self) -> None:
        totals = self._totals
        self._events.ended(
            answered=totals.answered,
            rejected=totals.rejected,
            failed=totals.failed + totals.bad_rows,
            over_budget=totals.over_budget,
        )


def _too_small(budget: Budget, name: str, most: Usage) -> str:
    return (
        f"max_cost is ${budget.most:f}, and {name} may cost ${budget.at_most(most):f}: as many "
        "tokens as its prompts have bytes, and as max_new_tokens allows for each row. Nothing was "
        "sent. Raise max_cost, or lower rows_per_batch or max_new_tokens."
    )
