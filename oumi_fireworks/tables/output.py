"""Where the rows of a batch are written to, as a whole or not at all."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from oumi_fireworks.batch import FileMark
from oumi_fireworks.files import replacing

BeforeReplacing = Callable[[FileMark], None]
"""Told about a file when it is complete, before it is in its place."""

_ADVICE = (
    "Nothing is lost: what was answered is kept. Make room, and run the same command again; "
    "nothing is paid twice."
)


class Output(Protocol):
    """A place for rows."""

    @property
    def name(self) -> str:
        """What to call it, for people; its end says how it is packed."""

    @property
    def errors(self) -> Output | None:
        """Where the failures go; None where they are only counted."""

    def exists(self) -> bool:
        """Tell whether there is something already."""

    def writing(
        self, *, unless_empty: bool = False, before_replacing: BeforeReplacing | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """Write it: it is there when the block has come to its end, and else what was before.

        Args:
            unless_empty: Whether nothing is to be there where there is no content.
            before_replacing: Told when it is complete, where it is a file.

        Raises:
            WriteError: If it cannot be written.
        """


class LocalOutput:
    """A file; packed if it is named .gz or .zst.

    Args:
        path: The file; what is there before is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def errors(self) -> LocalOutput:
        """The file beside it."""
        return LocalOutput(errors_path(self.path))

    def exists(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    @contextmanager
    def writing(
        self, *, unless_empty: bool = False, before_replacing: BeforeReplacing | None = None
    ) -> Iterator[BinaryIO]:
        """Write the file beside its place, and move it there."""
        path = self.path
        with replacing(path, advice=_ADVICE, unless_empty=unless_empty) as file:
            with packed(file, path.name) as stream:
                yield stream
            if before_replacing is not None:
                file.flush()
                before_replacing(FileMark.of(path, file.fileno()))


class StandardOutput:
    """Standard output, which gets rows as they come."""

    name = "the answers"
    errors = None

    def exists(self) -> bool:
        """Return False: it can always be written to."""
        return False

    @contextmanager
    def writing(
        self, *, unless_empty: bool = False, before_replacing: BeforeReplacing | None = None
    ) -> Iterator[BinaryIO]:
        """Write to it."""
        stream: BinaryIO = sys.stdout.buffer
        yield stream
        stream.flush()


@contextmanager
def packed(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Pack what is written to a file, if it is named so."""
    if name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
            yield cast(BinaryIO, stream)
    elif name.endswith(".zst"):
        from zstandard import ZstdCompressor

        with ZstdCompressor().stream_writer(file, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield file


def errors_path(output: str | Path) -> Path:
    """Return where the failures of an output are written."""
    return Path(f"{output}.errors.jsonl")
