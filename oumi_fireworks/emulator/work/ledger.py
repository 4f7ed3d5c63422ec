"""The ledger: what a bill would be made out for, jobs that were deleted included."""

from __future__ import annotations

from dataclasses import dataclass

from oumi_fireworks.emulator.state.records import JobRecord, Tally
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.job_status import position_of, settle, tally_of
from oumi_fireworks.emulator.work.online_charge import OnlineCharge


@dataclass(frozen=True, slots=True)
class JobCharge:
    """What one job has used.

    Args:
        job: Its id. Ids can be used again after a removal, so it may occur more than once.
        model: Resource name of its model.
        rows: Input rows that ran, whether they succeeded or not.
        failed: Those that failed.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        cached_tokens: Tokens of their prompts that came from the cache.
        deleted: Whether the job is gone.
    """

    job: str
    model: str
    rows: int
    failed: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """What has been used so far.

    Args:
        jobs: The charges of all jobs, in the order in which the jobs came to be.
        online: What was answered online by the toy model, since this process began.
    """

    jobs: tuple[JobCharge, ...]
    online: OnlineCharge

    @property
    def rows(self) -> int:
        """Input rows of batches that ran, as often as they did."""
        return sum(charge.rows for charge in self.jobs)

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompts of those rows."""
        return sum(charge.input_tokens for charge in self.jobs)

    @property
    def output_tokens(self) -> int:
        """Tokens of the answers of those rows."""
        return sum(charge.output_tokens for charge in self.jobs)


def ledger_of(emulator: EmulatorState) -> Ledger:
    """Return what has been used so far."""
    with emulator.store.lock:
        settle(emulator)
        charges = {
            job.created_ns: _charge(job, job.tally or Tally(), deleted=True)
            for job in emulator.store.deleted_jobs
        }
        for job in emulator.store.jobs.values():
            tally = tally_of(emulator, job, position_of(emulator, job))
            charges[job.created_ns] = _charge(job, tally, deleted=False)
    return Ledger(tuple(charges[created] for created in sorted(charges)), emulator.online)


def _charge(job: JobRecord, tally: Tally, *, deleted: bool) -> JobCharge:
    return JobCharge(
        job=job.id,
        model=job.model,
        rows=tally.processed,
        failed=tally.failed,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cached_tokens=tally.cached_tokens,
        deleted=deleted,
    )
