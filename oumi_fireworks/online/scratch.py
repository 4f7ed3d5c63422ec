"""The scratch file: what a run has finished, so that the next one goes on from there.

Its format is Oumi's: one JSON object a line, each a conversation as ``to_dict()`` gives it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

__all__ = ["ScratchFile", "repair_scratch"]

_BLOCK = 64 * 1024


class ScratchFile:
    """Appends finished rows through one open handle; made with the first row.

    Each row is handed to the system before :meth:`write` returns, so that a killed process loses
    none. Use it in one thread at a time.

    Args:
        path: The file, in a folder that need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: The file cannot be written.
        """
        line = _encode(row)
        if self._descriptor is None:
            self._descriptor = self._open()
        # One call for the line: with O_APPEND it stays whole even if others write, too.
        written = os.write(self._descriptor, line)
        while written < len(line):
            written += os.write(self._descriptor, line[written:])

    def close(self) -> None:
        """Close the file. Safe to repeat; the next row opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        repair_scratch(self.path)
        # Windows would turn \\n into \\r\\n without O_BINARY.
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        return os.open(self.path, flags, 0o666)


def repair_scratch(path: str | os.PathLike[str]) -> int:
    """Cut off a last line that a kill or a full disk left unfinished.

    Oumi, which reads the file before a run, would raise for it, and a further row would be
    appended to it. Call this before either.

    Args:
        path: The file; it need not exist.

    Returns:
        How many bytes were cut off.

    Raises:
        OSError: The file cannot be read or written.
    """
    try:
        file = open(path, "r+b")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return 0
    with file:
        size = file.seek(0, os.SEEK_END)
        whole = _end_of_last_line(file, size)
        if whole == size:
            return 0
        file.truncate(whole)
        return size - whole


def _end_of_last_line(file: Any, size: int) -> int:
    """The offset after the last line break, 0 if there is none."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        end = start
    return 0


def _encode(row: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # What orjson will not write: huge integers, keys that are no strings, lone surrogates,
        # which UTF-8 does not have and nobody could read.
        return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
