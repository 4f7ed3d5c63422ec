"""The kinds of outputs, and what writes each. pyarrow is loaded only for a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.options.tables import OutputOptions
from oumi_fireworks.tables.conversation_sink import ConversationSink
from oumi_fireworks.tables.formats import FOREIGN, PACKED, suffix_format
from oumi_fireworks.tables.openai_sink import OpenAISink
from oumi_fireworks.tables.output import Output
from oumi_fireworks.tables.sink import Sink
from oumi_fireworks.tables.source import SourceWithColumns


class OpenedInput(Protocol):
    """An input that is opened when its rows or its columns are needed first."""

    @property
    def source(self) -> SourceWithColumns:
        """What gives the rows."""


def open_sink(
    output: Output,
    options: OutputOptions,
    rows: OpenedInput,
    fields: Mapping[str, Any],
    prices: AnswerPrices | None = None,
) -> Sink:
    """Return what takes the rows of a batch. Its columns are settled now.

    Args:
        output: Where they go; its name says how it is written, unless the options do.
        options: How it is written.
        rows: The input.
        fields: The request fields that all rows share; they say what an answer looks like.
        prices: What answers cost.

    Raises:
        ConfigurationError: If the columns cannot be written so.
        InputError: If the input cannot be read.
    """
    kind = options.format or suffix_format(output.name) or "jsonl"
    _require_fitting_name(output.name, kind, options)
    schema = answer_schema(fields) if options.expand else None
    if kind in ("jsonl", "openai"):
        if options.expand:
            raise ConfigurationError(
                "--expand makes columns, and conversations have none. Add --output-format rows, or "
                "write to a table such as answers.parquet."
            )
        return ConversationSink(output) if kind == "jsonl" else OpenAISink(output)
    from oumi_fireworks.tables.answer_columns import AnswerColumns

    columns = AnswerColumns(options.prefix, prices)
    if kind == "rows":
        from oumi_fireworks.tables.row_lines_sink import RowLinesSink

        taken = rows.source.columns()
        return RowLinesSink(output, columns, taken, (schema or {}).get("properties") or {})
    from oumi_fireworks.tables.column_types import schema_fields
    from oumi_fireworks.tables.table_schemas import schema_of
    from oumi_fireworks.tables.table_sink import TableSink
    from oumi_fireworks.tables.table_writers import FORMATS

    expanded = {} if schema is None else schema_fields(schema)
    return TableSink(output, FORMATS[kind], schema_of(rows.source), columns, expanded)


def _require_fitting_name(name: str, kind: str, options: OutputOptions) -> None:
    """Refuse a name that promises another file than the one that it would be.

    Raises:
        ConfigurationError: If nothing could read a file of this kind and name.
    """
    low = name.lower()
    if options.format is None and low.endswith(FOREIGN):
        raise ConfigurationError(
            f"{name}: such files are not written. Name it .parquet, .csv, .arrow or .jsonl, or say "
            "what it is with --output-format."
        )
    if kind in ("parquet", "arrow") and low.endswith(PACKED):
        raise ConfigurationError(
            f"{name}: {kind.capitalize()} files are not packed as a whole, since nothing would "
            "read them. Leave the end .gz or .zst out."
        )


def answer_schema(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON Schema that answers follow.

    Raises:
        ConfigurationError: If there is none.
    """
    schema = answer_schema_if_any(fields)
    if schema is None:
        raise ConfigurationError(
            "--expand needs to know the fields of the answers: set generation.guided_decoding.json "
            "to their JSON Schema."
        )
    return schema


def answer_schema_if_any(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the same; None where there is none."""
    wanted = fields.get("response_format")
    found = wanted.get("json_schema", wanted) if isinstance(wanted, Mapping) else None
    schema = found.get("schema") if isinstance(found, Mapping) else None
    return schema if isinstance(schema, Mapping) else None
