"""Answers that did not hold: by kind, what they cost, and some of them beside the last one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from oumi_fireworks.money import Usage
from oumi_fireworks.report.excerpt import Excerpt
from oumi_fireworks.report.rows import Row
from oumi_fireworks.report.sampled_row import SampledRow

_KEPT_CHARACTERS = 1500
"""Characters of an answer that are shown."""


@dataclass(frozen=True, slots=True)
class RejectedExample:
    """A row of which an answer was rejected.

    Attributes:
        index: Zero-based place in the input.
        first: The first answer that was rejected; None where nothing was said.
        last: What the row has at last: an answer that holds, or the best of the rejected ones.
        holds: Whether the last one holds.
    """

    index: int
    first: Excerpt | None
    last: Excerpt | None
    holds: bool

    @classmethod
    def of(
        cls, index: int, first: Mapping[str, Any], last: Mapping[str, Any], *, holds: bool
    ) -> Self:
        """Keep what is to be shown of two completions."""
        return cls(index, _said(first), _said(last), holds)


@dataclass(frozen=True, slots=True)
class RejectedAnswers:
    """The rejected answers of one kind, also those of rows that were answered later.

    Attributes:
        kind: What was wrong with them.
        answers: How many.
        usage: Their tokens.
        examples: Some of their rows.
    """

    kind: str
    answers: int
    usage: Usage
    examples: tuple[RejectedExample, ...] = ()


def _said(completion: Mapping[str, Any]) -> Excerpt | None:
    row = SampledRow.of(Row.from_completion(0, dict(completion)), "")
    reply = row.reply
    return None if reply is None else reply.shortened(_KEPT_CHARACTERS)
