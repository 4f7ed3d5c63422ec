"""What an output is that was written before, told by what is in it.

pyarrow is loaded only for a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oumi_fireworks.errors import ConfigurationError, InputError
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.formats import first_line, format_of
from oumi_fireworks.tables.kept_lines import KeptResults, KeptRowLines
from oumi_fireworks.tables.kept_rows import KeptColumns, KeptOutput
from oumi_fireworks.tables.sinks import answer_schema_if_any

if TYPE_CHECKING:
    import pyarrow as pa


def kept_output(
    path: Path, fields: Mapping[str, Any] | None = None
) -> KeptOutput | KeptResults | None:
    """Return what reads an output again; None for one of conversations.

    Args:
        path: The output.
        fields: The request fields that all rows share: of an output in CSV that is written again
            they say what types the fields of answers have. None where it is only read.

    Raises:
        InputError: If it cannot be read, or is a table without answers.
        ConfigurationError: If the fields do not fit it.
    """
    file = InputFile(path, str(path))
    kind = format_of(file)
    if kind == "jsonl":
        return _kept_lines(file)
    if kind in ("csv", "tsv"):
        from oumi_fireworks.tables.kept_csv import KeptCsv

        columns = KeptCsv(file, kind).columns
        if columns is None:
            raise _no_answers(path)
        if fields is None or not columns.expanded:
            return KeptCsv(file, kind)
        return KeptCsv(file, kind, _expanded(path, list(columns.expanded), fields))
    from oumi_fireworks.tables.kept_tables import KeptTable
    from oumi_fireworks.tables.table_files import open_file
    from oumi_fireworks.tables.table_writers import FORMATS

    table = open_file(kind, file)
    found = KeptColumns.of(table.schema.names)
    if found is None:
        raise _no_answers(path)
    return KeptTable(table, FORMATS[kind], found)


def _kept_lines(file: InputFile) -> KeptOutput | KeptResults | None:
    line = first_line([file])
    if {"custom_id", "response", "error"} <= line.keys():
        return KeptResults(file)
    columns = KeptColumns.of(list(line))
    return None if columns is None or _is_answered(line) else KeptRowLines(file, columns)


def _expanded(path: Path, names: list[str], fields: Mapping[str, Any]) -> dict[str, pa.Field]:
    from oumi_fireworks.tables.column_types import schema_fields

    found = schema_fields(answer_schema_if_any(fields) or {})
    if list(found) != names:
        raise ConfigurationError(
            f"{path} has columns for the fields {', '.join(names)} of answers, and the schema in "
            f"the configuration has {', '.join(found) or 'none'}. Use the configuration that the "
            "output was made with. Nothing was sent."
        )
    return found


def _is_answered(line: Mapping[str, Any]) -> bool:
    """Tell whether a line is a conversation with its answer, and its columns are the input's."""
    messages = line.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, Mapping) and last.get("role") == "assistant"


def _no_answers(path: Path) -> InputError:
    return InputError(
        f"{path} is not what run or results write: it has no columns answer, finish_reason, ... "
        "error. Name the output, or the id of the batch."
    )
