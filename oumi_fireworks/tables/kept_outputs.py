"""What an output is that was written before, told by what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oumi_fireworks.errors import InputError
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.formats import first_line, format_of
from oumi_fireworks.tables.kept_rows import KeptColumns, KeptOutput

if TYPE_CHECKING:
    import pyarrow as pa

    from oumi_fireworks.tables.kept_lines import KeptResults


def kept_output(
    path: Path, expanded: Mapping[str, pa.Field] | None = None
) -> KeptOutput | KeptResults | None:
    """Return what reads an output again; None for one of conversations.

    Args:
        path: The output.
        expanded: The columns that answers are expanded to, by their fields, as the configuration
            has them. CSV does not tell their types.

    Raises:
        InputError: If it cannot be read, or is a table without answers.
    """
    file = InputFile(path, str(path))
    kind = format_of(file)
    if kind == "jsonl":
        from oumi_fireworks.tables.kept_lines import KeptResults, KeptRowLines

        line = first_line([file])
        if {"custom_id", "response", "error"} <= line.keys():
            return KeptResults(file)
        columns = KeptColumns.of(list(line))
        return None if columns is None or _is_answered(line) else KeptRowLines(file, columns)
    if kind in ("csv", "tsv"):
        from oumi_fireworks.tables.kept_csv import KeptCsv

        kept = KeptCsv(file, kind, expanded)
        if kept.columns is None:
            raise _no_answers(path)
        if list(kept.columns.expanded) != list(expanded or {}) and expanded is not None:
            raise InputError(
                f"{path} has columns after those of the answers ({', '.join(kept.columns.expanded)}"
                f"), and the schema in the configuration has others ({', '.join(expanded)}). Use "
                "the configuration that the output was made with."
            )
        return kept
    from oumi_fireworks.tables.kept_tables import KeptTable
    from oumi_fireworks.tables.table_files import open_file
    from oumi_fireworks.tables.table_writers import FORMATS

    table = open_file(kind, file)
    found = KeptColumns.of(table.schema.names)
    if found is None:
        raise _no_answers(path)
    return KeptTable(table, FORMATS[kind], found)


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
