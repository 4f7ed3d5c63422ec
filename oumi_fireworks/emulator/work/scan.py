"""The check of a job's input: every row of it, in one pass, in memory that hardly grows."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from oumi_fireworks.emulator.wire.chat_request import BadRequest
from oumi_fireworks.emulator.work.rows import read_row

_MOST_ROWS = 512
"""Rows of a block."""

_MOST_BYTES = 4 << 20
"""Bytes of a block."""

_FINENESS = 256
"""Blocks, at the least, that a large input is cut into."""

_BUCKETS = 256
"""Parts into which the keys are sorted before they are compared."""

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Block:
    """A run of neighbouring input rows that are answered together.

    Args:
        path: The file that holds them.
        offset: Where they begin in it, in bytes.
        size: Their bytes.
        rows: How many of them are to be answered.
    """

    path: Path
    offset: int
    size: int
    rows: int


class Stopped(Exception):
    """The job was stopped while its input was being read."""


def scan(
    files: Iterable[Path], done: Collection[int], stopped: Callable[[], bool]
) -> tuple[list[Block], int]:
    """Check all rows and divide them into blocks.

    A block holds a 256th of the rows before it, so that a small job is cut as finely as by
    row, and a large one into blocks of a few hundred.

    Args:
        files: The input, in its order.
        done: `row_key` of every row that an earlier job has finished; checked, and left out.
        stopped: Asked now and then whether to go on.

    Returns:
        The blocks, and the number of rows to be answered.

    Raises:
        BadRequest: If the service would refuse the input, with its message.
        Stopped: If `stopped` said so.
    """
    blocks: list[Block] = []
    keys = [array("Q") for _ in range(_BUCKETS)]
    total = seen = 0
    paths = list(files)
    for path in paths:
        offset = start = rows = 0
        with path.open("rb", buffering=1 << 20) as lines:
            for line in lines:
                offset += len(line)
                if line.isspace():
                    continue
                seen += 1
                try:
                    key = row_key(read_row(line)[0])
                except BadRequest as error:
                    raise _refusal(path, error.message) from None
                keys[key % _BUCKETS].append(key)
                if key not in done:
                    rows += 1
                most = min(_MOST_ROWS, max(1, (total + rows) // _FINENESS))
                if rows >= most or offset - start >= _MOST_BYTES:
                    blocks.append(Block(path, start, offset - start, rows))
                    total += rows
                    start, rows = offset, 0
                    if stopped():
                        raise Stopped
        if rows:
            blocks.append(Block(path, start, offset - start, rows))
            total += rows
    if not seen:
        raise _refusal(paths[0] if paths else Path("input.jsonl"), "the dataset is empty")
    _check_distinct(paths, keys)
    return blocks, total


def row_key(custom_id: str) -> int:
    """Return 64 bits that stand for a custom_id, within one process."""
    return hash(custom_id) & _MASK


def keys_in(path: Path) -> Iterable[int]:
    """Yield the `row_key` of every row of a result file."""
    with path.open("rb", buffering=1 << 20) as lines:
        for line in lines:
            with suppress(orjson.JSONDecodeError):  # somebody may have asked for odd lines
                row = orjson.loads(line)
                if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
                    yield row_key(row["custom_id"])


def _refusal(path: Path, reason: str) -> BadRequest:
    """Return the service's message; like the service's, its line number is not to be trusted."""
    return BadRequest(
        f"Dataset has a syntax error: chat dataset validation failed on {path.name}:1: {reason}"
    )


def _check_distinct(paths: list[Path], keys: list[array[int]]) -> None:
    suspects: set[int] = set()
    for bucket in keys:
        once = set(bucket)
        if len(once) < len(bucket):
            for key in bucket:
                if key in once:
                    once.remove(key)
                else:
                    suspects.add(key)
    if suspects:
        _find_duplicate(paths, suspects)


def _find_duplicate(paths: list[Path], suspects: set[int]) -> None:
    seen: set[str] = set()
    for path in paths:
        with path.open("rb", buffering=1 << 20) as lines:
            for line in lines:
                if line.isspace():
                    continue
                custom_id = read_row(line)[0]
                if row_key(custom_id) in suspects:
                    if custom_id in seen:
                        raise _refusal(path, f"duplicate custom_id {custom_id[:80]!r}")
                    seen.add(custom_id)
