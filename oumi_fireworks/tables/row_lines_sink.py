"""Rows as JSON Lines: the input's columns with the answer beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from oumi_fireworks.tables.answer_columns import AnswerColumns
from oumi_fireworks.tables.cells import json_of
from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import dumps, loads


class RowLinesSink:
    """Writes every row of the input as a JSON object.

    Args:
        output: Where to.
        columns: The new columns.
        taken: The names of the input's columns.
        expanded: The fields of an answer's JSON that become columns.

    Raises:
        ConfigurationError: If a name is taken already.
    """

    def __init__(
        self,
        output: Output,
        columns: AnswerColumns,
        taken: Collection[str],
        expanded: Collection[str],
    ) -> None:
        self.output = output
        self._columns = columns
        self._own, self._fields = columns.names(taken, expanded)
        self._expanded = list(expanded)

    @contextmanager
    def open(self, before_replacing: BeforeReplacing | None = None) -> Iterator[_Lines]:
        """Write lines."""
        with self.output.writing(before_replacing=before_replacing) as file:
            expanded = dict(zip(self._fields, self._expanded, strict=True))
            yield _Lines(file, self._columns, self._own, expanded)


@dataclass
class _Lines:
    """Writes lines.

    Attributes:
        file: Where to.
        columns: The new columns.
        names: Their names.
        expanded: The fields of an answer, by the columns that they become.
    """

    file: BinaryIO
    columns: AnswerColumns
    names: Sequence[str]
    expanded: Mapping[str, str]

    def add(self, finished: FinishedRow) -> None:
        """Write a row; one that cannot be read is among the failures alone."""
        try:
            line = {name: json_of(each) for name, each in finished.row.fields().items()}
        except ValueError:
            return
        values = self.columns.values(finished)
        line |= zip(self.names, values, strict=True)
        if self.expanded:
            answer = _object_in(values[0])
            line |= {column: answer.get(name) for column, name in self.expanded.items()}
        self.file.write(dumps(line) + b"\n")


def _object_in(answer: str | None) -> Mapping[str, Any]:
    try:
        value = loads((answer or "").encode("utf-8", "surrogatepass"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
