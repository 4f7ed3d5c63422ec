"""A run's rows, read as often as they are needed, and their requests on the disk."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from oumi_fireworks.accept.again import Again
from oumi_fireworks.batch.decide import Rerun
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.known import CacheAsked, KnownRows, ask_cache
from oumi_fireworks.batch.manifest import Manifest, Unsent
from oumi_fireworks.batch.plan import PlannedJob, Split
from oumi_fireworks.batch.repeats import FirstRows, Repeats, RowKeys
from oumi_fireworks.batch.requests import Request, encode_body, keep_line
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.batch.retry import plan_retry
from oumi_fireworks.batch.run_files import RunFiles
from oumi_fireworks.batch.shards import Shard, ShardLimits, nothing_submitted, write_shards
from oumi_fireworks.cache import KEY_BYTES, AnswerCache, key_of
from oumi_fireworks.errors import RowError, SpoolError
from oumi_fireworks.grammar import ended

RowSource = Callable[[], Iterator[Request]]
"""Gives the rows, from the first one on, as often as it is called."""


class RunInput:
    """The rows of a run; those that are not sent are left out of what is written.

    Attributes:
        count: Rows in the input, those that are not sent included.
        repeats: Those that ask what an earlier row asks.
        unsent: What the manifest is to remember of the rows that are not sent.

    Args:
        files: Where the requests are written.
        rows: The rows; read anew for each method.
        model: Their model.
    """

    def __init__(self, files: RunFiles, rows: RowSource, model: str) -> None:
        self._files = files
        self._rows = rows
        self._model = model
        self._digests = array("Q")
        self._keys: bytearray | None = None
        self._known = KnownRows()
        self.count = 0
        self.repeats = Repeats()
        self.unsent = Unsent()

    def digests(self, rows: int) -> Sequence[int] | None:
        """Return the digests of the prompts, noted when all rows were read; None without them."""
        return self._digests if len(self._digests) == rows else None

    def key(self, row: int) -> bytes:
        """Return the key of a row's request; :meth:`keep_keys` must have been called before."""
        assert self._keys is not None
        return bytes(self._keys[row * KEY_BYTES : (row + 1) * KEY_BYTES])

    def keep_keys(self) -> None:
        """Note the key of each row's request from now on: 16 bytes a row."""
        self._keys = bytearray()

    def recall(self, unsent: Unsent) -> None:
        """Leave out the same rows as when the run began.

        Raises:
            ManifestError: If the file of the rows that the cache knew is damaged.
        """
        self.unsent = unsent
        if unsent.cached:
            self._known = KnownRows.read(self._files.cached, unsent.cached_digest)

    async def spool_new(
        self,
        split: Split,
        cache: AnswerCache | None = None,
        accepts: OnOutcome | None = None,
    ) -> list[Shard]:
        """Write the requests of a new run.

        Args:
            split: Which repeats to leave out, and how to divide the rest.
            cache: Knows rows that are left out, too; their answers are written beside.
            accepts: May refuse an answer of the cache.
        """
        self.unsent = Unsent(split.dedupe)
        with nothing_submitted():
            if cache is None:
                return await self._spool(split.limits, has_digests=True)
            with ask_cache(cache, self._files.cached, accepts) as asked:
                shards = await self._spool(split.limits, has_digests=True, asked=asked)
        self._known = asked.known
        self.unsent = Unsent(split.dedupe, len(asked.known.rows), asked.digest)
        return shards

    async def spool_again(self, manifest: Manifest) -> list[Shard]:
        """Write the requests of a run's first attempt anew."""
        with self._begun(manifest):
            return await self._spool(manifest.limits, has_digests=manifest.has_digests)

    async def reread(self, manifest: Manifest) -> list[Shard]:
        """Return how the first attempt would be split now, without writing it."""
        with self._begun(manifest):
            requests = self._requests(has_digests=manifest.has_digests)
            return await write_shards(requests, None, manifest.limits)

    def sent(self, manifest: Manifest) -> Iterator[Request]:
        """Yield the rows that are sent, for another way than a batch."""
        return self._requests(has_digests=manifest.has_digests)

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
                system_prompt=_system_prompt(manifest),
                rerun=rerun,
                again=again,
            )

    async def _spool(
        self, limits: ShardLimits, *, has_digests: bool, asked: CacheAsked | None = None
    ) -> list[Shard]:
        self._files.remove_spool()
        requests = self._requests(has_digests=has_digests, asked=asked)
        return await write_shards(requests, self._files.spool(0), limits)

    def _requests(self, *, has_digests: bool, asked: CacheAsked | None = None) -> Iterator[Request]:
        """Yield the rows that are sent, and note on the way what is to be known of all of them."""
        self._digests, self.count, self.repeats = array("Q"), 0, Repeats()
        if self._keys is not None:
            self._keys = bytearray()
        known, dedupe = self._known.cursor(), self.unsent.dedupe
        first_rows, row_keys = FirstRows(), RowKeys()
        for request in self._rows():
            self.count += 1
            if has_digests and request.digest is not None:
                self._digests.append(request.digest)
            else:
                request = replace(request, digest=None)
            may_repeat = dedupe.covers(request.body)
            key = body = b""
            if may_repeat or self._keys is not None:
                body = encode_body(request)
                if self._keys is not None or request.digest is None:
                    key = key_of(self._model, body)
                else:
                    key = row_keys.key(body, request.digest)
            if self._keys is not None:
                self._keys += key
            if known.has(request) if asked is None else asked.has(request, key):
                continue
            if may_repeat:
                first = first_rows.first(key, request.index)
                if first is not None:
                    self.repeats.add(request.index, first)
                    continue
            if body:
                keep_line(request, body)
            yield request

    @contextmanager
    def _begun(self, manifest: Manifest) -> Iterator[None]:
        """Say of a row or a disk that is no good any more, what that means for a run at work."""
        batch = manifest.attempts[0].batch_id
        try:
            yield
        except RowError as error:
            raise RowError(
                f"{ended(error)} The run in {self._files.folder} needs its whole input to go on. "
                f"What batch {batch} has done can be fetched with `oumi-fireworks batch results "
                f"{batch}`.",
                error.index,
            ) from error
        except SpoolError as error:
            # Not to be told to choose another place: there it would begin anew, and be paid anew.
            raise SpoolError(
                f"{ended(error)} The run stands where it was, with batch {batch}: make room and "
                "run it again."
            ) from error


def _system_prompt(manifest: Manifest) -> str | None:
    """Return what the last attempt's first job brings to its rows; None where it has no job."""
    jobs = manifest.last.jobs
    return jobs[0].system_prompt if jobs else None
