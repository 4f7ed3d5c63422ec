"""The blocks of a Ray dataset through Fireworks: what Ray is asked to do, and in which order.

A block is looked at, submitted, waited for and collected. Each of these is a task of its own, and
begins when the one before has ended. Between submitting and collecting there is nothing but a call
to the one actor that waits, so that no worker is held. The driver knows which blocks are under way;
what it forgets when it dies is found again by the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import Dataset
from ray.data.block import BlockAccessor
from ray.exceptions import RayTaskError

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.distributed import stages
from oumi_fireworks.distributed.gauges import Gauges
from oumi_fireworks.distributed.pieces import Keys, Piece, Slice, cut
from oumi_fireworks.distributed.settings import (
    BlockSettings,
    Configuration,
    load_settings,
    with_place,
)
from oumi_fireworks.distributed.stages import Collected, Look
from oumi_fireworks.distributed.totals import Totals
from oumi_fireworks.distributed.waiter import Waiter
from oumi_fireworks.errors import FireworksError, InputChangedError, NoRowsError

MAX_BATCHES = 64
"""Batches under way at the same time, where nothing else is said."""

ROWS_PER_BATCH = 50_000
"""Rows of a batch, where nothing else is said: a job takes eight minutes at the least, whatever
its size, and a worker holds the rows of one in memory."""

_LOOK_AFTER_SECONDS = 1.0
"""Seconds between two reports of how the whole stands."""

_WAITS_AT_ONCE = 100_000
"""Calls that the actor which waits takes at a time."""

OnTotals = Callable[[Totals], None]
"""Told how the whole stands, about once a second."""

Ref = Any
"""A reference to an object of the cluster; Ray's own class has a type of its own for each."""


@dataclass(frozen=True)
class FinishedBlock:
    """A block with its answers.

    Attributes:
        number: Its position among the blocks.
        digest: Of what it asks.
        collected: What has become of it.
        table: The table, somewhere in the cluster; None where it was known to be finished.
    """

    number: int
    digest: str
    collected: Collected
    table: Ref


def run(
    dataset: Dataset,
    config: str | Path | Configuration,
    *,
    rows_per_batch: int | None = ROWS_PER_BATCH,
    max_batches: int = MAX_BATCHES,
    skip_bad: bool = False,
    on_totals: OnTotals | None = None,
) -> Dataset:
    """Run all rows of a dataset through Fireworks' Batch API.

    The rows of the dataset become batches in their order, each under a key that follows from what
    it asks. So the same call, after whatever has died, finds the batches that there are; it makes
    no second one. Each machine of the cluster needs the key in its environment.

    Args:
        dataset: The rows. Where it is not the same each time it is read (a shuffle without a
            seed), materialize it first: other rows in a batch are another batch, paid anew.
        config: A file with an inference configuration of Oumi, or its ``InferenceConfig``. The
            options ``input`` and ``output`` say what the columns are for.
        rows_per_batch: Rows of a batch; None makes a batch of each of Ray's blocks, which are the
            same each time if the dataset was read with ``override_num_blocks``.
        max_batches: Batches under way at the same time at the most.
        skip_bad: Whether rows that cannot be sent are left out; they have no answer then.
        on_totals: Told how the whole stands, about once a second.

    Returns:
        The rows in their order, with the answers in further columns. It is materialized: the
        cluster keeps it, on its disks where memory is short.

    Raises:
        BadLinesError: If a row cannot be sent. Batches that were begun go on; they are found again.
        FireworksError: What stopped it. The same call goes on from there.
    """
    settings = load_settings(config, skip_bad=skip_bad)
    blocks = finished_blocks(
        dataset,
        settings,
        rows_per_batch=rows_per_batch,
        max_batches=max_batches,
        on_totals=on_totals,
    )
    tables = {block.number: block.table for block in blocks}
    if not tables:
        raise NoRowsError("There are no rows in the dataset. Nothing was submitted.")
    return ray.data.from_arrow_refs([tables[number] for number in sorted(tables)])


def finished_blocks(
    dataset: Dataset,
    settings: BlockSettings,
    *,
    rows_per_batch: int | None,
    max_batches: int,
    on_totals: OnTotals | None = None,
    known: Mapping[int, tuple[str, Collected]] | None = None,
) -> Iterator[FinishedBlock]:
    """Yield the blocks of a dataset as they are finished, in any order. See :func:`run`.

    Args:
        dataset: The rows.
        settings: What all blocks have in common.
        rows_per_batch: Rows of a batch.
        max_batches: Batches under way at the same time at the most.
        on_totals: Told how the whole stands.
        known: What the blocks have asked that an earlier run has finished, and what became of
            them, by their numbers. They are looked at, and have no table.

    Raises:
        InputChangedError: If a block that is known asks something else now.
    """
    if not ray.is_initialized():
        ray.init()
    tasks = _Tasks(_placed(settings))
    pieces = cut(_slices(dataset), rows_per_batch)
    yield from _Driver(tasks, pieces, max_batches, on_totals, known or {}).blocks()


@dataclass
class _Work:
    """A block under way.

    Attributes:
        piece: Its rows.
        look: What it asks, once that is known.
        ids: Its batches, or references to their ids.
        table: Its table, once it is finished.
    """

    piece: Piece[Ref]
    look: Look | None = None
    ids: list[Ref] = field(default_factory=list)
    table: Ref = None


class _Driver:
    """Keeps blocks under way, as many as are allowed."""

    def __init__(
        self,
        tasks: _Tasks,
        pieces: Iterator[Piece[Ref]],
        most: int,
        on_totals: OnTotals | None,
        known: Mapping[int, tuple[str, Collected]],
    ) -> None:
        self._known = known
        self._tasks = tasks
        self._pieces = pieces
        self._most = most
        self._on_totals = on_totals
        self._keys = Keys()
        self._next = 0
        self._looked: dict[int, _Work] = {}
        self._pending: dict[Ref, _Work] = {}
        self._totals = Totals()
        self._gauges = Gauges()

    def blocks(self) -> Iterator[FinishedBlock]:
        """Yield the blocks as they are finished."""
        try:
            yield from self._blocks()
        finally:
            self._tasks.close()

    def _blocks(self) -> Iterator[FinishedBlock]:
        asked = self._tasks.at_work()
        while True:
            self._begin()
            if not self._pending:
                self._tell()
                return
            watched = [*self._pending, asked]
            ready, _ = ray.wait(watched, num_returns=1, timeout=_LOOK_AFTER_SECONDS)
            for ref in ready:
                if ref is asked:
                    continue
                yield from self._advance(self._pending.pop(ref), _get(ref))
            if asked in ready or ray.wait([asked], timeout=0)[0]:
                self._totals.at_work = _get(asked)
                self._tell()
                asked = self._tasks.at_work(after=_LOOK_AFTER_SECONDS)

    def _begin(self) -> None:
        """Take blocks from the dataset until as many are under way as are allowed."""
        totals = self._totals
        while totals.begun - totals.done < self._most:
            piece = next(self._pieces, None)
            if piece is None:
                return
            totals.begun += 1
            totals.rows += piece.rows
            work = _Work(piece)
            self._pending[self._tasks.look(piece)] = work

    def _advance(self, work: _Work, found: Look | Collected) -> Iterator[FinishedBlock]:
        """Go on with a block; yield those that are finished by that."""
        if isinstance(found, Look):
            work.look = found
            self._looked[work.piece.number] = work
            yield from self._submit_in_order()
        elif found.again is not None:
            work.ids.append(found.again)
            self._collect(work, self._tasks.wait(found.again))
        else:
            yield self._finished(work, found)

    def _submit_in_order(self) -> Iterator[FinishedBlock]:
        """Submit the blocks whose turn it is: a key depends on the blocks before."""
        while (work := self._looked.pop(self._next, None)) is not None:
            self._next += 1
            assert work.look is not None
            key = self._keys.key(work.look.digest)
            before = self._known.get(work.piece.number)
            if before is not None:
                yield self._finished_before(work, *before)
            elif not work.look.rows:
                outcome, work.table = self._tasks.leave_out(work.piece)
                self._pending[outcome] = work
            else:
                batch = self._tasks.submit(work.piece, key)
                work.ids.append(batch)
                self._collect(work, self._tasks.wait(batch))

    def _finished_before(self, work: _Work, digest: str, collected: Collected) -> FinishedBlock:
        assert work.look is not None
        if work.look.digest != digest:
            raise InputChangedError(
                f"{work.piece.name} asks something else than when it was written before: the "
                "input has changed. Name another output, or replace this one; batches of blocks "
                "that are as they were are found again, and not paid twice."
            )
        return self._finished(work, collected)

    def _finished(self, work: _Work, collected: Collected) -> FinishedBlock:
        assert work.look is not None
        totals = self._totals
        totals.done += 1
        totals.answered += collected.answered
        totals.failed += collected.failed
        totals.bad_rows += collected.bad_rows
        return FinishedBlock(work.piece.number, work.look.digest, collected, work.table)

    def _collect(self, work: _Work, ended: Ref) -> None:
        outcome, work.table = self._tasks.collect(work.piece, work.ids, ended)
        self._pending[outcome] = work

    def _tell(self) -> None:
        self._gauges.set(self._totals)
        if self._on_totals is not None:
            self._on_totals(self._totals)


class _Tasks:
    """The steps as Ray's tasks. One that is lost with its machine is begun anew by Ray."""

    def __init__(self, settings: BlockSettings) -> None:
        self._settings = settings
        again = {"max_retries": -1}
        self._look = ray.remote(_look).options(**again)
        self._submit = ray.remote(_submit).options(**again)
        self._collect = ray.remote(_collect).options(num_returns=2, **again)
        self._leave_out = ray.remote(_leave_out).options(num_returns=2, **again)
        self._waiter = (
            ray.remote(Waiter)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                max_concurrency=_WAITS_AT_ONCE,
            )
            .remote(self._settings)
        )

    def look(self, piece: Piece[Ref]) -> Ref:
        """Look at a block."""
        return self._look.remote(self._settings, piece.name, _bounds(piece), *_blocks(piece))

    def submit(self, piece: Piece[Ref], key: str) -> Ref:
        """Submit a block."""
        return self._submit.remote(self._settings, piece.name, key, _bounds(piece), *_blocks(piece))

    def wait(self, batch: Ref) -> Ref:
        """Wait for a batch, by its id or a reference to it."""
        return self._waiter.wait.remote(batch)

    def collect(self, piece: Piece[Ref], ids: Sequence[Ref], ended: Ref) -> tuple[Ref, Ref]:
        """Collect a block when its last batch has ended; refer to what became of it, and to it."""
        name, bounds = piece.name, _bounds(piece)
        outcome, table = self._collect.remote(
            self._settings, name, bounds, ended, len(ids), *ids, *_blocks(piece)
        )
        return outcome, table

    def leave_out(self, piece: Piece[Ref]) -> tuple[Ref, Ref]:
        """Return a block of which nothing is sent."""
        outcome, table = self._leave_out.remote(
            self._settings, piece.name, _bounds(piece), *_blocks(piece)
        )
        return outcome, table

    def close(self) -> None:
        """Let go of the actor that waits; what it waits for goes on."""
        self._waiter.close.remote()

    def at_work(self, after: float = 0.0) -> Ref:
        """Ask what the batches under way have done so far; answered after some seconds."""
        return self._waiter.at_work.remote(after)


def _look(settings: BlockSettings, name: str, bounds: _Bounds, *blocks: object) -> Look:
    return stages.look(settings, _table(bounds, blocks), name)


def _submit(settings: BlockSettings, name: str, key: str, bounds: _Bounds, *blocks: object) -> str:
    return stages.submit(settings, _table(bounds, blocks), name, key)


def _collect(
    settings: BlockSettings,
    name: str,
    bounds: _Bounds,
    ended: str,
    batches: int,
    *ids_and_blocks: Any,
) -> tuple[Collected, pa.Table | None]:
    ids, blocks = ids_and_blocks[:batches], ids_and_blocks[batches:]
    assert ended == ids[-1]
    return stages.collect(settings, _table(bounds, blocks), name, ids)


def _leave_out(
    settings: BlockSettings, name: str, bounds: _Bounds, *blocks: object
) -> tuple[Collected, pa.Table]:
    return stages.leave_out(settings, _table(bounds, blocks), name)


_Bounds = tuple[tuple[int, int], ...]
"""The first row, and the row after the last, of each slice."""


def _bounds(piece: Piece[Ref]) -> _Bounds:
    return tuple((each.start, each.stop) for each in piece.slices)


def _blocks(piece: Piece[Ref]) -> list[Ref]:
    return [each.block for each in piece.slices]


def _table(bounds: _Bounds, blocks: Sequence[object]) -> pa.Table:
    """Put the rows of a piece together, on the machine that works on it."""
    parts = [
        BlockAccessor.for_block(block).to_arrow().slice(start, stop - start)
        for block, (start, stop) in zip(blocks, bounds, strict=True)
    ]
    return pa.concat_tables(parts, promote_options="default")


def _slices(dataset: Dataset) -> Iterator[Slice[Ref]]:
    """Yield the rows of a dataset as it is computed, in their order."""
    options = dataset.context.execution_options
    before = options.preserve_order
    options.preserve_order = True
    try:
        for bundle in dataset.iter_internal_ref_bundles():
            for block, metadata, part in zip(
                bundle.block_refs, bundle.metadata, bundle.slices, strict=True
            ):
                if part is not None:
                    yield Slice(block, part.start_offset, part.end_offset)
                else:
                    yield Slice(block, 0, metadata.num_rows)
    finally:
        options.preserve_order = before


def _placed(settings: BlockSettings) -> BlockSettings:
    """Find out which account it is, once for all machines; show early that there is a key."""
    connection = settings.connection()

    async def account() -> str:
        async with FireworksClient(connection) as client:
            return client.account

    return with_place(settings, asyncio.run(account()), connection.root_url)


def _get(ref: Ref) -> Any:
    """Return an object; an error of ours as itself, whatever Ray has made of it."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, FireworksError):
            raise error.cause from None
        raise
