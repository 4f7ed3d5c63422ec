"""Rows as JSON Lines: the input's columns with the answer beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from oumi_fireworks.tables.answer_columns import AnswerColumns
from oumi_fireworks.tables.cells import json_of
from oumi_fireworks.tables.line_sink import LineSink
from oumi_fireworks.tables.output import Output
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import loads


class RowLinesSink(LineSink):
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
        super().__init__(output)
        self._columns = columns
        self._own, fields = columns.names(taken, expanded)
        self._expanded = dict(zip(fields, expanded, strict=True))

    def line(self, finished: FinishedRow) -> dict[str, Any] | None:
        """Return a row; one that cannot be read is among the failures alone."""
        try:
            line = {name: json_of(each) for name, each in finished.row.fields().items()}
        except ValueError:
            return None
        values = self._columns.values(finished)
        line |= zip(self._own, values, strict=True)
        if self._expanded:
            answer = object_in_answer(values[0])
            line |= {column: answer.get(name) for column, name in self._expanded.items()}
        return line


def object_in_answer(answer: str | None) -> Mapping[str, Any]:
    """Return the JSON object that an answer is; an empty one where it is none."""
    try:
        value = loads((answer or "").encode("utf-8", "surrogatepass"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
