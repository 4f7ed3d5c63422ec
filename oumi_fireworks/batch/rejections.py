"""What an index remembers of rejected answers: some bytes a row, once there is one."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.money import Usage

_MOST_KINDS = 50
"""Kinds of rejection that are counted apart."""

_OTHERS = "other"

_EXAMPLES = 3
"""Rows of each kind that are named."""

_KIND_LENGTH = 100
"""Characters."""

_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
"""What differs from row to row within one kind, as the position in a list does."""


class AnswerPlace(NamedTuple):
    """Where an answer stands."""

    file: int
    offset: int


@dataclass
class RejectedKind:
    """The rejected answers of one kind, also those of rows that were answered later.

    Attributes:
        answers: How many.
        rows: Some of their rows.
        usage: Their tokens, as far as they say.
    """

    answers: int = 0
    rows: list[int] = field(default_factory=list)
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen

    def add(self, row: int, usage: object) -> None:
        """Count an answer."""
        self.answers += 1
        if len(self.rows) < _EXAMPLES:
            self.rows.append(row)
        self.usage += Usage.parse(usage) or Usage()


class Rejections:
    """The rejected answers of a batch: which were the first, how often, what they have cost.

    Args:
        rows: How many rows the batch has.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._times = bytearray()
        self._worth = bytearray()
        self._first_files = array("H")
        self._first_offsets = array("Q")
        self.kinds: dict[str, RejectedKind] = {}
        """By :func:`group_of`, in the order of their first answers."""

    @property
    def usage(self) -> Usage:
        """Add up the tokens of all rejected answers."""
        return sum((kind.usage for kind in self.kinds.values()), Usage())

    @property
    def answers(self) -> int:
        """Count all rejected answers."""
        return sum(kind.answers for kind in self.kinds.values())

    def add(
        self, row: int, at: AnswerPlace, rejection: Rejection, completion: Mapping[str, Any]
    ) -> bool:
        """Take note of a rejected answer; return whether it is to be kept as the row's best."""
        if not self._times:
            self._times, self._worth = bytearray(self._rows), bytearray(self._rows)
            self._first_files = array("H", bytes(2 * self._rows))
            self._first_offsets = array("Q", bytes(8 * self._rows))
        kind = group_of(rejection.kind)
        if kind not in self.kinds and len(self.kinds) >= _MOST_KINDS:
            kind = _OTHERS
        self.kinds.setdefault(kind, RejectedKind()).add(row, completion.get("usage"))
        is_first = not self._times[row]
        if is_first:
            self._first_files[row], self._first_offsets[row] = at
        self._times[row] = min(self._times[row] + 1, 255)
        is_best = is_first or rejection.worth >= self._worth[row]
        if is_best:
            self._worth[row] = rejection.worth
        return is_best

    def times(self, row: int) -> int:
        """Return how many attempts at a row have brought an answer that was rejected."""
        return self._times[row] if self._times else 0

    def first(self, row: int) -> AnswerPlace | None:
        """Return where the first rejected answer of a row stands; None where there is none."""
        if not self.times(row):
            return None
        return AnswerPlace(self._first_files[row], self._first_offsets[row])


def group_of(kind: str) -> str:
    """Return what a kind has in common with others: positions in lists and quoted words left out.

    ``schema: /items/3/price is not a number`` → ``schema: /items/…/price is not a number``.
    """
    line = _VARIABLE.sub("…", kind)
    return line if len(line) <= _KIND_LENGTH else line[: _KIND_LENGTH - 1] + "…"
