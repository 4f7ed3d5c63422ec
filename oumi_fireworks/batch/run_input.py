"""A run's rows, read as often as they are needed, and their requests on the disk."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from oumi_fireworks.accept.again import Again
from oumi_fireworks.batch.decide import Rerun
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.retry import plan_retry
from oumi_fireworks.batch.run_files import RunFiles
from oumi_fireworks.batch.shards import Shard, ShardLimits, nothing_submitted, write_shards
from oumi_fireworks.errors import RowError, SpoolError

RowSource = Callable[[], Iterator[Request]]
"""Gives the rows, from the first one on, as often as it is called."""


class RunInput:
    """The rows of a run.

    Args:
        files: Where the requests are written.
        rows: The rows; read anew for each method.
    """

    def __init__(self, files: RunFiles, rows: RowSource) -> None:
        self._files = files
        self._rows = rows
        self._digests = array("Q")

    def digests(self, rows: int) -> Sequence[int] | None:
        """Return the digests of the prompts, noted when all rows were read; None without them."""
        return self._digests if len(self._digests) == rows else None

    async def spool_new(self, limits: ShardLimits) -> list[Shard]:
        """Write the requests of a new run."""
        with nothing_submitted():
            return await self._spool(limits, has_digests=True)

    async def spool_again(self, manifest: Manifest) -> list[Shard]:
        """Write the requests of a run's first attempt anew."""
        with self._begun(manifest):
            return await self._spool(manifest.limits, has_digests=manifest.has_digests)

    async def reread(self, manifest: Manifest) -> list[Shard]:
        """Return how the first attempt would be split now, without writing it."""
        with self._begun(manifest):
            requests = self._requests(has_digests=manifest.has_digests)
            return await write_shards(requests, None, manifest.limits)

    async def spool_retry(
        self,
        manifest: Manifest,
        results: BatchResults,
        rerun: Rerun,
        again: Again | None,
        *,
        may_continue: bool,
    ) -> tuple[str, tuple[PlannedJob, ...]]:
        """Write the requests that are still open, for the attempt after those in the manifest."""
        number = len(manifest.attempts)
        self._files.remove_spool()
        with self._begun(manifest):
            return await plan_retry(
                results,
                self._requests(has_digests=manifest.has_digests),
                attempt=number,
                folder=self._files.spool(number),
                limits=manifest.limits,
                may_continue=may_continue,
                system_prompt=manifest.last.jobs[0].system_prompt,
                rerun=rerun,
                again=again,
            )

    async def _spool(self, limits: ShardLimits, *, has_digests: bool) -> list[Shard]:
        self._files.remove_spool()
        requests = self._requests(has_digests=has_digests)
        return await write_shards(requests, self._files.spool(0), limits)

    def _requests(self, *, has_digests: bool) -> Iterator[Request]:
        """Yield the rows, and note the digests of their prompts on the way."""
        self._digests = array("Q")
        for request in self._rows():
            if has_digests and request.digest is not None:
                self._digests.append(request.digest)
                yield request
            else:
                yield replace(request, digest=None)

    @contextmanager
    def _begun(self, manifest: Manifest) -> Iterator[None]:
        """Say of a row or a disk that is no good any more, what that means for a run at work."""
        batch = manifest.attempts[0].batch_id
        try:
            yield
        except RowError as error:
            raise RowError(
                f"{error} The run in {self._files.folder} needs its whole input to go on. What "
                f"batch {batch} has done can be fetched with `oumi-fireworks batch results "
                f"{batch}`.",
                error.index,
            ) from error
        except SpoolError as error:
            # Not to be told to choose another place: there it would begin anew, and be paid anew.
            raise SpoolError(
                f"{error} The run stands where it was, with batch {batch}: make room and run it "
                "again."
            ) from error
