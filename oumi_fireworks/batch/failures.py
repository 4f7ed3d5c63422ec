"""Failures, counted by kind with a few examples: a summary, not a warning for each row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from oumi_fireworks.batch.outcomes import Failure, Missing, OverBudget, Rejected, UnreadableAnswer
from oumi_fireworks.batch.rejections import group_of
from oumi_fireworks.grammar import clause, form

MISSING_KIND = "missing"
OVER_BUDGET_KIND = "over budget"
UNREADABLE_KIND = "unreadable answer"

REFUSALS = frozenset({400, 413, 422})
"""Status codes of a request that is refused for what it asks, and would be again."""

CODES_OF_REFUSALS = frozenset({"BAD_REQUEST", "INVALID_ARGUMENT"})
"""Names under which a row of a batch is refused: the inference plane's, and gRPC's."""

_MOST_KINDS = 50
"""Kinds of failure that are counted apart."""

_OTHER_KINDS = "other"

_EXAMPLES = 3
"""Rows of each kind that are named."""

_KIND_LENGTH = 100
"""Characters."""
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\d+")
"""Parts of a message that differ from row to row within one kind of failure: numbers, quoted words
and long hexadecimal ids."""


@dataclass
class FailureKind:
    """One kind of failure.

    Attributes:
        count: Rows.
        code: The service's code of the first of them, where it gives one.
        examples: Some of them: the row's index and the message.
    """

    count: int = 0
    code: str | None = None
    examples: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        rows = ", ".join(str(index) for index, _ in self.examples)
        more = ", …" if self.count > len(self.examples) else ""
        code = f"code {_short(self.code)}; " if self.code else ""
        named = f"{form(self.count, 'row')} {rows}{more}"
        return f"{self.count:,} × {clause(_short(self.examples[0][1]))} ({code}{named})"


@dataclass
class FailureSummary:
    """Failures by kind. Its size does not grow with their number.

    Attributes:
        kinds: By :func:`kind_of`.
    """

    kinds: dict[str, FailureKind] = field(default_factory=dict)

    def add(self, failure: Rejected | Failure | Missing, message: str | None = None) -> None:
        """Count one row; ``message`` replaces the failure's own."""
        if isinstance(failure, Rejected):
            kind = f"rejected: {group_of(failure.rejection.kind)}"
            self._count(kind, failure.index, kind)
        elif isinstance(failure, Missing):
            self._count(
                missing_kind(failure), failure.index, message or "in none of the result files"
            )
        else:
            message = message or failure.message
            self._count(kind_of(failure), failure.index, message, failure.code)

    def _count(self, kind: str, index: int, message: str, code: str | None = None) -> None:
        if kind not in self.kinds and len(self.kinds) >= _MOST_KINDS:
            kind = _OTHER_KINDS
        entry = self.kinds.setdefault(kind, FailureKind(code=code))
        entry.count += 1
        if len(entry.examples) < _EXAMPLES:
            entry.examples.append((index, message))

    def place(self, places: Iterable[int]) -> None:
        """Name rows by where they stand in a larger input.

        Args:
            places: The index there of each row, in the order of the rows.
        """
        named = {row for kind in self.kinds.values() for row, _ in kind.examples}
        found = {row: place for row, place in enumerate(places) if row in named}
        for kind in self.kinds.values():
            kind.examples[:] = [(found[row], message) for row, message in kind.examples]

    @property
    def total(self) -> int:
        """Rows without an answer."""
        return sum(kind.count for kind in self.kinds.values())

    def messages(self) -> list[str]:
        """Return one message of each kind, the most frequent kind first."""
        return [entry.examples[0][1] for _, entry in self._ordered()]

    def lines(self) -> list[str]:
        """Return a line for each kind, the most frequent first."""
        return [str(entry) for _, entry in self._ordered()]

    def _ordered(self) -> list[tuple[str, FailureKind]]:
        return sorted(self.kinds.items(), key=lambda item: -item[1].count)


def is_refusal(code: str | None) -> bool:
    """Tell whether a row that failed with this code would be refused again."""
    return code in CODES_OF_REFUSALS or code in {str(status) for status in REFUSALS}


def missing_kind(outcome: Missing) -> str:
    """Return why a row is in none of the result files, in two words at the most."""
    return OVER_BUDGET_KIND if isinstance(outcome, OverBudget) else MISSING_KIND


def kind_of(failure: Failure) -> str:
    """Return what a failure has in common with others of its kind."""
    if isinstance(failure, UnreadableAnswer):
        return UNREADABLE_KIND
    if failure.code:
        return failure.code
    return _short(_VARIABLE.sub("…", failure.message))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _KIND_LENGTH else line[: _KIND_LENGTH - 1] + "…"
