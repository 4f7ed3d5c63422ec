"""Writing a batch's requests to files on disk, as they are produced, split by size.

Rows are written as they come, in one pass and in little memory. Where a system message may travel
with the job (:mod:`oumi_fireworks.batch.shared_prompt`), two shards are open at a time: one of rows
that could leave theirs to the job, one of the others, whose job has none. So there is at most one
job more than without. Which message a job brings is decided by the first rows of its shard: the
most common one. Rows of that shard with another one keep theirs.

A shard's digest is that of its rows as if each were written with its own system message.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import xxhash

from oumi_fireworks.batch.output_size import most_output_bytes
from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.batch.shared_prompt import leading_prompt, without_prompt
from oumi_fireworks.errors import RowError, SpoolError
from oumi_fireworks.files import make_private_folder, open_private
from oumi_fireworks.grammar import ended, number
from oumi_fireworks.money import Usage, most_tokens

DEFAULT_SHARD_BYTES = 1_000_000_000
"""Older guides state 500 MB and 1 GB for a batch's input, that of November 2026 80 GiB."""

LARGEST_SHARD_BYTES = 80 * 2**30
"""What the service takes: Fireworks' guide to batch inference, November 2026."""

_ROWS_PER_TURN = 256
"""Rows after which the event loop has a turn."""

_SAMPLE_ROWS, _SAMPLE_BYTES = 256, 1 << 20


class Bound(StrEnum):
    """What ended a shard: the option of that name."""

    BYTES = "max_shard_bytes"
    OUTPUT = "max_shard_output_bytes"
    ROWS = "max_shard_rows"
    COST = "max_cost"


@dataclass(frozen=True)
class Shard:
    """A file of requests.

    Attributes:
        path: Where it is.
        rows: Requests in it.
        size: Bytes.
        digest: XXH3 of its requests, 128 bits in hex: it tells inputs apart, which nobody forges,
            and takes a tenth of the time of SHA-256. As if each row had its system message.
        system_prompt: The system message that its job has to bring; None for none.
        shared_rows: Rows that have left theirs to the job.
        saved: Bytes that they are shorter by.
        ended_by: What ended it; None for the last of its kind.
        most: The most tokens that it can take.
        largest: The most tokens that one of its rows can take.
    """

    path: Path
    rows: int
    size: int
    digest: str
    system_prompt: str | None = None
    shared_rows: int = 0
    saved: int = 0
    ended_by: Bound | None = None
    most: Usage = Usage()  # noqa: RUF009 - frozen
    largest: Usage = Usage()  # noqa: RUF009


@dataclass(frozen=True)
class ShardLimits:
    """How a batch is split.

    Attributes:
        max_bytes: Bytes of a shard at the most.
        max_rows: Requests at the most, or None.
        max_output_bytes: Bytes that its answers may have at the most, or None. A single row may
            have more.
        by_kind: Whether rows that could leave their system message to the job have shards of
            their own.
        hoist: Whether they leave it there.
        max_cost: Dollars that a shard may cost at the most, or None. A single row may cost more.
            It only decides how large the steps of a budget are.
        token_costs: What a token of a prompt and one of an answer cost, for that.
    """

    max_bytes: int = DEFAULT_SHARD_BYTES
    max_rows: int | None = None
    max_output_bytes: int | None = None
    by_kind: bool = False
    hoist: bool = False
    max_cost: float | None = None
    token_costs: tuple[float, float] = (0.0, 0.0)

    def cost(self, prompt: int, completion: int) -> float:
        """Return about what some tokens cost at the most."""
        return prompt * self.token_costs[0] + completion * self.token_costs[1]


def shard_name(position: int) -> str:
    """Return the file name of a batch's shard."""
    return f"shard-{position}.jsonl"


@dataclass(slots=True)
class _Row:
    """A request on its way into a shard.

    Attributes:
        request: What is asked.
        line: The request as a line of the file.
        prompt: The system message that it could leave to the job.
        output: Bytes that its answers may have at the most.
        most_prompt: Tokens that its prompt may have at the most.
        most_completion: Tokens that its answers may have at the most.
    """

    request: Request
    line: bytes
    prompt: str | None
    output: int
    most_prompt: int
    most_completion: int

    def short(self) -> bytes:
        """Return its line without its system message."""
        return encode_row(replace(self.request, body=without_prompt(self.request.body)))


@dataclass
class _OpenShard:
    """A shard that is being written.

    Attributes:
        number: Its place among the shards.
        path: Where it is going to be.
        file: Its file; None only measures and hashes.
        sample: Its first rows, until it is decided which system message its job brings.
    """

    number: int
    path: Path
    file: BinaryIO | None
    sample: list[_Row] | None
    rows: int = 0
    size: int = 0
    output: int = 0
    prompt: str | None = None
    shared_rows: int = 0
    saved: int = 0
    # Plain numbers: they are added up for every row.
    most_prompt: int = 0
    most_completion: int = 0
    largest_prompt: int = 0
    largest_completion: int = 0
    digest: xxhash.xxh3_128 = field(default_factory=xxhash.xxh3_128)

    def bound(self, row: _Row, limits: ShardLimits) -> Bound | None:
        """Return what keeps a row out of it; None where it has room."""
        if not self.rows:
            return None
        if self.rows == limits.max_rows:
            return Bound.ROWS
        most = limits.max_output_bytes
        if most is not None and self.output + row.output > most:
            return Bound.OUTPUT
        if limits.max_cost is not None:
            prompt = self.most_prompt + row.most_prompt
            completion = self.most_completion + row.most_completion
            if limits.cost(prompt, completion) > limits.max_cost:
                return Bound.COST
        if self.size + len(row.line) <= limits.max_bytes:
            return None
        self.decide()
        has_room = self.size + len(self._form(row)) <= limits.max_bytes
        return None if has_room else Bound.BYTES

    def add(self, row: _Row) -> None:
        """Append a row."""
        self.digest.update(row.line)
        self.rows += 1
        self.output += row.output
        self.most_prompt += row.most_prompt
        self.most_completion += row.most_completion
        if row.most_prompt > self.largest_prompt:
            self.largest_prompt = row.most_prompt
        if row.most_completion > self.largest_completion:
            self.largest_completion = row.most_completion
        if self.sample is None:
            self._write(row)
            return
        self.sample.append(row)
        self.size += len(row.line)
        if len(self.sample) >= _SAMPLE_ROWS or self.size >= _SAMPLE_BYTES:
            self.decide()

    def decide(self) -> None:
        """Choose the system message of the job, and write the rows that waited for that."""
        if self.sample is None:
            return
        waiting, self.sample = self.sample, None
        [(self.prompt, _)] = Counter(row.prompt for row in waiting).most_common(1)
        self.size = 0
        for row in waiting:
            self._write(row)

    def end(self, bound: Bound | None) -> Shard:
        """Close it."""
        self.decide()
        self.close()
        return Shard(
            self.path,
            self.rows,
            self.size,
            self.digest.hexdigest(),
            self.prompt,
            self.shared_rows,
            self.saved,
            bound,
            Usage(self.most_prompt, self.most_completion),
            Usage(self.largest_prompt, self.largest_completion),
        )

    def close(self) -> None:
        """Close its file."""
        if self.file is not None:
            file, self.file = self.file, None
            file.close()

    def _form(self, row: _Row) -> bytes:
        """Return a row as it is written here."""
        return row.short() if self._shares(row) else row.line

    def _shares(self, row: _Row) -> bool:
        return self.prompt is not None and row.prompt == self.prompt

    def _write(self, row: _Row) -> None:
        form = row.line
        if self._shares(row):
            form = row.short()
            self.saved += len(row.line) - len(form)
            self.shared_rows += 1
        if self.file is not None:
            self.file.write(form)
        self.size += len(form)


class ShardWriter:
    """Takes rows one by one and begins a new file whenever the limits say so.

    Args:
        folder: Where to write ``shard-<n>.jsonl``; None only measures and hashes.
        limits: When to begin a new file.
    """

    def __init__(self, folder: Path | None, limits: ShardLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._ended: dict[int, Shard] = {}
        self._open: dict[bool, _OpenShard] = {}
        self._begun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for shard in self._open.values():
            shard.close()

    def add(self, request: Request) -> int:
        """Append a row, and return the bytes of its request, its system message included.

        Raises:
            RowError: If the row alone is larger than a shard may be.
            OSError: If the disk does not take it.
        """
        limits, line = self._limits, encode_row(request)
        if len(line) > limits.max_bytes:
            raise RowError(
                f"Conversation {request.index} makes a request of {number(len(line), 'byte')}; a "
                f"shard takes {limits.max_bytes:,} at the most. Shorten it, or raise "
                "max_shard_bytes.",
                request.index,
            )
        prompt = leading_prompt(request.body) if limits.by_kind else None
        most_prompt, most_completion = most_tokens(request.body, len(line))
        output = most_output_bytes(request.body, most_completion)
        row = _Row(request, line, prompt, output, most_prompt, most_completion)
        kind = prompt is not None
        shard = self._open.get(kind)
        if shard is not None and (bound := shard.bound(row, limits)) is not None:
            self._end(kind, bound)
            shard = None
        if shard is None:
            shard = self._open[kind] = self._begin(may_share=kind and limits.hoist)
        shard.add(row)
        return len(line)

    def finish(self) -> list[Shard]:
        """Close the last files and return all of them, in the order of their first rows."""
        for kind in list(self._open):
            self._end(kind, None)
        return [self._ended[number] for number in sorted(self._ended)]

    def _begin(self, *, may_share: bool) -> _OpenShard:
        number, self._begun = self._begun, self._begun + 1
        path = (self._folder or Path()) / shard_name(number)
        file = None
        if self._folder is not None:
            make_private_folder(self._folder)
            file = open_private(path)
        return _OpenShard(number, path, file, [] if may_share else None)

    def _end(self, kind: bool, bound: Bound | None) -> None:
        shard = self._open.pop(kind)
        self._ended[shard.number] = shard.end(bound)


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
            try:
                writer.add(request)
            except OSError as error:
                raise _spool_error(folder, error) from error
            if not request.index % _ROWS_PER_TURN:
                await asyncio.sleep(0)  # a cancellation (Ctrl-C) gets in here
        try:
            return writer.finish()
        except OSError as error:
            raise _spool_error(folder, error) from error


def _spool_error(folder: Path | None, error: OSError) -> SpoolError:
    return SpoolError(
        f"Cannot write the batch's requests to {folder}: {ended(error.strerror or error)}"
    )


@contextmanager
def nothing_submitted() -> Iterator[None]:
    """Say of a row or a disk that is no good before anything was submitted, that it was not."""
    try:
        yield
    except RowError as error:
        raise RowError(f"{ended(error)} Nothing was submitted.", error.index) from error
    except SpoolError as error:
        raise SpoolError(
            f"{ended(error)} Nothing was submitted. Make room there, or choose another place with "
            "the run_dir option."
        ) from error
