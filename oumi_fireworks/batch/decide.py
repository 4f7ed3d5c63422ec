"""What a run does next: pure functions of what is written down and what has been seen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from oumi_fireworks.api import Consistency, Job, Phase
from oumi_fireworks.batch.manifest import Manifest, Stage
from oumi_fireworks.batch.results import RowCounts
from oumi_fireworks.batch.snapshot import GONE, Snapshot
from oumi_fireworks.grammar import number


class Step(Enum):
    """What a run does next."""

    SUBMIT = auto()
    """Create the datasets and jobs of the last attempt that do not exist yet."""
    WAIT = auto()
    """Wait until the last attempt has ended."""
    HALT = auto()
    """Stop what is at work, and wait until it has ended: the deadline has passed."""
    FETCH = auto()
    """Bring the results of all attempts to the disk."""
    RELEASE = auto()
    """Plan a further attempt at rows that have waited for the budget, as it allows them now."""
    HOLD = auto()
    """Hand over what is here, and keep the run: the budget allows no more."""
    RETRY = auto()
    """Plan a further attempt at the rows that are open."""
    ONLINE = auto()
    """Run the rows that are open online."""
    DELIVER = auto()
    """Hand over the results: nothing more is to be run."""
    STOP = auto()
    """Hand over what is here, and keep the run: more has been paid for than is here."""


@dataclass(frozen=True)
class Arrival:
    """How the answers on the disk compare with what a batch has counted.

    Attributes:
        batch_id: The batch.
        counted: Answered rows, as Fireworks counts them.
        arrived: Rows of it whose answers are on the disk.
        is_final: Whether the counts speak of every row, or can change no more.
        unfetched: Names of result files that are listed and cannot be fetched.
    """

    batch_id: str
    counted: int
    arrived: int
    is_final: bool = True
    unfetched: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether answers that were paid for are not here."""
        return self.arrived < self.counted or bool(self.unfetched)

    def __str__(self) -> str:
        files = f" (could not be fetched: {', '.join(self.unfetched)})" if self.unfetched else ""
        if not self.is_short and not self.is_final:
            return (
                f"batch {self.batch_id} has not counted all its rows yet, and the answers of "
                f"{self.arrived:,} are here"
            )
        return (
            f"batch {self.batch_id} counts {number(self.counted, 'answered row')}, and the answers "
            f"of {self.arrived:,} are here{files}"
        )


@dataclass(frozen=True)
class Findings:
    """What was found on the disk after fetching.

    Attributes:
        counts: The rows by outcome.
        last: The last pass, as it ended: all of its attempts together.
        is_short: Whether answers that were paid for are not here, and were waited for.
        rejected: Rejected rows that may be asked for again with other parameters.
        fits: Whether the budget allows any job now that has waited for it.
    """

    counts: RowCounts
    last: Snapshot
    is_short: bool
    rejected: int = 0
    fits: bool = False


@dataclass(frozen=True)
class Retries:
    """How often rows are run again in one round.

    Attributes:
        unanswered: Rows that failed or are missing.
        rejected: Rows whose answers do not hold.
    """

    unanswered: int
    rejected: int = 0


@dataclass(frozen=True)
class Rerun:
    """Which rows a further attempt runs.

    Attributes:
        unanswered: Whether those that failed or are missing, as they were sent before.
        rejected: Whether those whose answers do not hold, with other parameters.
    """

    unanswered: bool = False
    rejected: bool = False


ALL_OPEN = Rerun(unanswered=True, rejected=True)


def next_step(
    manifest: Manifest, retries: Retries, ended: Snapshot | None, findings: Findings | None
) -> Step:
    """Decide what a run does next.

    Args:
        manifest: What is written down.
        retries: How often open rows are run again in one round.
        ended: The last attempt as it was seen to end, in this process.
        findings: What was found on the disk, in this process.
    """
    stage = manifest.last.stage
    is_at_work = stage in (Stage.PLANNED, Stage.SUBMITTED)
    if manifest.is_overdue and is_at_work and ended is None:
        return Step.HALT
    if stage is Stage.PLANNED and not manifest.is_overdue:
        return Step.SUBMIT
    if stage is Stage.SUBMITTED and ended is None:
        return Step.WAIT
    if findings is None:
        return Step.FETCH
    if findings.is_short:
        return Step.STOP
    if manifest.is_overdue and not manifest.has_ended:
        is_open = findings.counts.failed + findings.counts.missing + findings.rejected > 0
        return Step.ONLINE if is_open else Step.DELIVER
    if stage is Stage.SUBMITTED or stage is Stage.COLLECTED:
        if manifest.pending and not was_stopped(findings.last):
            return Step.RELEASE if findings.fits else Step.HOLD
        return Step.RETRY if rows_to_run(manifest, retries, findings) != Rerun() else Step.DELIVER
    return Step.DELIVER


def seconds_left(manifest: Manifest, deadline: timedelta | None, now: float) -> float | None:
    """Return how long the batch may still take; None for ever.

    Args:
        manifest: What is written down.
        deadline: The option.
        now: Seconds since 1970.
    """
    if deadline is None or manifest.is_overdue or manifest.has_ended:
        return None
    return manifest.begun_at + deadline.total_seconds() - now


def rows_to_run(manifest: Manifest, retries: Retries, findings: Findings) -> Rerun:
    """Tell which open rows are run again, which costs money.

    A round is what one command or call allows: a pass over the open rows, and its retries. No
    crash begins another one. A rejected row is run again as often as on_reject says, whatever the
    round; and a further attempt at it may fail, as any may, and be retried.
    """
    number = manifest.passes_of_round
    is_new_round = manifest.round_begins_at > 0 and number == 0
    refused = {name for each in manifest.attempts for name in each.refusals}
    if not is_new_round and not is_worth_another_run(findings.last, refused):
        return Rerun()
    unanswered = findings.counts.failed + findings.counts.missing
    return Rerun(
        unanswered=unanswered > 0 and number <= retries.unanswered,
        rejected=findings.rejected > 0 and number <= retries.unanswered + retries.rejected,
    )


def was_stopped(snapshot: Snapshot) -> bool:
    """Tell whether somebody has cancelled a job: then nothing further is begun by itself."""
    return any(job.phase is Phase.CANCELLED for job in snapshot.jobs)


def is_worth_another_run(snapshot: Snapshot, refused: Collection[str] = ()) -> bool:
    """Tell whether rows that a batch left unanswered may succeed in a further job.

    Not when a job failed as a whole (its input is refused, and will be again), nor when somebody
    cancelled one. Rows of a job that was never created may.

    Args:
        snapshot: The batch, ended.
        refused: Ids of jobs that the service refused to create.
    """
    return all(
        job.phase in (Phase.COMPLETED, Phase.EXPIRED)
        for job in snapshot.jobs
        if job.id not in refused
    )


def can_be_continued(snapshot: Snapshot, unusable: int) -> bool:
    """Tell whether ``continuedFromJobName`` would run all unanswered rows, and only those.

    It runs "only unfinished/failed requests" (Fireworks' guide to batch inference). So it serves
    when a single job expired, whatever failed in it: then nothing is uploaded again. A row that
    the service takes for answered it would not run.

    Args:
        snapshot: The batch, ended.
        unusable: Rows that the service has answered with what is of no use.
    """
    return len(snapshot.jobs) == 1 and snapshot.phase is Phase.EXPIRED and not unusable


def counts_are_final(job: Job) -> bool:
    """Tell whether what an ended job counts speaks of all its rows, or of as many as there will be.

    A completed job has processed every row, and has one at least, so a count that says less is a
    read that is late, and so is no count at all.
    """
    return job.phase is not Phase.COMPLETED or job.progress.processed >= max(job.progress.total, 1)


def should_fetch_again(
    arrivals: Sequence[Arrival], open_rows: int, waited: float, consistency: Consistency
) -> bool:
    """Tell whether more results may still arrive.

    Args:
        arrivals: How the last fetch went, by attempt.
        open_rows: Rows without an answer.
        waited: Seconds since the first fetch.
        consistency: How long to wait.
    """
    is_late = any(arrival.is_short for arrival in arrivals)
    is_uncounted = open_rows > 0 and not all(arrival.is_final for arrival in arrivals)
    return (is_late or is_uncounted) and waited < consistency.results_timeout


def is_conclusive(snapshots: Sequence[Snapshot]) -> bool:
    """Tell whether Fireworks itself has said how every job ended, rather than nothing at all."""
    return all(job.state != GONE for snapshot in snapshots for job in snapshot.jobs)
