"""Rows that need not be sent, told apart without a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from oumi_fireworks.batch.repeats import Dedupe, FirstRows, Repeats
from oumi_fireworks.batch.requests import Request, encode_body, keep_line
from oumi_fireworks.cache import AnswerCache, key_of
from oumi_fireworks.grammar import form, number


@dataclass
class UnsentCounts:
    """How many rows are not sent.

    Attributes:
        repeats: Rows that ask what an earlier row asks.
        from_cache: Rows that the answer cache knows.
    """

    repeats: int = 0
    from_cache: int = 0

    def lines(self, rows: int) -> Iterator[str]:
        """Say it, a line for each reason that there is.

        Args:
            rows: Rows in all.
        """
        if self.repeats:
            are = form(self.repeats, "is a repeat", "are repeats")
            share = f"{self.repeats:,} of {number(rows, 'row')}"
            yield f"{share} {are}: answered with the first of them"
        if self.from_cache:
            are = form(self.from_cache, "is", "are")
            yield f"{self.from_cache:,} of {number(rows, 'row')} {are} known to the answer cache"


class UnsentRows:
    """Decides row by row whether it would be sent, as a run does when it begins.

    Attributes:
        counts: How many would not be, so far.

    Args:
        model: The rows' model.
        dedupe: Which repeats are left out.
        cache: The cache; None without one.
    """

    def __init__(self, model: str, dedupe: Dedupe, cache: AnswerCache | None) -> None:
        self.counts = UnsentCounts()
        self._model = model
        self._dedupe = dedupe
        self._cache = cache
        self._first_rows = FirstRows()

    def has(self, request: Request) -> bool:
        """Tell whether a row would not be sent."""
        may_repeat = self._dedupe.covers(request.body)
        if not may_repeat and self._cache is None:
            return False
        body = encode_body(request)
        key = key_of(self._model, body)
        if self._cache is not None and self._cache.find(key) is not None:
            self.counts.from_cache += 1
            return True
        if may_repeat and self._first_rows.first(key, request.index) is not None:
            self.counts.repeats += 1
            return True
        keep_line(request, body)
        return False


def repeats_in(rows: Iterable[Request], model: str, dedupe: Dedupe) -> Repeats:
    """Return the rows that :class:`UnsentRows` leaves out, each with the row that asks the same.

    Args:
        rows: All rows, in their order.
        model: Their model.
        dedupe: Which repeats are left out.
    """
    first_rows, repeats = FirstRows(), Repeats()
    for request in rows:
        if dedupe.covers(request.body):
            key = key_of(model, encode_body(request))
            if (first := first_rows.first(key, request.index)) is not None:
                repeats.add(request.index, first)
    return repeats
