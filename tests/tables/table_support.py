"""What the tests of tables share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.formats import FileInput


def parquet(path: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    """Write a Parquet file."""
    pq.write_table(pa.table(dict(columns)), path, **options)
    return path


def opened(*paths: Path, **options: Any) -> FileInput:
    """Open files as an input."""
    files = [InputFile(path, path.name) for path in paths]
    return FileInput(files, InputOptions(**options))


def asked(*paths: Path, **options: Any) -> list[Any]:
    """Return what each row asks: its messages as pairs; for a row that asks nothing, why."""
    found: list[Any] = []
    for row in opened(*paths, **options).rows():
        try:
            conversation = row.conversation()
        except ValueError as error:
            found.append(f"{row.place}: {error}")
        else:
            found.append([(each.role.value, each.content) for each in conversation.messages])
    return found


def prompts(*paths: Path, **options: Any) -> list[Any]:
    """Return the text of the only message of each row; for a row without one, why."""
    return [each if isinstance(each, str) else each[0][1] for each in asked(*paths, **options)]


def reader(*paths: Path, **options: Any) -> ConversationReader:
    """Return a reader that has read its input."""
    made = ConversationReader(opened(*paths, **options), skip_bad=True)
    for _ in made.prepared(lambda *_: None):
        pass
    return made
