"""Fetching results until they agree with what was counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.collect import CollectedFiles, collect
from oumi_fireworks.batch.decide import Arrival, counts_are_final, should_fetch_again
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.batch.results import OnOutcome, ResultIndex
from oumi_fireworks.batch.snapshot import Snapshot, take_snapshot
from oumi_fireworks.errors import NotFoundError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


@dataclass(frozen=True)
class Gathered:
    """The results of a batch and of further attempts at its rows, on the disk.

    Attributes:
        index: The outcome of every row.
        snapshots: The attempts as they ended, oldest first.
        arrivals: How the answers here compare with what was counted, by attempt.
        collected: The files of each attempt.
    """

    index: ResultIndex
    snapshots: tuple[Snapshot, ...]
    arrivals: tuple[Arrival, ...]
    collected: tuple[CollectedFiles, ...]

    @property
    def is_settled(self) -> bool:
        """Whether nothing more of these attempts can arrive."""
        return all(each.is_final and not each.is_short for each in self.arrivals)


async def gather(
    client: FireworksClient,
    snapshots: Sequence[Snapshot],
    rows: int,
    folder: Path,
    on_outcome: OnOutcome | None = None,
    *,
    digests: Sequence[int] | None = None,
    collected: Sequence[CollectedFiles] | None = None,
    before: Gathered | None = None,
    counted: Sequence[int] = (),
    refused: Mapping[str, str] | None = None,
    durable: bool = True,
    stop_at_mismatches: bool = False,
    beside: Sequence[Path] = (),
    repeats: Repeats | None = None,
) -> Gathered:
    """Fetch the results of batches that have ended, and merge them.

    Results may appear later than the state that announces them. While a batch counts more answers
    than are here they are listed and fetched again, for as long as
    :attr:`~oumi_fireworks.api.Consistency.results_timeout` says.

    Args:
        client: The account.
        snapshots: The batch, then further attempts at its rows, as they ended.
        rows: How many rows the batch has.
        folder: Gets a folder for each attempt.
        on_outcome: Told about each outcome, in another thread, and anew whenever more has
            arrived; may refuse an answer.
        digests: The digest of each row's prompt, to leave out lines that are for another one.
        collected: The files of each attempt, where they were fetched before.
        before: The results of the first of these attempts, where they were gathered before and are
            settled: they are neither listed nor read again. Its index is gone on with.
        counted: What was known before to be counted, by attempt.
        refused: Jobs that were never created: they have no results.
        durable: Whether the files have to outlast a crash of the machine.
        stop_at_mismatches: Whether there is nothing to wait for when lines are for other prompts.
        beside: Files with outcomes of rows that no batch was asked for.
        repeats: Rows that were not sent, since another one asks the same.
    """
    loop = asyncio.get_running_loop()
    begun, consistency = loop.time(), client.connection.consistency
    backoff = Backoff(
        first=min(1.0, consistency.results_timeout / 20),
        bound=min(30.0, max(consistency.results_timeout / 10, 0.001)),
    )
    seen = list(snapshots)
    known = [*counted, *([0] * (len(seen) - len(counted)))]
    done = 0 if before is None else len(before.snapshots)
    short = set(range(done, len(seen)))
    fetched = list(collected or ([] if before is None else before.collected))
    has_told = False
    while True:
        for number in sorted(short) if collected is None or has_told else ():
            place = folder / str(number)
            files = await _collect(client, seen[number], place, durable, has_told, refused)
            fetched[number : number + 1] = [files]
        if before is None or has_told:
            index = ResultIndex(rows, digests, on_outcome, repeats)
            arrived = await asyncio.to_thread(_read, index, beside, fetched)
        else:
            index = before.index
            arrived = [each.arrived for each in before.arrivals]
            arrived += await asyncio.to_thread(_read, index, (), fetched[done:])
        arrivals = tuple(
            _arrival(each, at_least, here, files.unfetched)
            for each, at_least, here, files in zip(seen, known, arrived, fetched, strict=True)
        )
        waited = loop.time() - begun
        counts = index.counts
        is_hopeless = stop_at_mismatches and index.mismatches.lines > 0
        open_rows = counts.failed + counts.missing
        if is_hopeless or not should_fetch_again(arrivals, open_rows, waited, consistency):
            return Gathered(index, tuple(seen), arrivals, tuple(fetched))
        short = {
            number for number, each in enumerate(arrivals) if each.is_short or not each.is_final
        }
        if not has_told:
            for number in sorted(short):
                logger.warning("Results are late: %s. Fetching again.", arrivals[number])
            has_told = True
        await asyncio.sleep(backoff.next())
        for number in short:
            seen[number] = await _look_again(client, seen[number], refused)


async def _collect(
    client: FireworksClient,
    snapshot: Snapshot,
    folder: Path,
    durable: bool,
    again: bool,
    refused: Mapping[str, str] | None,
) -> CollectedFiles:
    jobs = [job for job in snapshot.jobs if job.id not in (refused or {})]
    ids = [job.id for job in jobs] if again else []
    return await collect(client, jobs, folder, durable=durable, again=ids)


def _read(
    index: ResultIndex,
    beside: Sequence[Path],
    fetched: Sequence[CollectedFiles],
) -> list[int]:
    """Merge all outcomes; return how many rows of each attempt have their answer here."""
    arrived = []
    for path in beside:
        if path.exists():
            index.add(path)
    for each in fetched:
        index.begin_group()
        for path in each.files:
            index.add(path)
        arrived.append(index.arrived)
    return arrived


def _arrival(
    snapshot: Snapshot, at_least: int, arrived: int, unfetched: tuple[str, ...]
) -> Arrival:
    return Arrival(
        batch_id=snapshot.batch_id,
        counted=max(at_least, snapshot.progress.succeeded),
        arrived=arrived,
        is_final=all(counts_are_final(job) for job in snapshot.jobs),
        unfetched=unfetched,
    )


async def _look_again(
    client: FireworksClient, before: Snapshot, refused: Mapping[str, str] | None
) -> Snapshot:
    """Return a batch with counts that may have grown."""
    try:
        now = await take_snapshot(client, before.batch_id, refused)
    except NotFoundError:
        return before
    is_further = now.is_terminal and now.progress.processed >= before.progress.processed
    return now if is_further else before
