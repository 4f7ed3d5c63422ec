"""The steps of a block as tasks of Ray's, and the one actor that waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data.block import BlockAccessor
from ray.exceptions import RayTaskError

from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.distributed import stages
from oumi_fireworks.distributed.pieces import Piece
from oumi_fireworks.distributed.settings import BlockSettings
from oumi_fireworks.distributed.stages import Collected, Look
from oumi_fireworks.distributed.waiter import Waiter
from oumi_fireworks.errors import FireworksError

_WAITS_AT_ONCE = 100_000
"""Calls that the actor which waits takes at a time."""

Ref = Any
"""A reference to an object of the cluster; Ray's own class has a type of its own for each."""


class Tasks:
    """The steps as Ray's tasks. One that is lost with its machine is begun anew by Ray.

    Args:
        settings: What all blocks have in common.
    """

    def __init__(self, settings: BlockSettings) -> None:
        self._settings = settings
        again = {"max_retries": -1}
        self._look = ray.remote(_look).options(**again)
        self._submit = ray.remote(_submit).options(**again)
        self._collect = ray.remote(_collect).options(num_returns=2, **again)
        self._leave_out = ray.remote(_leave_out).options(num_returns=2, **again)
        self._leave_over = ray.remote(_leave_over).options(num_returns=2, **again)
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
        """Wait for a batch, or for what a reference to one will be."""
        return self._waiter.wait.remote(batch)

    def has_begun(self, key: str) -> Ref:
        """Ask whether the batch of a key exists."""
        return self._waiter.has_begun.remote(key)

    def collect(self, piece: Piece[Ref], batches: Sequence[Ref], ended: Ref) -> tuple[Ref, Ref]:
        """Collect a block when its last batch has ended; refer to what became of it, and to it."""
        name, bounds = piece.name, _bounds(piece)
        outcome, table = self._collect.remote(
            self._settings, name, bounds, ended, len(batches), *batches, *_blocks(piece)
        )
        return outcome, table

    def leave_out(self, piece: Piece[Ref]) -> tuple[Ref, Ref]:
        """Return a block of which nothing is sent."""
        outcome, table = self._leave_out.remote(
            self._settings, piece.name, _bounds(piece), *_blocks(piece)
        )
        return outcome, table

    def leave_over(self, piece: Piece[Ref]) -> tuple[Ref, Ref]:
        """Return a block that the budget does not allow."""
        outcome, table = self._leave_over.remote(
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


def _submit(
    settings: BlockSettings, name: str, key: str, bounds: _Bounds, *blocks: object
) -> Attempt:
    return stages.submit(settings, _table(bounds, blocks), name, key)


def _collect(
    settings: BlockSettings,
    name: str,
    bounds: _Bounds,
    ended: str,
    count: int,
    *batches_and_blocks: Any,
) -> tuple[Collected, pa.Table | None]:
    batches, blocks = batches_and_blocks[:count], batches_and_blocks[count:]
    assert ended == batches[-1].batch_id
    return stages.collect(settings, _table(bounds, blocks), name, batches)


def _leave_out(
    settings: BlockSettings, name: str, bounds: _Bounds, *blocks: object
) -> tuple[Collected, pa.Table]:
    return stages.leave_out(settings, _table(bounds, blocks), name)


def _leave_over(
    settings: BlockSettings, name: str, bounds: _Bounds, *blocks: object
) -> tuple[Collected, pa.Table]:
    return stages.leave_over(settings, _table(bounds, blocks), name)


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


def get(ref: Ref) -> Any:
    """Return an object; an error of ours as itself, whatever Ray has made of it."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, FireworksError):
            raise error.cause from None
        raise
