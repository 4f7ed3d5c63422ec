"""What an input is stored as, and what reads it. pyarrow is loaded only for a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from oumi_fireworks.errors import InputError
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.files import ReadableFile, first_names
from oumi_fireworks.tables.json_lines import JsonLines
from oumi_fireworks.tables.lines import read_lines, unpacked
from oumi_fireworks.tables.openai_rows import OpenAIRows
from oumi_fireworks.tables.source import InputRow, SourceWithColumns
from oumi_fireworks.user_json import loads

_SIGNATURES = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))
_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
_WITH_SCHEMA = ("parquet", "arrow")
PACKED = (".gz", ".zst")
"""How the names of packed files end."""

FOREIGN = (".xlsx", ".xls", ".ods", ".orc", ".avro", ".sqlite", ".db", ".duckdb")
"""How the names of tables end that are neither read nor written."""


class FileInput:
    """An input of files, whatever is in them; looked at when it is needed first.

    Args:
        files: The files.
        options: What they are, and what their columns are for.
    """

    def __init__(self, files: Sequence[ReadableFile], options: InputOptions) -> None:
        self._files = files
        self._options = options

    @property
    def name(self) -> str:
        """The names of the first files."""
        return first_names(self._files)

    @cached_property
    def source(self) -> SourceWithColumns:
        """What gives the rows.

        Raises:
            InputError: If it cannot be read, or its files are of several kinds.
            ConfigurationError: If a column that is named does not exist.
        """
        return _open(self._files, self._options)

    def rows(self) -> Iterator[InputRow]:
        """Yield the rows."""
        return self.source.rows()


def _open(files: Sequence[ReadableFile], options: InputOptions) -> SourceWithColumns:
    formats = {format_of(file): file for file in files} if options.format is None else {}
    if len(formats) > 1:
        (one, first), (other, second), *_ = formats.items()
        raise InputError(
            f"{first.name} is {one}, and {second.name} is {other}: an input is of one kind."
        )
    kind = options.format or next(iter(formats), "jsonl")
    if kind == "openai":
        return OpenAIRows(files)
    if kind == "jsonl":
        line = {} if options.names_columns else first_line(files)
        if {"custom_id", "body"} <= line.keys():
            return OpenAIRows(files)
        is_row = "prompt" in line or {"instruction", "input"} <= line.keys()
        if not options.names_columns and ("messages" in line or not is_row):
            return JsonLines(files)
        from oumi_fireworks.tables.json_rows import JsonRows

        return JsonRows(files, options)
    from oumi_fireworks.tables.table_files import open_table

    return open_table(kind, files, options)


def format_of(file: ReadableFile) -> str:
    """Tell what a file is, by its first bytes, else by its name.

    Raises:
        InputError: If it cannot be read, or is empty and should have a schema: a table without rows
            has one, so that its columns are known.
    """
    try:
        with file.open() as raw:
            start = unpacked(raw).peek(8)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {file.name}: {reason}") from error
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    kind = suffix_format(file.name) or "jsonl"
    if not start and kind in _WITH_SCHEMA:
        raise InputError(f"{file.name} is empty: it has no schema.")
    return kind


def first_line(files: Sequence[ReadableFile]) -> Mapping[str, Any]:
    """Return the object of the first line, an empty one where there is none."""
    for _, line in read_lines(files):
        try:
            first = loads(line)
        except ValueError:
            break
        return first if isinstance(first, dict) else {}
    return {}


def suffix_format(name: str) -> str | None:
    """Tell what a file is by its name; None where that says nothing."""
    low = name.lower()
    for packed in PACKED:
        low = low.removesuffix(packed)
    return next((kind for suffix, kind in _SUFFIXES.items() if low.endswith(suffix)), None)
