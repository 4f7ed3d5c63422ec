"""The tools of each row of a batch, for tool calls to be held against: on the disk."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import IO, Any

import orjson

_IN_MEMORY = 1 << 20
"""Bytes of tools from which on they are kept in a file."""

_RECENT = 256
"""Sets of tools that are looked for before one is written down once more."""


class RowTools:
    """Remembers the tools of rows that are read one after the other: 8 bytes a row in memory."""

    def __init__(self) -> None:
        self._offsets = array("q")
        self._recent: OrderedDict[bytes, int] = OrderedDict()
        # Lives as long as its owner, and is nameless: nothing is left behind.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def note(self, row: int, tools: Sequence[Mapping[str, Any]] | None) -> None:
        """Note the tools of a row. Rows come in their order; row 0 begins anew."""
        if row == 0:
            self._offsets = array("q")
        while len(self._offsets) < row:
            self._offsets.append(-1)
        self._offsets.append(self._offset_of(tools) if tools else -1)

    def of(self, row: int) -> list[dict[str, Any]]:
        """Return the tools of a row; none where it has none."""
        offset = self._offsets[row] if row < len(self._offsets) else -1
        if offset < 0:
            return []
        self._file.seek(offset)
        tools: list[dict[str, Any]] = orjson.loads(self._file.readline())
        return tools

    def _offset_of(self, tools: Sequence[Mapping[str, Any]]) -> int:
        line = orjson.dumps(tools)
        offset = self._recent.get(line)
        if offset is None:
            offset = self._file.seek(0, 2)
            self._file.write(line + b"\n")
            self._recent[line] = offset
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(line)
        return offset
