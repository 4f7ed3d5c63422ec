"""What takes the rows of a batch, with what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.tables.conversations import SentRow
from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.source import InputRow


class FinishedRow:
    """A row of the input that is finished, whatever that means for it.

    Args:
        row: The row.
        outcome: What became of it, in a word or two: ``answered``, ``rejected``, ``failed``,
            ``missing``, ``over budget``, ``bad row``.
        sent: The row as a row of the batch; None if it is none.
        completion: Its answer, or the rejected one that is to be written all the same.
        rejected: The best of its answers, where none holds.
        error: Why it has none: ``kind``, ``message`` and ``code``; and ``times`` where it was
            rejected.
        prices: What answers cost, for the metadata of its conversation; None leaves that out.
    """

    __slots__ = ("_answered", "completion", "error", "outcome", "prices", "rejected", "row", "sent")

    def __init__(
        self,
        row: InputRow,
        outcome: str,
        *,
        sent: SentRow | None = None,
        completion: Mapping[str, Any] | None = None,
        rejected: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        prices: AnswerPrices | None = None,
    ) -> None:
        self.row = row
        self.outcome = outcome
        self.sent = sent
        self.completion = completion
        self.rejected = rejected
        self.error = error
        self.prices = prices
        self._answered: dict[str, Any] | None = None

    def answered(self) -> dict[str, Any]:
        """Return the conversation with its answer, and what else the row holds.

        The row must have one. A rejected one is marked in its metadata, which say what the answer
        has cost where that is asked for.

        Raises:
            InputChangedError: If the row has no conversation any more.
        """
        if self._answered is None:
            assert self.sent is not None
            assert self.completion is not None
            self._answered = self.sent.answered(self.completion)
            if self.rejected is not None or self.prices is not None:
                metadata = dict(self._answered.get("metadata") or {})
                if self.rejected is not None:
                    metadata["rejected"] = self.error
                if self.prices is not None:
                    self.prices.note(metadata)
                self._answered["metadata"] = metadata
        return self._answered


class RowWriter(Protocol):
    """Takes row by row."""

    def add(self, finished: FinishedRow) -> None:
        """Take a row of the input; they come in its order, every one of them."""


class Sink(Protocol):
    """Takes the rows of a batch, all or none."""

    @property
    def output(self) -> Output:
        """Where they are written to."""

    def open(
        self, before_replacing: BeforeReplacing | None = None
    ) -> AbstractContextManager[RowWriter]:
        """Take rows until the block has come to its end; see :meth:`Output.writing`."""
