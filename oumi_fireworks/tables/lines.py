"""The lines of input files, plain or packed, with the place of each."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from oumi_fireworks.errors import InputError, Place
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables.signatures import SIGNATURE_BYTES, foreign_format

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from oumi_fireworks.tables.files import ReadableFile

_GZIP, _ZSTD, _BOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf"
_BUFFER_BYTES = 1 << 20

LONGEST_LINE_BYTES = 64 << 20
"""Longest line, in bytes. The images of a request may have 10 MB in all; a packed file of a few
hundred kilobytes can hold a line of gigabytes."""

_ZSTD_CHUNK_BYTES = 1 << 10
"""Bytes unpacked at a time: so few because text that repeats itself becomes ten thousand times as
large."""


def read_lines(files: Iterable[ReadableFile]) -> Iterator[tuple[Place, bytes]]:
    """Yield the lines of all files with their places: see :func:`numbered_lines`."""
    return ((Place(file, number), line) for file, number, line in numbered_lines(files))


def numbered_lines(files: Iterable[ReadableFile]) -> Iterator[tuple[str, int, bytes]]:
    r"""Yield the lines of all files that are not blank, without white space around them.

    Each comes with the name of its file and its number there.

    Lines end with ``\n`` alone: Unicode has other line separators, and JSON strings may hold them.
    Whether a file is packed (gzip, Zstandard) is told by its first bytes, not by its name.

    Raises:
        InputError: If a file cannot be read, its packing is broken or cut short, it is clearly
            something else than JSON Lines, or a line is longer than :data:`LONGEST_LINE_BYTES`.
    """
    for file in files:
        name, number = file.name, 0
        try:
            with file.open() as raw:
                stream = unpacked(raw)
                if said := foreign_format(stream.peek(SIGNATURE_BYTES)):
                    raise InputError(f"{file.name} is not JSON Lines: it is {ended(said)}")
                while line := stream.readline(LONGEST_LINE_BYTES + 1):
                    number += 1
                    if len(line) > LONGEST_LINE_BYTES:
                        raise InputError(
                            f"{Place(file.name, number)}: this line is longer than "
                            f"{LONGEST_LINE_BYTES >> 20} MiB, more than any request may be. Is "
                            "the file JSON Lines, one conversation a line?"
                        )
                    if number == 1:
                        line = line.removeprefix(_BOM)
                    if line := line.strip():
                        yield name, number, line
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            where = f"{file.name} after line {number}" if number else file.name
            raise InputError(f"Cannot read {where}: {reason}") from error


def unpacked(file: io.BufferedReader) -> io.BufferedReader:
    """Unpack a file, if it is packed with gzip or Zstandard."""
    start = file.peek(len(_ZSTD))[: len(_ZSTD)]
    if start.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER_BYTES)
    if start == _ZSTD:
        return io.BufferedReader(_ZstdReader(file), _BUFFER_BYTES)
    return file


class _ZstdReader(io.RawIOBase):
    """Unpacks Zstandard frames, and notices when the last one is cut short.

    The library's own stream reader takes a file that was cut for one that has ended.
    """

    def __init__(self, file: BinaryIO) -> None:
        from zstandard import ZstdDecompressor

        self._file = file
        self._new_frame = ZstdDecompressor().decompressobj
        self._frame = self._new_frame()
        self._packed = self._ready = b""
        self._in_frame = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        from zstandard import ZstdError

        while not self._ready:
            self._packed = self._packed or self._file.read(_ZSTD_CHUNK_BYTES)
            if not self._packed:
                if self._in_frame:
                    raise EOFError("the compressed file is cut short")
                return 0
            try:
                self._ready = self._frame.decompress(self._packed)
            except ZstdError as error:
                raise OSError(f"the compressed file is damaged ({error})") from error
            self._in_frame = not self._frame.eof
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = self._new_frame()
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), len(self._ready))
            view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
