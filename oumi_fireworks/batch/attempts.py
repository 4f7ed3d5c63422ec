"""The attempts of a run: submitted, waited for, fetched, and planned again for the open rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.arrival import Gathered, gather
from oumi_fireworks.batch.cancel import cancel
from oumi_fireworks.batch.creation import CreationRefusedError, provide_job
from oumi_fireworks.batch.decide import Rerun
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.ids import stem_of
from oumi_fireworks.batch.late import Allowance, LateRows, SendOnline
from oumi_fireworks.batch.manifest import Attempt, Manifest, Stage
from oumi_fireworks.batch.plan import JobSpec, PlannedJob
from oumi_fireworks.batch.requests import indexes_in
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.batch.retry import open_requests, rejected_to_run
from oumi_fireworks.batch.run_files import RunFiles
from oumi_fireworks.batch.run_input import RunInput
from oumi_fireworks.batch.run_options import RunOptions
from oumi_fireworks.batch.settlement import charge_of
from oumi_fireworks.batch.shards import shard_name
from oumi_fireworks.batch.snapshot import Snapshot, lost_snapshot, take_snapshot
from oumi_fireworks.batch.submit import provide_batch
from oumi_fireworks.batch.unsent import UnsentCounts
from oumi_fireworks.batch.uploads import provide_inputs
from oumi_fireworks.batch.watch import OnProgress, watch
from oumi_fireworks.batch.waves import charges, next_wave, shards_of, with_wave
from oumi_fireworks.batch.withdrawal import withdraw
from oumi_fireworks.errors import (
    BatchError,
    NotFoundError,
    OverBudgetError,
    RunMismatchError,
    WaitTimeoutError,
)
from oumi_fireworks.grammar import ended, form, number
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Charge

logger = logger_for(__name__)


class Attempts:
    """Carries out single steps of a run; each leaves the manifest as it is to be afterwards.

    Attributes:
        ended: The attempts that were seen to end, by batch id.

    Args:
        client: The account.
        files: The run's files.
        rows: The run's input.
        spec: What all jobs have in common.
        options: How the run behaves.
        on_outcome: Told about each outcome.
        asked_before: The batch that an earlier process may have submitted in part.
    """

    def __init__(
        self,
        client: FireworksClient,
        files: RunFiles,
        rows: RunInput,
        spec: JobSpec,
        options: RunOptions,
        on_outcome: OnOutcome | None,
        asked_before: str | None,
    ) -> None:
        self._client = client
        self._files = files
        self._rows = rows
        self._spec = spec
        self._options = options
        self._on_outcome = on_outcome
        self._asked_before = asked_before
        self.ended: dict[str, Snapshot] = {}
        self._gathered: Gathered | None = None

    async def submit(self, manifest: Manifest) -> Manifest:
        """Create what the last attempt is to have and does not exist yet.

        A job that is refused leaves the others alone. An attempt without any job is none.
        """
        attempt = manifest.last
        self._require_room(manifest)
        jobs = await self._with_paths(manifest)
        if self._options.key is not None:
            return await self._submit_shared(manifest, jobs)
        if attempt.jobs[0].continues is None:
            await provide_inputs(self._client, jobs, self._options.upload_concurrency)
        may_exist = attempt.batch_id == self._asked_before
        refusals: list[CreationRefusedError] = []
        for job in jobs:
            try:
                await provide_job(self._client, job, self._spec, may_exist=may_exist)
            except CreationRefusedError as refusal:
                logger.warning("Job %s was refused: %s", job.job_id, refusal)
                refusals.append(refusal)
        if len(refusals) == len(jobs):
            manifest = await self._without_any_job(manifest, jobs, refusals[0])
        else:
            refused = {refusal.job.job_id: str(refusal) for refusal in refusals}
            made = tuple(replace(job, refusal=refused.get(job.job_id, "")) for job in attempt.jobs)
            manifest = self._files.save(
                manifest.with_last(replace(attempt, jobs=made, stage=Stage.SUBMITTED))
            )
        if not manifest.pending:
            self._files.remove_spool()
        return manifest

    async def _submit_shared(self, manifest: Manifest, jobs: list[PlannedJob]) -> Manifest:
        """Create what does not exist yet of an attempt that other machines may be at, too.

        All of its jobs, or the run stops: what one machine leaves to a further attempt, because a
        job was refused there, another one might still create.
        """
        try:
            await provide_batch(self._client, jobs, self._spec, self._options.upload_concurrency)
        except CreationRefusedError as refusal:
            raise refusal.reason from None
        self._files.remove_spool()
        return self._files.save(manifest.with_stage(Stage.SUBMITTED))

    async def wait(
        self, manifest: Manifest, on_progress: OnProgress | None, left: float | None = None
    ) -> Manifest:
        """Wait until the last attempt has ended, and write down what it counts.

        Args:
            manifest: What is written down.
            on_progress: Told about each look.
            left: Seconds until the deadline, at which this returns whatever is at work.
        """
        last, policy = manifest.last, self._options.wait_policy
        is_bound = left is not None and (policy.timeout is None or left <= policy.timeout)
        try:
            ended = await watch(
                self._client,
                last.batch_id,
                replace(policy, timeout=left) if is_bound else policy,
                on_progress,
                last.refusals,
            )
        except NotFoundError:  # removed with its datasets: what is here counts
            ended = lost_snapshot(self._client, last.batch_id)
        except WaitTimeoutError:
            if is_bound:
                return manifest
            raise
        return self._note_end(manifest, ended)

    async def halt(self, manifest: Manifest, on_progress: OnProgress | None) -> Manifest:
        """Stop what is at work of the last attempt, and wait until it has ended. Idempotent."""
        last = manifest.last
        logger.warning(
            "The deadline of batch %s has passed: it is stopped, and what it has not finished runs "
            "online.",
            last.batch_id,
        )
        self._files.remove_spool()
        was_asked_for = last.stage is not Stage.PLANNED or last.batch_id == self._asked_before
        if not was_asked_for and len(manifest.attempts) > 1:
            return self._files.save(manifest.without_last().with_stage(Stage.COLLECTED))
        if not was_asked_for:
            self.ended[last.batch_id] = lost_snapshot(self._client, last.batch_id)
            free = replace(last, stage=Stage.COLLECTED, charge=Charge())
            return self._files.save(manifest.with_last(free))
        try:
            await cancel(self._client, last.batch_id)
            ended = await watch(
                self._client,
                last.batch_id,
                replace(self._options.wait_policy, timeout=None),
                on_progress,
                last.refusals,
            )
        except NotFoundError:
            ended = lost_snapshot(self._client, last.batch_id)
        return self._note_end(manifest, ended)

    async def run_online(
        self, manifest: Manifest, results: BatchResults, send: SendOnline
    ) -> list[int]:
        """Run the rows that are open online; return those that the budget does not allow."""
        rerun = Rerun(unanswered=True, rejected=self._options.again is not None)
        rows = self._rows.sent(manifest)
        requests = open_requests(results, rows, rerun, self._options.again)
        digests = self._rows.digests(manifest.rows)
        budget = self._options.budget
        allowance = None
        if budget is not None:
            left = budget.left(charges(manifest.attempts))
            allowance = Allowance(left, self._files.spending)
        late = self.late_rows(manifest)
        return await late.run(requests, digests, self._spec.model, send, allowance)

    def late_rows(self, manifest: Manifest) -> LateRows:
        """Return the rows that run, or ran, online."""
        return LateRows(self._files.online, manifest.rows)

    def _note_end(self, manifest: Manifest, ended: Snapshot) -> Manifest:
        last = manifest.last
        self.ended[last.batch_id] = ended
        counted = max(last.counted, ended.progress.succeeded)
        if counted == last.counted:
            return manifest
        return self._files.save(manifest.with_last(replace(last, counted=counted)))

    async def fetch(self, manifest: Manifest) -> BatchResults:
        """Bring the results of all attempts to the disk and merge them."""
        late = self.late_rows(manifest)
        late.mend()
        for attempt in manifest.attempts:
            if attempt.batch_id not in self.ended:
                self.ended[attempt.batch_id] = await self._look(attempt)
        gathered = await gather(
            self._client,
            [self.ended[attempt.batch_id] for attempt in manifest.attempts],
            manifest.rows,
            self._files.results,
            self._on_outcome,
            digests=self._rows.digests(manifest.rows),
            before=self._gathered_before(manifest),
            beside=[self._files.cached, self._files.online],
            repeats=self._rows.repeats,
            counted=[attempt.counted for attempt in manifest.attempts],
            refused={
                job_id: words
                for attempt in manifest.attempts
                for job_id, words in attempt.refusals.items()
            },
        )
        self._gathered = gathered
        return BatchResults(
            gathered.index,
            gathered.snapshots,
            gathered.arrivals,
            UnsentCounts(len(self._rows.repeats), manifest.unsent.cached),
            late.usage(),
        )

    def _gathered_before(self, manifest: Manifest) -> Gathered | None:
        """Return what was gathered of the attempts before the last ones, if that still holds.

        Under a budget there are many attempts, and each ends alone: reading all of them again
        each time would take time by the square of their number.
        """
        before = self._gathered
        if before is None or not before.is_settled or self._files.online.exists():
            return None
        ids = [attempt.batch_id for attempt in manifest.attempts]
        known = [snapshot.batch_id for snapshot in before.snapshots]
        return before if len(known) < len(ids) and ids[: len(known)] == known else None

    def settle(self, manifest: Manifest, results: BatchResults) -> Manifest:
        """Write down what the attempts have cost whose results are here, and are all there are."""
        budget = self._options.budget
        if budget is None or all(each.charge for each in manifest.attempts):
            return manifest
        settled = tuple(
            replace(each, charge=self._charge_of(number, each, ended, manifest.rows))
            if each.charge is None and not arrival.is_short
            else each
            for number, (each, ended, arrival) in enumerate(
                zip(manifest.attempts, results.snapshots, results.arrivals, strict=True)
            )
        )
        manifest = self._files.save(replace(manifest, attempts=settled))
        left = budget.left(charges(manifest.attempts)).quantize(Decimal("0.0001"), ROUND_DOWN)
        logger.info("Of max_cost, $%s, at least $%s is left.", f"{budget.most:f}", f"{left:f}")
        return manifest

    def fits(self, manifest: Manifest) -> bool:
        """Tell whether any job may begin that waits for the budget."""
        if not manifest.pending:
            return False
        wave, _ = self._next_wave(manifest)
        return wave is not None

    def release(self, manifest: Manifest) -> Manifest:
        """Write down a further attempt, at rows that have waited for the budget."""
        wave, pending = self._next_wave(manifest)
        assert wave is not None
        waiting = sum(job.rows for job in pending)
        logger.info(
            "The budget allows %s; %s still %s.",
            wave.batch_id,
            number(waiting, "row"),
            form(waiting, "waits", "wait"),
        )
        return self._files.save(with_wave(manifest.with_stage(Stage.COLLECTED), wave, pending))

    async def plan_retry(
        self,
        manifest: Manifest,
        results: BatchResults,
        rerun: Rerun,
        *,
        may_continue: bool = True,
    ) -> Manifest | None:
        """Write down a further attempt, at the rows that are open; None where no job fits."""
        manifest = self._files.save(manifest.with_stage(Stage.COLLECTED))
        logger.info("%s: %s. Running the rest again.", manifest.last.batch_id, results.index.counts)
        # What a continuation runs is the service's to say: with a key it has to be sure that no
        # other machine runs the same rows under another id; under a budget, what they can cost.
        budget, key = self._options.budget, self._options.key
        is_one = manifest.pass_begins_at == len(manifest.attempts) - 1
        may_continue = may_continue and is_one and budget is None and key is None
        again = self._options.again if rerun.rejected else None
        further, jobs = await self._rows.spool_retry(
            manifest, results, rerun, again, may_continue=may_continue
        )
        wave: Attempt | None = Attempt(further, jobs)
        pending: tuple[PlannedJob, ...] = ()
        if jobs[0].continues is not None:  # at the most it does all rows of that job again
            before = manifest.last.jobs[0]
            wave = Attempt(further, (replace(jobs[0], most=before.most, largest=before.largest),))
        elif budget is not None:
            stem = stem_of(manifest.attempts[0].batch_id)
            wave, pending = next_wave(
                shards_of(jobs), manifest.attempts, budget, stem, whole=key is not None
            )
        if wave is None:
            self._files.remove_spool()
            return None
        wave = replace(
            wave,
            unanswered=rerun.unanswered,
            rejected=rejected_to_run(results.index, again),
            rules=self._options.rules,
        )
        return self._files.save(with_wave(manifest, wave, pending))

    async def rows_over_budget(self, manifest: Manifest) -> list[int]:
        """Return the rows that were never sent, since the budget did not allow it."""
        if not manifest.pending or manifest.pass_begins_at > 0:
            return []  # those of a later pass were sent before
        paths = await self._spooled(manifest, manifest.pending)
        return [index for path in paths for index in indexes_in(path)]

    def _charge_of(self, number: int, attempt: Attempt, ended: Snapshot, rows: int) -> Charge:
        return charge_of(attempt, ended, self._files.results / str(number), rows)

    def _next_wave(self, manifest: Manifest) -> tuple[Attempt | None, tuple[PlannedJob, ...]]:
        return next_wave(
            manifest.pending,
            manifest.attempts,
            self._options.budget,
            stem_of(manifest.attempts[0].batch_id),
            manifest.pass_begins_at,
            whole=self._options.key is not None,
        )

    def _require_room(self, manifest: Manifest) -> None:
        """Refuse to create jobs that do not fit any more: the budget may be a smaller one now."""
        budget = self._options.budget
        if budget is None or (left := budget.left(charges(manifest.attempts))) >= 0:
            return
        raise OverBudgetError(
            f"Batch {manifest.last.batch_id} was about to begin under a larger max_cost. It and "
            f"what was spent before may cost ${budget.most - left:f}, and max_cost is "
            f"${budget.most:f}. Nothing more was sent; the same command with a higher max_cost "
            "goes on."
        )

    async def _look(self, attempt: Attempt) -> Snapshot:
        if not attempt.jobs:
            return Snapshot(attempt.batch_id, ())
        try:
            return await take_snapshot(self._client, attempt.batch_id, attempt.refusals)
        except NotFoundError:
            return lost_snapshot(self._client, attempt.batch_id)

    async def _without_any_job(
        self, manifest: Manifest, jobs: list[PlannedJob], refusal: CreationRefusedError
    ) -> Manifest:
        """Go on after a refusal of a whole attempt: nothing of it runs, and nothing was paid."""
        before = manifest.without_last()
        if jobs[0].continues is not None:
            results = await self.fetch(before)
            rerun = _rerun_of(manifest.last)
            again = await self.plan_retry(before, results, rerun, may_continue=False)
            assert again is not None  # under a budget nothing is continued
            return again
        await withdraw(self._client, jobs, ())
        if not before.attempts:
            self._files.forget()
            raise refusal.reason
        return self._files.save(before.with_stage(Stage.ENDED))

    async def _with_paths(self, manifest: Manifest) -> list[PlannedJob]:
        """Return the last attempt's jobs with their files, written anew where a crash took them."""
        jobs = manifest.last.jobs
        paths = await self._spooled(manifest, jobs)
        return [replace(job, path=path) for job, path in zip(jobs, paths, strict=True)]

    async def _spooled(self, manifest: Manifest, jobs: Sequence[PlannedJob]) -> list[Path]:
        """Return the files of jobs of the last pass, written anew where a crash took them."""
        folder = self._files.spool(manifest.pass_begins_at)
        places = (place if job.shard is None else job.shard for place, job in enumerate(jobs))
        paths = [folder / shard_name(place) for place in places]
        needs = [(job, path) for job, path in zip(jobs, paths, strict=True) if not job.continues]
        if not all(_is_whole(path, job.size) for job, path in needs):
            await self._spool_again(manifest)
        return paths

    async def _spool_again(self, manifest: Manifest) -> None:
        """Write the requests of the last pass anew, as they were."""
        last = manifest.last
        if manifest.pass_begins_at == 0:
            await self._rows.spool_again(manifest)  # that they are the same was seen before
            return
        before = manifest.before_pass
        results = await self.fetch(before)
        if results.shortfall is not None:
            raise BatchError(
                f"The requests of {last.batch_id} have to be written anew, and answers are "
                f"missing for it: {ended(results.shortfall)} Run again later."
            )
        _, planned = await self._rows.spool_retry(
            before, results, _rerun_of(last), self._options.again, may_continue=False
        )
        if [job.digest for job in planned] != [job.digest for job in manifest.jobs_of_pass]:
            if last.rejected and last.rules != self._options.rules:
                raise RunMismatchError(
                    f"accept or on_reject were others when the rows of {last.batch_id} were "
                    "chosen to be run again, and they are not sent yet. Run it once more with the "
                    "options as they were."
                )
            raise RunMismatchError(
                f"The rows to run again are not those that {self._files.manifest_path} speaks of."
            )


def _rerun_of(attempt: Attempt) -> Rerun:
    """Return which rows a further attempt was planned with."""
    return Rerun(attempt.unanswered, attempt.rejected > 0)


def _is_whole(path: Path, size: int) -> bool:
    """Tell whether a file is there and has not lost its end to a crash of the machine."""
    return path.exists() and path.stat().st_size == size
