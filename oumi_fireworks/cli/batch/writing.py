"""The files that a batch is delivered to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from oumi_fireworks.engine.run_folder import errors_path
from oumi_fireworks.files import replacing

__all__ = ["delivered", "errors_path"]

_ADVICE = (
    "Nothing is lost: what was answered is kept. Make room, and run the same command again; "
    "nothing is paid twice."
)


def delivered(path: Path, *, unless_empty: bool = False) -> AbstractContextManager[BinaryIO]:
    """Write a file of an output as a whole, or not at all.

    Args:
        path: The file; what is there before is replaced.
        unless_empty: Whether a file without content is to be no file at all.

    Raises:
        WriteError: If the disk does not take it. What was there before is still there.
    """
    return replacing(path, advice=_ADVICE, unless_empty=unless_empty)
