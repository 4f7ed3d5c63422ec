"""The blocks of a Ray dataset through Fireworks.

A block is looked at, submitted, waited for and collected. Each of these is a task of its own, and
begins when the one before has ended. Between submitting and collecting there is nothing but a call
to the one actor that waits, so that no worker is held. The driver knows which blocks are under way;
what it forgets when it dies is found again by the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import ray
import ray.data
from ray.data import Dataset

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.distributed.driver import Driver, FinishedBlock, Known, OnTotals
from oumi_fireworks.distributed.pieces import Slice, cut
from oumi_fireworks.distributed.purse import ClusterPurse
from oumi_fireworks.distributed.settings import (
    BlockSettings,
    Configuration,
    load_settings,
    with_place,
)
from oumi_fireworks.distributed.stages import Collected, leave_out
from oumi_fireworks.distributed.tasks import Ref, Tasks
from oumi_fireworks.events.run_events import RunEvents

MAX_BATCHES = 64
"""Batches under way at the same time, where nothing else is said."""

ROWS_PER_BATCH = 50_000
"""Rows of a batch, where nothing else is said: a job takes eight minutes at the least, whatever
its size, and a worker holds the rows of one in memory."""


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
        The rows in their order, with the answers in further columns, also where there is no row.
        It is materialized: the cluster keeps it, on its disks where memory is short.

    Raises:
        BadLinesError: If a row cannot be sent. Batches that were begun go on; they are found again.
        OverBudgetError: If the option ``max_cost`` does not allow any batch. Where it allows some,
            the rows of the others come out with the outcome ``over budget``.
        FireworksError: What stopped it. The same call goes on from there.
    """
    settings = load_settings(config, skip_bad=skip_bad)
    with settings.events() as events:
        blocks = finished_blocks(
            dataset,
            settings,
            events,
            rows_per_batch=rows_per_batch,
            max_batches=max_batches,
            on_totals=on_totals,
        )
        tables = {block.number: block.table for block in blocks}
    return ray.data.from_arrow_refs([tables[number] for number in sorted(tables)])


def finished_blocks(
    dataset: Dataset,
    settings: BlockSettings,
    events: RunEvents,
    *,
    rows_per_batch: int | None,
    max_batches: int,
    on_totals: OnTotals | None = None,
    known: Known | None = None,
) -> Iterator[FinishedBlock]:
    """Yield the blocks of a dataset as they are finished, in any order. See :func:`run`.

    Args:
        dataset: The rows.
        settings: What all blocks have in common.
        events: Told what happens.
        rows_per_batch: Rows of a batch.
        max_batches: Batches under way at the same time at the most.
        on_totals: Told how the whole stands.
        known: Blocks that an earlier run has finished. They are looked at, and have no table.

    Raises:
        InputChangedError: If a block that is known asks something else now.
        OverBudgetError: If the budget does not allow any block.
    """
    if not ray.is_initialized():
        ray.init()
    tasks = Tasks(_placed(settings))
    pieces = cut(_slices(dataset), rows_per_batch)
    purse = None if settings.budget is None else ClusterPurse(settings.budget)
    driver = Driver(tasks, pieces, max_batches, events, purse, on_totals, known or {})
    has_rows = bool(known)
    for block in driver.blocks():
        has_rows = True
        yield block
    if not has_rows:
        _, table = leave_out(settings, _without_rows(dataset), "the dataset")
        yield FinishedBlock(0, "", Collected(), ray.put(table))


def _without_rows(dataset: Dataset) -> pa.Table:
    """Return a table with the columns of a dataset, as far as they are known without a row."""
    schema = dataset.schema()
    base = None if schema is None else schema.base_schema
    return base.empty_table() if isinstance(base, pa.Schema) else pa.table({})


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
