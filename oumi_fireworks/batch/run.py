"""One batch from its rows to its results, through any number of crashes."""

from __future__ import annotations

import asyncio
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.cleanup import delete_datasets
from oumi_fireworks.batch.collect import collect
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.ids import batch_id, new_batch_stem
from oumi_fireworks.batch.manifest import Attempt, Manifest, Stage
from oumi_fireworks.batch.plan import (
    JobSpec,
    PlannedJob,
    is_worth_another_run,
    plan_jobs,
)
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.results import OnOutcome, ResultIndex
from oumi_fireworks.batch.retry import plan_retry
from oumi_fireworks.batch.shards import (
    Shard,
    ShardLimits,
    nothing_submitted,
    shard_name,
    write_shards,
)
from oumi_fireworks.batch.snapshot import Snapshot, lost_snapshot, take_snapshot
from oumi_fireworks.batch.submit import REFUSALS, submit, with_finished_rows, withdraw
from oumi_fireworks.batch.watch import OnProgress, WaitPolicy, watch
from oumi_fireworks.errors import (
    NoRowsError,
    NotFoundError,
    RowError,
    RunLockedError,
    RunMismatchError,
    SpoolError,
)
from oumi_fireworks.files import PRIVATE_FILE, make_private_folder
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

MANIFEST_NAME = "run.json"
LOCK_NAME = "lock"

#: Gives the rows, from the first one on, as often as it is called.
RowSource = Callable[[], Iterator[Request]]


@dataclass(frozen=True)
class RunOptions:
    """How a run behaves.

    Attributes:
        limits: How the input is split.
        upload_concurrency: Uploads at once.
        wait_policy: How to wait.
        row_retries: How often rows that failed or are missing are run again.
        delete_datasets: Whether to remove the datasets on Fireworks at the end.
    """

    limits: ShardLimits = field(default_factory=ShardLimits)
    upload_concurrency: int = 4
    wait_policy: WaitPolicy = field(default_factory=WaitPolicy)
    row_retries: int = 1
    delete_datasets: bool = False


class BatchRun:
    """A batch with a memory: killed at any moment, the same run goes on.

    The memory is a manifest in ``folder``, replaced before every step. A process that finds one
    goes on from there: it never makes a second job for the same rows. The folder also holds the
    requests until they are uploaded, the results once they are downloaded, and a lock.

    Use::

        run = BatchRun(folder, rows, JobSpec(model), settings)
        with run.lock():
            results = await run.advance(client)
            ...                        # put the results where they belong
            await run.finish(client)   # forget the run

    Args:
        folder: The run's own folder, beside the output. Made when needed.
        rows: The input; read again for a later attempt, and to check a resumed run.
        spec: What all jobs have in common.
        settings: What shapes the requests, as JSON values: compared when a run is resumed.
        options: How the run behaves.
        on_outcome: Told about each outcome, in another thread, and anew when a further attempt
            has ended; may refuse an answer, whose row then is run again like any that failed.
    """

    def __init__(
        self,
        folder: Path,
        rows: RowSource,
        spec: JobSpec,
        settings: Mapping[str, Any],
        options: RunOptions | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> None:
        self.folder = folder
        self._rows = rows
        self._spec = spec
        self._settings = {"model": spec.model, "precision": spec.precision, **settings}
        self._options = options or RunOptions()
        self._on_outcome = on_outcome
        self._most_attempts = 1 + self._options.row_retries
        self._digests = array("Q")
        self._reopened_at: int | None = None
        self._is_resumed = False

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self.folder / MANIFEST_NAME

    @property
    def current(self) -> Attempt | None:
        """The attempt at work; None before there is one.

        Raises:
            ManifestError: If the manifest cannot be read.
        """
        manifest = Manifest.load(self.manifest_path)
        return manifest.last if manifest else None

    @property
    def batch_id(self) -> str | None:
        """The id of the batch at work, the first one or one of further rows; None before it is.

        Raises:
            ManifestError: If the manifest cannot be read.
        """
        attempt = self.current
        return None if attempt is None or attempt.stage is Stage.PLANNED else attempt.batch_id

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run. The lock dies with the process.

        Raises:
            RunLockedError: If another process is at work on it.
            SpoolError: If the folder cannot be made.
        """
        try:
            make_private_folder(self.folder)
            lock = FileLock(self.folder / LOCK_NAME, mode=PRIVATE_FILE)
            lock.acquire(blocking=False)
        except Timeout as error:
            raise RunLockedError(
                f"Another process is at work on the run in {self.folder}. Wait for it, or stop "
                "it; this one has changed nothing."
            ) from error
        except OSError as error:
            raise SpoolError(
                f"Cannot use {self.folder}: {error.strerror or error}. Choose another place with "
                "the run_dir option."
            ) from error
        try:
            yield
        finally:
            if not self.manifest_path.exists():  # finished, or never begun: nothing to remember
                shutil.rmtree(self.folder, ignore_errors=True)
            lock.release()

    async def prepare(self, client: FireworksClient) -> str:
        """Bring it about that the first attempt's jobs exist, or go on with those that do.

        Returns:
            The batch's id.

        Raises:
            RunMismatchError: If the manifest in the folder belongs to something else.
            RowError: If a row cannot be sent. Nothing was uploaded.
            FireworksError: What stopped it; the same call goes on from there.
        """
        manifest = await self._resume(client) or await self._begin(client)
        manifest = await self._submit(client, manifest)
        return manifest.attempts[0].batch_id

    async def advance(
        self, client: FireworksClient, on_progress: OnProgress | None = None
    ) -> BatchResults:
        """Go the whole way from wherever the run stands, until its results are on the disk.

        Args:
            client: The account.
            on_progress: Told about each look at the batch.

        Raises:
            RunMismatchError: If the manifest in the folder belongs to something else.
            RowError: If a row cannot be sent. Nothing was uploaded.
            FireworksError: What stopped it; the same call goes on from there.
        """
        manifest = await self._resume(client) or await self._begin(client)
        while True:
            refused: Attempt | None = None
            try:
                manifest = await self._submit(client, manifest)
            except REFUSALS as refusal:
                if len(manifest.attempts) == 1:
                    raise
                logger.warning("%s was refused: %s", manifest.last.batch_id, refusal)
                refused, manifest = manifest.last, manifest.without_last()
            if manifest.last.stage is Stage.SUBMITTED:
                batch = manifest.last.batch_id
                with suppress(NotFoundError):  # removed with its datasets: what is here counts
                    await watch(client, batch, self._options.wait_policy, on_progress)
            results = await self._results(client, manifest)
            manifest = manifest.with_stage(Stage.COLLECTED)
            manifest.save(self.manifest_path)
            further = await self._next_attempt(manifest, results, refused)
            if further is None:
                manifest.with_stage(Stage.ENDED).save(self.manifest_path)
                return results
            manifest = manifest.with_attempt(further)
            manifest.save(self.manifest_path)

    def begin_delivery(self) -> None:
        """Note that the answered rows are about to be put where a later run will not ask for them.

        For callers whose next run asks only for the rows that are still open, as Oumi's does with
        its scratch file. Such a run is not this one any more, and finds it out by its input: then
        a run in delivery is over, and one that is not in delivery is somebody else's.
        """
        manifest = Manifest.load(self.manifest_path)
        if manifest is not None:
            manifest.with_stage(Stage.DELIVERING).save(self.manifest_path)

    async def finish(self, client: FireworksClient) -> None:
        """Forget the run: its results are safely where they belong.

        The manifest goes first. A crash after that leaves files behind, never a run that
        believes it still has something to do.
        """
        manifest = Manifest.load(self.manifest_path)
        self._forget()
        if manifest is not None and self._options.delete_datasets:
            jobs = [job.job_id for attempt in manifest.attempts for job in attempt.jobs]
            await delete_datasets(client, jobs)

    def _forget(self) -> None:
        self.manifest_path.unlink(missing_ok=True)
        self._clear()

    async def _begin(self, client: FireworksClient) -> Manifest:
        """Write the requests to disk, then the first manifest."""
        self._remove("results")
        with nothing_submitted():
            shards = await self._spool(self._options.limits, has_digests=True)
        if not shards:
            raise NoRowsError("There are no conversations to run. Nothing was submitted.")
        first = batch_id(new_batch_stem(), len(shards))
        manifest = Manifest(
            account=client.account,
            root_url=client.connection.root_url,
            settings=self._settings,
            rows=sum(shard.rows for shard in shards),
            limits=self._options.limits,
            attempts=(Attempt(first, plan_jobs(first, shards)),),
        )
        manifest.save(self.manifest_path)
        return manifest

    async def _resume(self, client: FireworksClient) -> Manifest | None:
        """Read the manifest and check that it is this run's; None where there is none."""
        manifest = Manifest.load(self.manifest_path)
        if manifest is None:
            return None
        first = manifest.attempts[0]
        has_same_settings = False
        try:
            manifest.require_same(client.account, client.connection.root_url, self._settings)
            has_same_settings = True
            with self._begun(manifest):
                if first.stage is Stage.PLANNED:
                    shards = await self._spool(manifest.limits, has_digests=manifest.has_digests)
                else:
                    requests = self._requests(has_digests=manifest.has_digests)
                    shards = await write_shards(requests, None, manifest.limits)
            manifest.require_same_input(shards)
        except RunMismatchError as error:
            if has_same_settings and manifest.last.stage is Stage.DELIVERING:
                # Its rows are taken for delivered. Should they not be, since a crash came just
                # before, its datasets are the last that is left of them: they stay.
                logger.info("The run of batch %s had come to its end.", first.batch_id)
                self._forget()
                return None
            raise RunMismatchError(
                f"{self.folder} holds the unfinished batch {first.batch_id} of something else: "
                f"{error}. To finish that one, run it as it was begun. To begin anew, and pay "
                f"anew, remove {self.folder}; what it has done can still be fetched with "
                f"`oumi-fireworks batch results {first.batch_id}`."
            ) from error
        self._is_resumed = True
        logger.info("Going on with %s, %s.", manifest.last.batch_id, manifest.last.stage.value)
        if manifest.last.stage in (Stage.ENDED, Stage.DELIVERING):
            # That run had come to its end, whichever it was. Whoever starts it again wants the
            # open rows run as if they were new: once, and again as often as rows are retried.
            # Not so after a crash before the end: that would be one attempt more for each crash.
            self._reopened_at = len(manifest.attempts)
            self._most_attempts = self._reopened_at + 1 + self._options.row_retries
        return manifest

    async def _submit(self, client: FireworksClient, manifest: Manifest) -> Manifest:
        """Make the last attempt's jobs, unless that is done."""
        attempt = manifest.last
        if attempt.stage is not Stage.PLANNED:
            return manifest
        number = len(manifest.attempts) - 1
        jobs = await self._with_paths(client, manifest, number)
        try:
            await submit(
                client, jobs, self._spec,
                concurrency=self._options.upload_concurrency, keep_on_failure=True,
            )  # fmt: skip
        except REFUSALS:
            if number == 0 and self._is_resumed and await self._keeps(client, jobs):
                raise
            # Refused for good: there is nothing to go on with, so leave nothing behind.
            await withdraw(client, jobs)
            if number == 0:
                self.manifest_path.unlink(missing_ok=True)
                self._remove("spool")
            raise
        manifest = manifest.with_stage(Stage.SUBMITTED)
        manifest.save(self.manifest_path)
        self._remove("spool")
        return manifest

    async def _keeps(self, client: FireworksClient, jobs: list[PlannedJob]) -> bool:
        """Tell whether jobs made before a crash have finished rows, which are paid for."""
        finished = await with_finished_rows(client, jobs)
        for job_id in finished:
            logger.warning(
                "Job %s was made before and has finished rows. It is kept: `oumi-fireworks batch "
                "results %s` fetches them.",
                job_id,
                job_id,
            )
        return bool(finished)

    async def _with_paths(
        self, client: FireworksClient, manifest: Manifest, number: int
    ) -> list[PlannedJob]:
        """Return an attempt's jobs with their files, written anew where a crash took them."""
        jobs = manifest.attempts[number].jobs
        folder = self._spool_folder(number)
        paths = [folder / shard_name(position) for position in range(len(jobs))]
        needs = [(job, path) for job, path in zip(jobs, paths, strict=True) if not job.continues]
        if number and not all(_is_whole(path, job.size) for job, path in needs):
            before = await self._results(client, manifest.without_last())
            if await self._retry(manifest, before, number, may_continue=False) != (
                manifest.last.batch_id,
                jobs,
            ):
                raise RunMismatchError(
                    f"The rows to run again are not those that {self.manifest_path} speaks of."
                )
        return [replace(job, path=path) for job, path in zip(jobs, paths, strict=True)]

    async def _results(self, client: FireworksClient, manifest: Manifest) -> BatchResults:
        """Bring the results of all attempts to the disk and merge them."""
        files: list[Path] = []
        snapshots: list[Snapshot] = []
        for number, attempt in enumerate(manifest.attempts):
            folder = self.folder / "results" / str(number)
            try:
                snapshot = await take_snapshot(client, attempt.batch_id)
            except NotFoundError:
                snapshot = lost_snapshot(client, attempt.batch_id)
            snapshots.append(snapshot)
            files += await collect(client, snapshot.jobs, folder)
        digests = self._digests if len(self._digests) == manifest.rows else None
        index = await asyncio.to_thread(
            ResultIndex.of, files, manifest.rows, self._on_outcome, digests
        )
        return BatchResults(index, tuple(snapshots))

    async def _next_attempt(
        self, manifest: Manifest, results: BatchResults, refused: Attempt | None
    ) -> Attempt | None:
        """Plan to run again what has no answer, if that is allowed and may help.

        A continuation that was refused is replaced by a job of its own; that job, if refused
        too, by nothing.
        """
        number = len(manifest.attempts)
        last, tally = results.snapshots[-1], results.index.counts
        was_refused_outright = refused is not None and refused.jobs[0].continues is None
        if (
            tally.is_complete
            or number >= self._most_attempts
            or not (is_worth_another_run(last) or number == self._reopened_at)
            or was_refused_outright
        ):
            return None
        logger.info("%s: %s. Running the rest again.", last.batch_id, tally)
        return Attempt(*await self._retry(manifest, results, number, may_continue=not refused))

    async def _retry(
        self, manifest: Manifest, results: BatchResults, number: int, *, may_continue: bool
    ) -> tuple[str, tuple[PlannedJob, ...]]:
        self._remove("spool")
        with self._begun(manifest):
            return await plan_retry(
                results,
                self._requests(has_digests=manifest.has_digests),
                attempt=number,
                folder=self._spool_folder(number),
                limits=manifest.limits,
                may_continue=may_continue,
            )

    @contextmanager
    def _begun(self, manifest: Manifest) -> Iterator[None]:
        """Say of a row or a disk that is no good any more, what that means for a run at work."""
        batch = manifest.attempts[0].batch_id
        try:
            yield
        except RowError as error:
            raise RowError(
                f"{error} The run in {self.folder} needs its whole input to go on. What batch "
                f"{batch} has done can be fetched with `oumi-fireworks batch results {batch}`.",
                error.index,
            ) from error
        except SpoolError as error:
            # Not to be told to choose another place: there it would begin anew, and be paid anew.
            raise SpoolError(
                f"{error} The run stands where it was, with batch {batch}: make room and run it "
                "again."
            ) from error

    async def _spool(self, limits: ShardLimits, *, has_digests: bool) -> list[Shard]:
        """Write all requests to disk, for the first attempt."""
        self._remove("spool")
        requests = self._requests(has_digests=has_digests)
        return await write_shards(requests, self._spool_folder(0), limits)

    def _requests(self, *, has_digests: bool) -> Iterator[Request]:
        """Yield the rows, and note the digests of their prompts on the way."""
        self._digests = array("Q")
        for request in self._rows():
            if has_digests and request.digest is not None:
                self._digests.append(request.digest)
                yield request
            else:
                yield replace(request, digest=None)

    def _spool_folder(self, number: int) -> Path:
        return self.folder / "spool" / str(number)

    def _clear(self) -> None:
        """Remove all but the lock."""
        with suppress(FileNotFoundError):
            for path in list(self.folder.iterdir()):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != LOCK_NAME:
                    path.unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)


def _is_whole(path: Path, size: int) -> bool:
    """Tell whether a file is there and has not lost its end to a crash of the machine."""
    return path.exists() and path.stat().st_size == size
