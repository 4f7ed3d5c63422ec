"""The answer columns of rows alone, a JSON object a line: to be put into an output that exists."""

from __future__ import annotations

from typing import Any

from oumi_fireworks.tables.answer_columns import COLUMNS, AnswerColumns
from oumi_fireworks.tables.line_sink import LineSink
from oumi_fireworks.tables.output import Output
from oumi_fireworks.tables.sink import FinishedRow


class AnswerLinesSink(LineSink):
    """Writes the answer columns of each row that was sent.

    Args:
        output: Where to.
        columns: What is in them.
    """

    def __init__(self, output: Output, columns: AnswerColumns) -> None:
        super().__init__(output)
        self._columns = columns

    def line(self, finished: FinishedRow) -> dict[str, Any] | None:
        """Return the values of a row by the columns' names, without a prefix."""
        if finished.sent is None:
            return None
        return dict(zip(COLUMNS, self._columns.values(finished), strict=True))
