"""Outputs that were written before: which kind they are, and what they say of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from oumi_fireworks.tables.answer_columns import COLUMNS
from oumi_fireworks.tables.output import LocalOutput

Values = Sequence[Any]
"""The values of :data:`COLUMNS` for a row."""

NewValues = Callable[[int], Values | None]
"""Returns what a row is to have instead of its answer columns, by its number from 0; None leaves it
as it is. Asked for each row, in their order."""

BAD_ROW = "bad row"
"""The outcome of a row that was not sent."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row of an output.

    Attributes:
        own: The input's columns.
        values: The answer columns, by their names without a prefix.
    """

    own: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        """What became of it."""
        return str(self.values["outcome"])

    def completion(self) -> dict[str, Any] | None:
        """Return its answer as a completion; None where it has none."""
        values = self.values
        if all(values[name] is None for name in ("answer", "finish_reason", "tool_calls")):
            return None
        message = {
            "role": "assistant",
            "content": values["answer"],
            "reasoning_content": values["reasoning"],
            "tool_calls": values["tool_calls"],
        }
        usage = {name: values[name] for name in _TOKENS}
        choice = {"message": message, "finish_reason": values["finish_reason"]}
        return {"choices": [choice], "usage": usage}


_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")


@dataclass(frozen=True)
class KeptColumns:
    """The columns of an output.

    Attributes:
        names: All of them.
        start: The position of the first answer column.
        prefix: What is put before the names of the new ones.
    """

    names: tuple[str, ...]
    start: int
    prefix: str

    @classmethod
    def of(cls, names: Sequence[str]) -> KeptColumns | None:
        """Find the answer columns: the last ones, where the input had such columns as well."""
        for start in range(len(names) - len(COLUMNS), -1, -1):
            if not names[start].endswith(COLUMNS[0]):
                continue
            prefix = names[start].removesuffix(COLUMNS[0])
            wanted = [prefix + name for name in COLUMNS]
            if list(names[start : start + len(COLUMNS)]) == wanted:
                return cls(tuple(names), start, prefix)
        return None

    @property
    def own(self) -> tuple[str, ...]:
        """The input's."""
        return self.names[: self.start]

    @property
    def answer(self) -> tuple[str, ...]:
        """Those of :data:`COLUMNS`."""
        return self.names[self.start : self.start + len(COLUMNS)]

    @property
    def expanded(self) -> dict[str, str]:
        """Those that answers were expanded to, by the fields of the answers."""
        after = self.names[self.start + len(COLUMNS) :]
        return {name.removeprefix(self.prefix): name for name in after}

    def row(self, values: Sequence[Any]) -> KeptRow:
        """Return the row of these values of all columns."""
        answer = values[self.start : self.start + len(COLUMNS)]
        return KeptRow(
            dict(zip(self.own, values, strict=False)), dict(zip(COLUMNS, answer, strict=True))
        )


class KeptOutput(Protocol):
    """An output with a row for each of the input's."""

    def rows(self) -> Iterator[KeptRow]:
        """Yield the rows.

        Raises:
            InputError: If it cannot be read.
        """

    def rewrite(self, place: LocalOutput, new: NewValues) -> None:
        """Write it again, as a whole, with other answers in some of its rows.

        Args:
            place: Where to; it may be the output itself.
            new: Says what a row has instead.

        Raises:
            WriteError: If it cannot be written. What was there stays.
        """
