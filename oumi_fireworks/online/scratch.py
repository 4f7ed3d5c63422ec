"""The scratch file: what a run has finished, so that the next one goes on from there.

Its format is Oumi's: one JSON object a line, each a conversation as ``to_dict()`` gives it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from oumi_fireworks.files import AppendedFile

__all__ = ["ScratchFile"]


class ScratchFile(AppendedFile):
    """The finished rows of a run, each on the disk before the next."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: The file cannot be written.
        """
        self.append(_encode(row))


def _encode(row: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # What orjson will not write: huge integers, keys that are no strings, lone surrogates,
        # which UTF-8 does not have and nobody could read.
        return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
