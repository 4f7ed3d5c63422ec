"""The files that a batch is delivered to."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from oumi_fireworks.batch import FileMark
from oumi_fireworks.engine.run_folder import errors_path
from oumi_fireworks.files import replacing

__all__ = ["delivered", "errors_path"]

_ADVICE = (
    "Nothing is lost: what was answered is kept. Make room, and run the same command again; "
    "nothing is paid twice."
)


@contextmanager
def delivered(
    path: Path,
    *,
    unless_empty: bool = False,
    before_replacing: Callable[[FileMark], None] | None = None,
) -> Iterator[BinaryIO]:
    """Write a file of an output as a whole, or not at all; packed if it is named .gz or .zst.

    Args:
        path: The file; what is there before is replaced.
        unless_empty: Whether a file without content is to be no file at all.
        before_replacing: Told about the file when it is complete, before it is in its place.

    Raises:
        WriteError: If the disk does not take it. What was there before is still there.
    """
    with replacing(path, advice=_ADVICE, unless_empty=unless_empty) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        elif path.suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield file
        if before_replacing is not None:
            file.flush()
            before_replacing(FileMark.of(path, file.fileno()))
