"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BUFFER_BYTES = 1 << 20


def errors_path(output: Path) -> Path:
    """Return where the failures of an output are written."""
    return Path(f"{output}.errors.jsonl")


@contextmanager
def replacing(path: Path, *, unless_empty: bool = False) -> Iterator[BinaryIO]:
    """Write a file beside its place, and move it there when the block has come to its end.

    Args:
        path: The file; what is there before is replaced.
        unless_empty: Whether a file without content is to be no file at all.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb", buffering=_BUFFER_BYTES) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size or not unless_empty:
            temporary.replace(path)
        else:
            path.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
