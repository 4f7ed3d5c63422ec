"""The lines of a file that ``batch run`` or ``batch results`` has written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.tables import InputFile, read_lines
from oumi_fireworks.user_json import loads


def own_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line, and the JSON object that it is.

    Raises:
        WrongUseError: If one is no JSON object.
        InputError: If the file cannot be read.
    """
    for place, line in read_lines([InputFile(path, str(path))]):
        try:
            row = loads(line)
        except ValueError as error:
            raise WrongUseError(f"{place} is not what `batch run` writes: {error}.") from error
        if not isinstance(row, dict):
            raise WrongUseError(f"{place} is not what `batch run` writes: it is no JSON object.")
        yield line, row


def own_lines_if_any(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the same; nothing where the file is not there."""
    if path.exists():
        yield from own_lines(path)
