"""One batch from its rows to its results, through any number of crashes.

What comes next is decided in :mod:`oumi_fireworks.batch.decide`; here it is carried out.
"""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.arrival import gather
from oumi_fireworks.batch.cleanup import delete_datasets
from oumi_fireworks.batch.creation import CreationRefusedError, provide_job
from oumi_fireworks.batch.decide import Findings, Step, next_step
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.batch.manifest import Attempt, Manifest, Stage
from oumi_fireworks.batch.plan import JobSpec, PlannedJob
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.batch.retry import plan_retry
from oumi_fireworks.batch.shards import (
    Shard,
    ShardLimits,
    nothing_submitted,
    shard_name,
    write_shards,
)
from oumi_fireworks.batch.snapshot import Snapshot, lost_snapshot, take_snapshot
from oumi_fireworks.batch.submit import plan_first
from oumi_fireworks.batch.uploads import provide_inputs
from oumi_fireworks.batch.watch import OnProgress, WaitPolicy, watch
from oumi_fireworks.batch.withdrawal import withdraw
from oumi_fireworks.errors import (
    BatchError,
    NotFoundError,
    RowError,
    RunLockedError,
    RunMismatchError,
    SpoolError,
)
from oumi_fireworks.files import PRIVATE_FILE
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

MANIFEST_NAME = "run.json"
LOCK_NAME = "lock"
_WAITING_PREFIX = "waiting-"

_CONTENTS = (
    MANIFEST_NAME, f"{MANIFEST_NAME}.*", f".{MANIFEST_NAME}*", LOCK_NAME, "spool", "results",
    "stdin", "stdin.*", f"{_WAITING_PREFIX}*",
)  # fmt: skip
"""What a run's folder holds. ``stdin`` is the command line's copy of a piped input."""

RowSource = Callable[[], Iterator[Request]]
"""Gives the rows, from the first one on, as often as it is called."""


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


@dataclass
class _Known:
    """What this process has found out, besides what is in the manifest."""

    ended: dict[str, Snapshot] = field(default_factory=dict)
    results: BatchResults | None = None

    def findings(self) -> Findings | None:
        if self.results is None:
            return None
        return Findings(
            self.results.index.counts,
            self.results.snapshots[-1],
            self.results.shortfall is not None,
        )


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
        self._own = OwnFolder(folder, _CONTENTS)
        self._rows = rows
        self._spec = spec
        self._settings = {"model": spec.model, "precision": spec.precision, **settings}
        self._options = options or RunOptions()
        self._on_outcome = on_outcome
        self._digests = array("Q")
        self._has_joined = False
        self._submitted_before = ""

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

    @property
    def delivered_file(self) -> FileMark | None:
        """The file that :meth:`begin_delivery` has noted; None before that.

        Raises:
            ManifestError: If the manifest cannot be read.
        """
        manifest = Manifest.load(self.manifest_path)
        return manifest.delivery if manifest else None

    @contextmanager
    def lock(self, *, wait: bool = False) -> Iterator[None]:
        """Keep others out of this run. The lock dies with the process.

        Args:
            wait: Whether to wait for whoever is at work on it. That one leaves its results, and
                they are delivered here as well.

        Raises:
            RunLockedError: If another process is at work on it, unless that is waited for.
            SpoolError: If the folder is somebody else's, or cannot be made.
        """
        self._own.claim()
        lock = self._acquire(wait)
        try:
            yield
        finally:
            if not self.manifest_path.exists():  # finished, or never begun: nothing to remember
                self._own.remove()
            lock.release()

    def _acquire(self, wait: bool) -> FileLock:
        lock = FileLock(self.folder / LOCK_NAME, mode=PRIVATE_FILE)
        if not wait:
            _acquire_now(lock, self.folder)
            return lock
        waiting = FileLock(
            self.folder / f"{_WAITING_PREFIX}{os.getpid()}-{id(self)}", mode=PRIVATE_FILE
        )
        with waiting:
            try:
                _acquire_now(lock, self.folder)
            except RunLockedError:
                logger.info("Another call is at work on the run in %s: waiting.", self.folder)
                self._has_joined = True
                lock.acquire()
                while not Path(lock.lock_file).exists():  # removed with the folder
                    lock.release()
                    self._own.claim()
                    lock.acquire()
        Path(waiting.lock_file).unlink(missing_ok=True)
        return lock

    async def advance(
        self, client: FireworksClient, on_progress: OnProgress | None = None
    ) -> BatchResults:
        """Go the whole way from wherever the run stands, until its results are on the disk.

        Where answers that were paid for cannot be fetched, the results say so
        (:attr:`BatchResults.shortfall`); then the run is not at its end, and a later call goes on.

        Args:
            client: The account.
            on_progress: Told about each look at the batch.

        Raises:
            RunMismatchError: If the manifest in the folder belongs to something else.
            RowError: If a row cannot be sent. Nothing was uploaded.
            FireworksError: What stopped it; the same call goes on from there.
        """
        manifest = await self._resume(client) or await self._begin(client)
        known = _Known()
        while True:
            last = manifest.last
            step = next_step(
                manifest,
                self._options.row_retries,
                known.ended.get(last.batch_id),
                known.findings(),
            )
            if step is Step.SUBMIT:
                manifest = await self._submit(client, manifest)
                known.results = None
            elif step is Step.WAIT:
                known.ended[last.batch_id] = await self._wait(client, last, on_progress)
                manifest = self._note_counts(manifest, known.ended[last.batch_id])
            elif step is Step.FETCH:
                known.results = await self._gather(client, manifest, known)
            elif step is Step.RETRY:
                assert known.results is not None
                manifest = await self._plan_retry(manifest, known.results)
            else:
                assert known.results is not None
                if step is Step.DELIVER and last.stage in (Stage.SUBMITTED, Stage.COLLECTED):
                    self._save(manifest.with_stage(Stage.ENDED))
                return known.results

    def begin_delivery(self, file: FileMark | None = None) -> None:
        """Note that the rows are about to be put where they belong.

        A caller whose next run asks only for the rows that are still open, as Oumi's does with
        its scratch file, is not this run any more, and finds it out by its input. Then the file
        decides whether this run is over.

        Args:
            file: What they are in, complete, before it is moved to its place.
        """
        manifest = Manifest.load(self.manifest_path)
        if manifest is not None and manifest.last.stage in _ENDED:
            self._save(replace(manifest.with_stage(Stage.DELIVERING), delivery=file))

    def keep_for_open_rows(self) -> None:
        """Note that the caller has all answers, and that a later call is to run the open rows."""
        manifest = Manifest.load(self.manifest_path)
        if manifest is not None and manifest.last.stage in _ENDED:
            self._save(manifest.with_stage(Stage.DELIVERED))

    async def finish(self, client: FireworksClient) -> None:
        """Forget the run: its results are safely where they belong.

        A run that is not at its end is kept, and so is one that somebody waits for. The datasets
        go first and the manifest last, so that a crash in between forgets nothing.
        """
        manifest = Manifest.load(self.manifest_path)
        if manifest is None or manifest.last.stage not in _ENDED:
            return
        if self._is_waited_for():
            return
        if self._options.delete_datasets:
            jobs = [job.job_id for attempt in manifest.attempts for job in attempt.jobs]
            await delete_datasets(client, jobs)
        self._forget()

    async def finish_delivered(self, client: FireworksClient) -> None:
        """Forget the run if its rows are in the file that :meth:`begin_delivery` has noted."""
        manifest = Manifest.load(self.manifest_path)
        if manifest is not None and _is_delivered(manifest):
            await self.finish(client)

    def _is_waited_for(self) -> bool:
        for path in self.folder.glob(f"{_WAITING_PREFIX}*"):
            lock = FileLock(path)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return True
            lock.release()
            path.unlink(missing_ok=True)  # of a process that is no more
        return False

    def _forget(self) -> None:
        self.manifest_path.unlink(missing_ok=True)
        self._own.clear(keep=[LOCK_NAME])

    def _save(self, manifest: Manifest) -> Manifest:
        manifest.save(self.manifest_path)
        return manifest

    async def _begin(self, client: FireworksClient) -> Manifest:
        """Write the requests to disk, then the first manifest."""
        self._remove("results")
        with nothing_submitted():
            shards = await self._spool(self._options.limits, has_digests=True)
        first, jobs = plan_first(shards)
        return self._save(
            Manifest(
                account=client.account,
                root_url=client.connection.root_url,
                settings=self._settings,
                rows=sum(shard.rows for shard in shards),
                limits=self._options.limits,
                attempts=(Attempt(first, jobs),),
            )
        )

    async def _resume(self, client: FireworksClient) -> Manifest | None:
        """Read the manifest and check that it is this run's; None where there is none."""
        manifest = Manifest.load(self.manifest_path)
        if manifest is None:
            return None
        first = manifest.attempts[0]
        try:
            manifest.require_same(client.account, client.connection.root_url, self._settings)
            with self._begun(manifest):
                if first.stage is Stage.PLANNED:
                    shards = await self._spool(manifest.limits, has_digests=manifest.has_digests)
                else:
                    requests = self._requests(has_digests=manifest.has_digests)
                    shards = await write_shards(requests, None, manifest.limits)
            manifest.require_same_input(shards)
        except RunMismatchError as error:
            if _is_delivered(manifest):
                logger.info("The run of batch %s had come to its end.", first.batch_id)
                await self.finish(client)
                if not self.manifest_path.exists():
                    return None
            raise RunMismatchError(
                f"{self.folder} holds the unfinished batch {first.batch_id} of something else: "
                f"{error}. To finish that one, run it as it was begun. To begin anew, and pay "
                f"anew, remove {self.folder}; what it has done can still be fetched with "
                f"`oumi-fireworks batch results {first.batch_id}`."
            ) from error
        logger.info("Going on with %s, %s.", manifest.last.batch_id, manifest.last.stage.value)
        if manifest.last.stage is Stage.PLANNED:
            self._submitted_before = manifest.last.batch_id
        if manifest.last.stage is Stage.DELIVERED and not self._has_joined:
            # Whoever comes again, with all answers in hand, wants the open rows to be run.
            manifest = replace(
                manifest.with_stage(Stage.COLLECTED), round_begins_at=len(manifest.attempts)
            )
            self._save(manifest)
        return manifest

    async def _submit(self, client: FireworksClient, manifest: Manifest) -> Manifest:
        """Create what the last attempt is to have and does not exist yet.

        A job that is refused leaves the others alone. An attempt without any job is none.
        """
        attempt = manifest.last
        number = len(manifest.attempts) - 1
        jobs = await self._with_paths(client, manifest, number)
        if attempt.jobs[0].continues is None:
            await provide_inputs(client, jobs, self._options.upload_concurrency)
        refusals: list[CreationRefusedError] = []
        for job in jobs:
            try:
                await provide_job(
                    client,
                    job,
                    self._spec,
                    may_exist=attempt.batch_id == self._submitted_before,
                )
            except CreationRefusedError as refusal:
                logger.warning("Job %s was refused: %s", job.job_id, refusal)
                refusals.append(refusal)
        if len(refusals) == len(jobs):
            manifest = await self._without_any_job(client, manifest, jobs, refusals[0])
        else:
            refused = {refusal.job.job_id: str(refusal) for refusal in refusals}
            made = tuple(replace(job, refusal=refused.get(job.job_id, "")) for job in attempt.jobs)
            manifest = self._save(
                manifest.with_last(replace(attempt, jobs=made, stage=Stage.SUBMITTED))
            )
        self._remove("spool")
        return manifest

    async def _without_any_job(
        self,
        client: FireworksClient,
        manifest: Manifest,
        jobs: list[PlannedJob],
        refusal: CreationRefusedError,
    ) -> Manifest:
        """Go on after a refusal of a whole attempt: nothing of it runs, and nothing was paid."""
        before = manifest.without_last()
        if jobs[0].continues is not None:
            results = await self._gather(client, before, _Known())
            return await self._plan_retry(before, results, may_continue=False)
        await withdraw(client, jobs, ())
        if not before.attempts:
            self._forget()
            raise refusal.reason
        return self._save(before.with_stage(Stage.ENDED))

    async def _wait(
        self, client: FireworksClient, attempt: Attempt, on_progress: OnProgress | None
    ) -> Snapshot:
        """Wait until an attempt has ended."""
        try:
            return await watch(
                client,
                attempt.batch_id,
                self._options.wait_policy,
                on_progress,
                attempt.refusals,
            )
        except NotFoundError:  # removed with its datasets: what is here counts
            return lost_snapshot(client, attempt.batch_id)

    def _note_counts(self, manifest: Manifest, ended: Snapshot) -> Manifest:
        """Write down what an attempt that has ended counts, before anything is done about it."""
        counted = max(manifest.last.counted, ended.progress.succeeded)
        if counted == manifest.last.counted:
            return manifest
        return self._save(manifest.with_last(replace(manifest.last, counted=counted)))

    async def _gather(
        self, client: FireworksClient, manifest: Manifest, known: _Known
    ) -> BatchResults:
        """Bring the results of all attempts to the disk and merge them."""
        snapshots = []
        for attempt in manifest.attempts:
            if attempt.batch_id not in known.ended:
                known.ended[attempt.batch_id] = await self._look(client, attempt)
            snapshots.append(known.ended[attempt.batch_id])
        gathered = await gather(
            client,
            snapshots,
            manifest.rows,
            self.folder / "results",
            self._on_outcome,
            digests=self._digests if len(self._digests) == manifest.rows else None,
            counted=[attempt.counted for attempt in manifest.attempts],
            refused={
                job_id: words
                for attempt in manifest.attempts
                for job_id, words in attempt.refusals.items()
            },
        )
        return BatchResults(gathered.index, gathered.snapshots, gathered.arrivals)

    async def _look(self, client: FireworksClient, attempt: Attempt) -> Snapshot:
        try:
            return await take_snapshot(client, attempt.batch_id, attempt.refusals)
        except NotFoundError:
            return lost_snapshot(client, attempt.batch_id)

    async def _plan_retry(
        self, manifest: Manifest, results: BatchResults, *, may_continue: bool = True
    ) -> Manifest:
        """Write down a further attempt, at the rows that are open."""
        manifest = self._save(manifest.with_stage(Stage.COLLECTED))
        logger.info("%s: %s. Running the rest again.", manifest.last.batch_id, results.index.counts)
        number = len(manifest.attempts)
        again, jobs = await self._spool_retry(manifest, results, number, may_continue)
        return self._save(manifest.with_attempt(Attempt(again, jobs)))

    async def _with_paths(
        self, client: FireworksClient, manifest: Manifest, number: int
    ) -> list[PlannedJob]:
        """Return an attempt's jobs with their files, written anew where a crash took them."""
        jobs = manifest.attempts[number].jobs
        folder = self._spool_folder(number)
        paths = [folder / shard_name(position) for position in range(len(jobs))]
        needs = [(job, path) for job, path in zip(jobs, paths, strict=True) if not job.continues]
        if number and not all(_is_whole(path, job.size) for job, path in needs):
            before = manifest.without_last()
            results = await self._gather(client, before, _Known())
            if results.shortfall is not None:
                raise BatchError(
                    f"The requests of {manifest.last.batch_id} have to be written anew, and "
                    f"answers are missing for it: {results.shortfall}. Run again later."
                )
            if await self._spool_retry(before, results, number, may_continue=False) != (
                manifest.last.batch_id,
                jobs,
            ):
                raise RunMismatchError(
                    f"The rows to run again are not those that {self.manifest_path} speaks of."
                )
        return [replace(job, path=path) for job, path in zip(jobs, paths, strict=True)]

    async def _spool_retry(
        self, manifest: Manifest, results: BatchResults, number: int, may_continue: bool
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

    def _remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)


_ENDED = frozenset({Stage.ENDED, Stage.DELIVERING, Stage.DELIVERED})


def _acquire_now(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RunLockedError(
            f"Another process is at work on the run in {folder}. Wait for it, or stop it; this "
            "one has changed nothing."
        ) from error


def _is_delivered(manifest: Manifest) -> bool:
    """Tell whether the rows of a run are known to be where they belong."""
    return (
        manifest.last.stage is Stage.DELIVERING
        and manifest.delivery is not None
        and manifest.delivery.is_in_place()
    )


def _is_whole(path: Path, size: int) -> bool:
    """Tell whether a file is there and has not lost its end to a crash of the machine."""
    return path.exists() and path.stat().st_size == size
