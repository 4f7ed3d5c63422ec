"""``infer_table``: a table in memory, with the answers beside its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from oumi.core.inference.base_inference_engine import FailureDetail
from oumi.core.types.conversation import Conversation

from oumi_fireworks.completions import ANSWERED_BY, RAN_ONLINE
from oumi_fireworks.engine.failures import RejectedAnswer
from oumi_fireworks.engine.outcomes import RowOutcome
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.options.tables import InputOptions, OutputOptions
from oumi_fireworks.tables.answer_columns import AnswerColumns
from oumi_fireworks.tables.column_arrays import answer_arrays
from oumi_fireworks.tables.column_types import schema_fields
from oumi_fireworks.tables.frames import MemoryTable, frame_of
from oumi_fireworks.tables.recipe import Recipe
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.tables.sinks import answer_schema
from oumi_fireworks.tables.table_source import TableSource

T = TypeVar("T")


def infer_table(
    table: T,
    run_rows: Callable[[Sequence[Conversation]], Sequence[RowOutcome]],
    asked: InputOptions,
    written: OutputOptions,
    fields: Mapping[str, Any],
    prices: Callable[[int], AnswerPrices],
) -> T:
    """Ask for each row of a table, and return it with the new columns.

    Args:
        table: A table of pandas, polars or pyarrow.
        run_rows: Runs conversations; gives an outcome for each.
        asked: What the columns are for.
        written: How the new columns are called.
        fields: The request fields that all rows share.
        prices: Says what answers cost, of so many rows that are run.

    Raises:
        ConfigurationError: If a column does not exist, or a new one is there already.
        TypeError: If it is no table.
    """
    frame = frame_of(table)
    columns = AnswerColumns(written.prefix)
    expanded = schema_fields(answer_schema(fields)) if written.expand else {}
    names, more = columns.names(frame.columns, list(expanded))
    recipe = Recipe.of(asked, frame.columns)
    for column in recipe.columns:
        if frame.columns.count(column) > 1:
            raise ConfigurationError(
                f"The table has two columns that are called {column!r}. Rename one."
            )
    source = TableSource([MemoryTable(frame.table(recipe.columns), "the table")], asked)
    conversations: list[Conversation] = []
    rows: list[FinishedRow] = []
    for row in source.rows():
        try:
            conversations.append(row.conversation())
        except ValueError as error:
            rows.append(FinishedRow(row, "bad row", error={"message": str(error)}))
        else:
            rows.append(FinishedRow(row, "answered"))
    outcomes = iter(run_rows(conversations) if conversations else ())
    columns = replace(columns, prices=prices(len(conversations)))
    done = [
        columns.values(each if each.error else _finished(each, next(outcomes))) for each in rows
    ]
    own, fields_of_answers = answer_arrays(done, expanded)
    new = zip([*names, *more], [*own, *fields_of_answers], strict=True)
    with_answers: T = frame.with_columns(dict(new))
    return with_answers


def _finished(row: FinishedRow, outcome: RowOutcome) -> FinishedRow:
    if isinstance(outcome, RejectedAnswer):
        error = {"message": outcome.reason}
        return FinishedRow(row.row, "rejected", rejected=outcome.completion, error=error)
    if isinstance(outcome, FailureDetail):
        error = {"message": outcome.error_message}
        return FinishedRow(row.row, "failed", error=error)
    return FinishedRow(row.row, "answered", completion=_completion_of(outcome))


def _completion_of(answered: Conversation) -> dict[str, Any]:
    """Return the completion that an answered conversation was made of, as far as is needed."""
    message = answered.messages[-1].model_dump(mode="json", exclude_none=True)
    choice = {"message": message, "finish_reason": answered.metadata.get("finish_reason")}
    marks = {
        mark: answered.metadata[mark]
        for mark in (ANSWERED_BY, RAN_ONLINE)
        if mark in answered.metadata
    }
    return {"choices": [choice], "usage": answered.metadata.get("usage"), **marks}
