"""Writing a batch's requests to files on disk, as they are produced, split by size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import xxhash

from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.errors import RowError, SpoolError
from oumi_fireworks.files import make_private_folder, open_private

DEFAULT_SHARD_BYTES = 480_000_000
"""The documented limit of a batch's input is 500 MB in the older guide, 1 GB in the current one."""

_ROWS_PER_TURN = 256


@dataclass(frozen=True)
class Shard:
    """A file of requests.

    Attributes:
        path: Where it is.
        rows: Requests in it.
        size: Bytes.
        digest: XXH3 of its content, 128 bits in hex: it tells inputs apart, which nobody forges,
            and takes a tenth of the time of SHA-256.
    """

    path: Path
    rows: int
    size: int
    digest: str


@dataclass(frozen=True)
class ShardLimits:
    """How large a shard may become.

    Attributes:
        max_bytes: Bytes at the most.
        max_rows: Requests at the most, or None.
    """

    max_bytes: int = DEFAULT_SHARD_BYTES
    max_rows: int | None = None


def shard_name(position: int) -> str:
    """Return the file name of a batch's shard."""
    return f"shard-{position}.jsonl"


class ShardWriter:
    """Takes encoded rows one by one and begins a new file whenever the limits say so.

    Args:
        folder: Where to write ``shard-<n>.jsonl``; None only measures and hashes.
        limits: When to begin a new file.
    """

    def __init__(self, folder: Path | None, limits: ShardLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._shards: list[Shard] = []
        self._file: BinaryIO | None = None
        self._hash = xxhash.xxh3_128()
        self._rows = self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, index: int, line: bytes) -> None:
        """Append a row.

        Raises:
            RowError: If the row alone is larger than a shard may be.
            OSError: If the disk does not take it.
        """
        limits = self._limits
        if len(line) > limits.max_bytes:
            raise RowError(
                f"Conversation {index} makes a request of {len(line):,} bytes; a shard takes "
                f"{limits.max_bytes:,} at the most. Shorten it, or raise max_shard_bytes.",
                index,
            )
        if self._size + len(line) > limits.max_bytes or self._rows == limits.max_rows:
            self._end()
        if self._file is None and self._folder is not None:
            make_private_folder(self._folder)
            self._file = open_private(self._path)
        if self._file is not None:
            self._file.write(line)
        self._hash.update(line)
        self._rows += 1
        self._size += len(line)

    def finish(self) -> list[Shard]:
        """Close the last file and return all of them, in the order of their rows."""
        if self._rows:
            self._end()
        return self._shards

    @property
    def _path(self) -> Path:
        return (self._folder or Path()) / shard_name(len(self._shards))

    def _end(self) -> None:
        path = self._path
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
        self._shards.append(Shard(path, self._rows, self._size, self._hash.hexdigest()))
        self._hash = xxhash.xxh3_128()
        self._rows = self._size = 0


async def write_shards(
    requests: Iterable[Request], folder: Path | None, limits: ShardLimits
) -> list[Shard]:
    """Write requests to files as they are produced, now and then letting the event loop run.

    Args:
        requests: The rows, in their order.
        folder: Where to write ``shard-<n>.jsonl``; None only measures and hashes.
        limits: When to begin a new file.

    Raises:
        RowError: If a row is larger than a shard may be.
        SpoolError: If the disk does not take it.
    """
    with ShardWriter(folder, limits) as writer:
        for request in requests:
            line = encode_row(request)
            try:
                writer.add(request.index, line)
            except OSError as error:
                raise _spool_error(folder, error) from error
            if not request.index % _ROWS_PER_TURN:
                await asyncio.sleep(0)  # a cancellation (Ctrl-C) gets in here
        try:
            return writer.finish()
        except OSError as error:
            raise _spool_error(folder, error) from error


def _spool_error(folder: Path | None, error: OSError) -> SpoolError:
    return SpoolError(f"Cannot write the batch's requests to {folder}: {error.strerror or error}.")


@contextmanager
def nothing_submitted() -> Iterator[None]:
    """Say of a row or a disk that is no good before anything was submitted, that it was not."""
    try:
        yield
    except RowError as error:
        raise RowError(f"{error} Nothing was submitted.", error.index) from error
    except SpoolError as error:
        raise SpoolError(
            f"{error} Nothing was submitted. Make room there, or choose another place with the "
            "run_dir option."
        ) from error
