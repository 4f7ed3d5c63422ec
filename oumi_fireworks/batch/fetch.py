"""The results of batches that have ended, merged over all attempts at the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.arrival import gather
from oumi_fireworks.batch.collect import CollectedFiles, collect
from oumi_fireworks.batch.decide import Arrival, is_conclusive
from oumi_fireworks.batch.failures import FailureSummary
from oumi_fireworks.batch.outcomes import Failure, Missing, OverBudget, Rejected
from oumi_fireworks.batch.pairing import (
    Prompts,
    repeats_of_run,
    require_no_repeats,
    require_own_prompts,
)
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.batch.results import OnOutcome, ResultIndex, RowCounts
from oumi_fireworks.batch.snapshot import Snapshot, take_snapshot
from oumi_fireworks.batch.unsent import UnsentCounts
from oumi_fireworks.errors import NotFinishedError
from oumi_fireworks.grammar import number
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Budget, Usage

logger = logger_for(__name__)


@dataclass(frozen=True)
class BatchResults:
    """What a batch has brought to the local disk.

    Attributes:
        index: The outcome of every row, merged over all attempts.
        snapshots: Each attempt as it ended, oldest first.
        arrivals: How the answers here compare with those that each attempt counts.
        unsent: How many rows were not sent: they have their outcomes all the same.
        online: The tokens of the answers that came online, after a deadline.
        held_by: The budget that keeps open rows from being run; None where none does.
    """

    index: ResultIndex
    snapshots: tuple[Snapshot, ...]
    arrivals: tuple[Arrival, ...] = ()
    unsent: UnsentCounts = field(default_factory=UnsentCounts)
    online: Usage = field(default_factory=Usage)
    held_by: Budget | None = None

    @property
    def shortfall(self) -> str | None:
        """What was paid for and is not here, in words; None when all is."""
        return "; ".join(str(arrival) for arrival in self.arrivals if arrival.is_short) or None

    @property
    def is_over(self) -> bool:
        """Whether a run of it may be forgotten once these results are delivered.

        Not while answers are missing that were counted, nor while a budget holds rows back, nor
        when nothing has come of it and Fireworks does not say why, neither of each row nor of the
        jobs.
        """
        if self.shortfall is not None or self.held_by is not None:
            return False
        counts = self.index.counts
        has_answers = counts.answered + counts.rejected > 0
        return has_answers or counts.missing == 0 or is_conclusive(self.snapshots)

    @property
    def batch_id(self) -> str:
        """The id of the first attempt, which is the batch's for people."""
        return self.snapshots[0].batch_id

    def message(self, outcome: Rejected | Failure | Missing) -> str:
        """Say why a row has no answer, in the service's words as far as it has any."""
        if isinstance(outcome, Rejected):
            return outcome.rejection.message
        if isinstance(outcome, Failure | OverBudget):
            return outcome.message
        last = self.snapshots[-1]
        reason = f": {last.error}" if last.error else ""
        return f"no result from {last.batch_id}, which ended as {last.state}{reason}"


def log_outcome(batch_id: str, tally: RowCounts, failures: FailureSummary) -> None:
    """Log how a batch went: the counts once, and a line for each kind of failure."""
    logger.info("Batch %s: %s.", batch_id, tally)
    for line in failures.lines():
        logger.warning("Batch %s: %s", batch_id, line)


@dataclass(frozen=True)
class Downloads:
    """The result files of a batch, and of further attempts at its rows, on the local disk.

    Attributes:
        snapshots: Each attempt as it ended, oldest first.
        collected: The files of each attempt.
        folder: Where they are.
        durable: Whether they have to outlast a crash of the machine.
    """

    snapshots: tuple[Snapshot, ...]
    collected: tuple[CollectedFiles, ...]
    folder: Path
    durable: bool

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, those of earlier attempts first."""
        return tuple(file for each in self.collected for file in each.files)


async def download_results(
    client: FireworksClient, batch_ids: Sequence[str], folder: Path, *, durable: bool = True
) -> Downloads:
    """Download the result files of a batch, and of further attempts at its rows.

    Args:
        client: The account.
        batch_ids: The batch, then the further attempts, oldest first.
        folder: Where to put the files.
        durable: Whether the files have to outlast a crash of the machine.

    Raises:
        NotFinishedError: If one is still at work.
        FireworksError: If they cannot be fetched.
    """
    snapshots = [await take_snapshot(client, batch_id) for batch_id in batch_ids]
    for snapshot in snapshots:
        if not snapshot.is_terminal:
            raise NotFinishedError(
                f"Batch {snapshot.batch_id} has not ended yet ({snapshot.state}, "
                f"{snapshot.progress.processed:,} of {number(snapshot.progress.total, 'row')}). "
                "Wait for it with wait_for_batch, or `oumi-fireworks batch status "
                f"{snapshot.batch_id} --watch`."
            )
    collected = [
        await collect(client, snapshot.jobs, folder / str(number), durable=durable)
        for number, snapshot in enumerate(snapshots)
    ]
    return Downloads(tuple(snapshots), tuple(collected), folder, durable)


async def merge_results(
    client: FireworksClient,
    downloads: Downloads,
    rows: int,
    folder: Path,
    on_outcome: OnOutcome | None = None,
    *,
    prompts: Prompts | None = None,
    unchecked: bool = False,
    repeats: Repeats | None = None,
) -> BatchResults:
    """Merge result files into one outcome for each row.

    Files that have less than the batch counts are fetched again, see :func:`gather`.

    Args:
        client: The account.
        downloads: The files.
        rows: How many rows the batch has.
        folder: Where to put the batch's input, should it be needed to check the prompts.
        on_outcome: Told about each outcome, in another thread; may refuse an answer.
        prompts: What the caller will put the results beside; None if beside nothing.
        unchecked: Whether to believe the caller where nothing shows what was sent.
        repeats: Rows that were not sent; they have no outcome yet
            (:meth:`ResultIndex.share`).

    Raises:
        PairingError: If the prompts are not those that were sent.
    """
    gathered = await gather(
        client,
        downloads.snapshots,
        rows,
        downloads.folder,
        on_outcome,
        digests=None if prompts is None else prompts.digests,
        collected=downloads.collected,
        durable=downloads.durable,
        stop_at_mismatches=True,
        repeats=repeats,
    )
    if prompts is not None:
        first = gathered.snapshots[0]
        await require_own_prompts(
            client, first, gathered.index, prompts, folder, unchecked=unchecked
        )
    unsent = UnsentCounts(len(repeats or ()))
    return BatchResults(gathered.index, gathered.snapshots, gathered.arrivals, unsent)


async def fetch_results(
    client: FireworksClient,
    batch_ids: Sequence[str],
    rows: int,
    folder: Path,
    on_outcome: OnOutcome | None = None,
    *,
    durable: bool = True,
    prompts: Prompts | None = None,
    unchecked: bool = False,
) -> BatchResults:
    """Download the results of a batch, and of further attempts at its rows, and merge them.

    See :func:`download_results` and :func:`merge_results`, also for what is raised. Prompts show
    which rows a run did not send, since others ask the same.
    """
    downloads = await download_results(client, batch_ids, folder, durable=durable)
    declared, repeats = downloads.snapshots[0].progress.total, None
    if prompts is not None and 0 < declared < rows:
        files, are_several = downloads.files, len(batch_ids) > 1
        repeats = repeats_of_run(files, prompts, declared, are_several=are_several)
    if declared and declared != rows and repeats is None:
        # No more than a warning: what the service counts must not stand between rows and results.
        logger.warning(
            "Batch %s has %s, and results are asked for %s.",
            batch_ids[0],
            number(declared, "row"),
            f"{rows:,}",
        )
    results = await merge_results(
        client,
        downloads,
        rows,
        folder,
        on_outcome,
        prompts=prompts,
        unchecked=unchecked,
        repeats=repeats,
    )
    if prompts is not None and 0 < declared < rows and repeats is None:
        require_no_repeats(downloads.files, rows, batch_ids[0], declared)
    return results
