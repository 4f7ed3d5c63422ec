"""One batch from its rows to its results, through any number of crashes.

What comes next is decided in :mod:`oumi_fireworks.batch.decide`; the steps are carried out by
:mod:`oumi_fireworks.batch.attempts`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.attempts import Attempts
from oumi_fireworks.batch.claim import claim
from oumi_fireworks.batch.cleanup import delete_datasets
from oumi_fireworks.batch.decide import Findings, Step, next_step, rows_to_run, seconds_left
from oumi_fireworks.batch.delivery import (
    delivering,
    has_own_file,
    is_delivered,
    is_delivered_to,
)
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.ids import stem_of
from oumi_fireworks.batch.late import SendOnline
from oumi_fireworks.batch.manifest import Attempt, Manifest, Stage
from oumi_fireworks.batch.outcomes import Answer
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, Split, plan_jobs
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.batch.resumption import (
    explained,
    has_same_settings,
    require_same_run,
    with_new_round,
)
from oumi_fireworks.batch.retry import rejected_to_run
from oumi_fireworks.batch.run_files import RunFiles
from oumi_fireworks.batch.run_input import RowSource, RunInput
from oumi_fireworks.batch.run_lock import RunLock
from oumi_fireworks.batch.run_options import RunOptions
from oumi_fireworks.batch.snapshot import Snapshot
from oumi_fireworks.batch.submit import plan_first
from oumi_fireworks.batch.watch import OnProgress
from oumi_fireworks.batch.waves import next_wave, shards_of
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.completions import ANSWERED_BY
from oumi_fireworks.errors import OverBudgetError, RunMismatchError
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Budget, Usage

logger = logger_for(__name__)


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
        place: The file that the rows are delivered to. A run that was killed when its rows were
            there is over for a caller who has other rows for the same file.
        send_online: Sends rows online, after the deadline of the options.
    """

    def __init__(
        self,
        folder: Path,
        rows: RowSource,
        spec: JobSpec,
        settings: Mapping[str, Any],
        options: RunOptions | None = None,
        on_outcome: OnOutcome | None = None,
        place: Path | None = None,
        send_online: SendOnline | None = None,
    ) -> None:
        self._place = place
        self._send_online = send_online
        self._files = RunFiles(folder)
        self._lock = RunLock(self._files)
        self._rows = RunInput(self._files, rows, spec.model)
        self._spec = spec
        self._options = options or RunOptions()
        key = {} if self._options.key is None else {"key": self._options.key}
        self._settings = {"model": spec.model, "precision": spec.precision, **key, **settings}
        self._on_outcome = on_outcome

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self._files.folder

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self._files.manifest_path

    @property
    def current(self) -> Attempt | None:
        """The attempt at work; None before there is one.

        Raises:
            ManifestError: If the manifest cannot be read.
        """
        manifest = self._files.load()
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
        manifest = self._files.load()
        return manifest.delivery if manifest else None

    @property
    def has_own_file(self) -> bool:
        """Whether the file in its place is one that this run has delivered, now or earlier.

        Raises:
            ManifestError: If the manifest cannot be read.
        """
        manifest = self._files.load()
        return manifest is not None and has_own_file(manifest)

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
        with self._lock.held(wait=wait):
            yield

    async def advance(
        self,
        client: FireworksClient,
        on_progress: OnProgress | None = None,
        before_beginning: Callable[[], None] = lambda: None,
    ) -> BatchResults:
        """Go the whole way from wherever the run stands, until its results are on the disk.

        Where answers that were paid for cannot be fetched, the results say so
        (:attr:`BatchResults.shortfall`); then the run is not at its end, and a later call goes on.

        Args:
            client: The account.
            on_progress: Told about each look at the batch.
            before_beginning: Called where there is nothing to go on with; may refuse to begin.

        Raises:
            RunMismatchError: If the manifest in the folder belongs to something else.
            KeyTakenError: If the key of the options stands for other rows.
            RowError: If a row cannot be sent. Nothing was uploaded.
            FireworksError: What stopped it; the same call goes on from there.
        """
        cache = self._open_cache()
        try:
            results = await self._advance(client, cache, on_progress, before_beginning)
            await asyncio.to_thread(results.index.share)
            if cache is not None:
                await asyncio.to_thread(self._keep_answers, cache, results)
            return results
        finally:
            if cache is not None:
                cache.close()

    async def _advance(
        self,
        client: FireworksClient,
        cache: AnswerCache | None,
        on_progress: OnProgress | None,
        before_beginning: Callable[[], None],
    ) -> BatchResults:
        resumed = await self._resume(client)
        if resumed is None:
            before_beginning()
        manifest = resumed or await self._begin(client, cache)
        if not manifest.begun_at:  # of an earlier version: its deadline is counted from now
            manifest = self._files.save(replace(manifest, begun_at=time.time()))
        attempts = self._attempts(client, resumed)
        results: BatchResults | None = None
        while True:
            left = seconds_left(manifest, self._options.deadline, time.time())
            if left is not None and left <= 0:
                manifest = self._files.save(replace(manifest, is_overdue=True))
            last = manifest.last
            retries = self._options.retries
            findings = self._findings(manifest, results, attempts)
            step = next_step(manifest, retries, attempts.ended.get(last.batch_id), findings)
            if step is Step.SUBMIT:
                manifest, results = await attempts.submit(manifest), None
            elif step is Step.WAIT:
                manifest = await attempts.wait(manifest, on_progress, left)
            elif step is Step.HALT:
                manifest = await attempts.halt(manifest, on_progress)
            elif step is Step.FETCH:
                results = await attempts.fetch(manifest)
                manifest = attempts.settle(manifest, results)
            elif step is Step.RELEASE:
                manifest = attempts.release(manifest)
            else:
                assert results is not None  # the steps below are decided by what was found
                assert findings is not None
                if step is Step.ONLINE:
                    assert self._send_online is not None
                    held = await attempts.run_online(manifest, results, self._send_online)
                    if held:
                        results = await attempts.fetch(manifest)
                        results.index.note_over_budget(held)
                        return replace(results, held_by=self._options.budget)
                    manifest, results = self._files.save(manifest.with_stage(Stage.ENDED)), None
                    continue
                if step is Step.RETRY:
                    rerun = rows_to_run(manifest, retries, findings)
                    further = await attempts.plan_retry(manifest, results, rerun)
                    if further is not None:
                        manifest = further
                        continue
                    step = Step.HOLD
                if step is Step.HOLD:
                    results.index.note_over_budget(await attempts.rows_over_budget(manifest))
                    return replace(results, held_by=self._options.budget)
                if step is Step.DELIVER and not manifest.has_ended:
                    self._files.save(manifest.with_stage(Stage.ENDED))
                return results

    def begin_delivery(self, file: FileMark | None = None, *, is_whole: bool = True) -> None:
        """Note that the rows are about to be put where they belong.

        A caller whose next run asks only for the rows that are still open, as Oumi's does with
        its scratch file, is not this run any more, and finds it out by its input. Then the file
        decides whether this run is over.

        Args:
            file: What they are in, complete, before it is moved to its place.
            is_whole: Whether they are all that was paid for. If not, the run only remembers the
                file as its own, to replace it later.
        """
        manifest = self._files.load()
        if manifest is not None:
            self._files.save(delivering(manifest, file, is_whole=is_whole))

    def keep_for_open_rows(self) -> None:
        """Note that the caller has all answers, and that a later call is to run the open rows."""
        manifest = self._files.load()
        if manifest is not None and manifest.has_ended:
            self._files.save(manifest.with_stage(Stage.DELIVERED))

    async def finish(self, client: FireworksClient) -> None:
        """Forget the run: its results are safely where they belong.

        A run that is not at its end is kept, and so is one that somebody waits for. The datasets
        go first and the manifest last, so that a crash in between forgets nothing.
        """
        manifest = self._files.load()
        if manifest is None or not manifest.has_ended or self._lock.is_waited_for():
            return
        if self._options.delete_datasets:
            jobs = [job.job_id for attempt in manifest.attempts for job in attempt.jobs]
            await delete_datasets(client, jobs)
        self._files.forget()

    async def finish_delivered(self, client: FireworksClient) -> None:
        """Forget the run if its rows are in the file that :meth:`begin_delivery` has noted."""
        manifest = self._files.load()
        if manifest is not None and is_delivered(manifest):
            await self.finish(client)

    def _attempts(self, client: FireworksClient, resumed: Manifest | None) -> Attempts:
        is_half_made = resumed is not None and resumed.last.stage is Stage.PLANNED
        return Attempts(
            client,
            self._files,
            self._rows,
            self._spec,
            self._options,
            self._on_outcome,
            asked_before=resumed.last.batch_id if resumed and is_half_made else None,
        )

    def _open_cache(self) -> AnswerCache | None:
        """Open the cache, and note from now on what its answers are kept under."""
        folder = self._options.cache
        if folder is None:
            return None
        self._rows.keep_keys()
        return AnswerCache(folder, self._options.cache_max_age)

    def _keep_answers(self, cache: AnswerCache, results: BatchResults) -> None:
        """Put the answers into the cache that were paid for by this run."""
        cache.keep(
            self._spec.model,
            (
                (self._rows.key(outcome.index), outcome.completion)
                for outcome in results.index.outcomes()
                if isinstance(outcome, Answer) and ANSWERED_BY not in outcome.completion
            ),
        )

    async def _begin(self, client: FireworksClient, cache: AnswerCache | None) -> Manifest:
        """Write the requests to disk, then the first manifest."""
        self._files.remove_results()
        options, split = self._options, Split(self._options.limits, self._options.dedupe)
        if options.key is None:
            shards = await self._rows.spool_new(split, cache, self._on_outcome)
            first, jobs = plan_first(shards, has_rows=self._rows.count > 0)
        else:
            uncut = replace(split.limits, max_cost=None, token_costs=(0.0, 0.0))
            whole = replace(split, limits=uncut)
            claimed = await claim(client, options.key, self._rows.spool_new, whole)
            first, split = claimed.batch_id, claimed.split
            jobs = plan_jobs(first, claimed.shards)
        attempt = Attempt(first, jobs, Stage.PLANNED if jobs else Stage.COLLECTED)
        pending: tuple[PlannedJob, ...] = ()
        if jobs and options.budget is not None:
            is_whole = options.key is not None
            wave, pending = next_wave(
                shards_of(jobs), (), options.budget, stem_of(first), whole=is_whole
            )
            if wave is None:
                self._files.remove_spool()
                raise OverBudgetError(_too_small(options.budget, jobs, whole=is_whole))
            attempt = wave
        return self._files.save(
            Manifest(
                account=client.account,
                root_url=client.connection.root_url,
                settings=self._settings,
                rows=self._rows.count,
                limits=split.limits,
                attempts=(attempt,),
                unsent=self._rows.unsent,
                pending=pending,
                begun_at=time.time(),
            )
        )

    async def _resume(self, client: FireworksClient) -> Manifest | None:
        """Read the manifest and check that it is this run's; None where there is none."""
        manifest = self._files.load()
        if manifest is None:
            return None
        try:
            await require_same_run(manifest, client, self._settings, self._rows)
        except RunMismatchError as error:
            # Who asks the same for other rows, and looks elsewhere, would pay for these again.
            is_over = is_delivered_to(manifest, self._place) or (
                is_delivered(manifest) and not has_same_settings(manifest, client, self._settings)
            )
            if is_over:
                first = manifest.attempts[0].batch_id
                logger.info("The run of batch %s had come to its end.", first)
                await self.finish(client)
                if not self.manifest_path.exists():
                    return None
            raise explained(error, manifest, self.folder) from error
        last = manifest.last
        logger.info("Going on with %s, %s.", last.batch_id, last.stage.value)
        if last.stage is Stage.DELIVERED and not self._lock.has_joined:
            # Whoever comes again, with all answers in hand, wants the open rows to be run.
            return self._files.save(with_new_round(manifest))
        return manifest

    def _findings(
        self, manifest: Manifest, results: BatchResults | None, attempts: Attempts
    ) -> Findings | None:
        """Return what the decision about the next step needs of the results, once there are any."""
        if results is None:
            return None
        last_pass = results.snapshots[manifest.pass_begins_at :]
        jobs = tuple(job for snapshot in last_pass for job in snapshot.jobs)
        return Findings(
            results.index.counts,
            Snapshot(manifest.last.batch_id, jobs),
            results.shortfall is not None,
            rejected_to_run(results.index, self._options.again),
            attempts.fits(manifest),
        )


def _too_small(budget: Budget, jobs: Sequence[PlannedJob], *, whole: bool) -> str:
    """Say that a budget does not allow a single job, or not all of them where it must."""
    costs = [budget.at_most(job.most or Usage()) for job in jobs]
    what, least = ("the smallest job", min(costs))
    if whole:
        what, least = ("the batch, which a key keeps in one piece,", sum(costs, Decimal()))
    return (
        f"max_cost is ${budget.most:f}, and {what} may cost ${least:f}: as many tokens as its "
        "prompts have bytes, and as max_new_tokens allows for each row. Nothing was sent. Raise "
        "max_cost, or lower max_new_tokens."
    )
