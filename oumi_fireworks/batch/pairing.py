"""Results go only beside the prompt that was sent.

The id of each row carries the digest of its prompt (:class:`~oumi_fireworks.batch.requests.RowId`,
:mod:`oumi_fireworks.prompts`), and comes back with the answer. So each line of a result file says
which prompt it answers, on any machine, without a further call.

Oumi's own engine and earlier versions of this package gave ids without a digest. Then the input
dataset shows it, as long as the service has it; and where nothing does, results are refused unless
the caller takes the responsibility.

An input may hold lines that were left out when it was submitted (``--skip-bad``). Which ones is
worked out from the digests too, not decided a second time: a picture may be gone since, and
another version may judge a line differently. A run has also left out rows that repeat others, whose
ids are those of their places in the input: so its results show which lines it has sent.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.inputs import JobInput, collect_inputs, read_requests
from oumi_fireworks.batch.outcomes import RowState
from oumi_fireworks.batch.repeats import FirstRows, Repeats
from oumi_fireworks.batch.results import Mismatches, ResultIndex, readable_lines
from oumi_fireworks.batch.snapshot import Snapshot
from oumi_fireworks.errors import PairingError
from oumi_fireworks.grammar import form, number
from oumi_fireworks.prompts import outline_of_request

_UNKNOWN = 0
"""Stands for a digest that no result line has told."""


class Prompts(Protocol):
    """The prompts that results are asked for, in the order of the input."""

    @property
    def digests(self) -> Sequence[int]:
        """The digest of each."""

    def outlines(self) -> Iterator[int]:
        """Yield the outline of each; asked for only where ids have no digests."""

    def keys(self) -> Iterator[bytes]:
        """Yield for each the same 16 bytes as for all that ask the same."""

    def describe(self, row: int) -> str:
        """Say which one it is, for people: ``in.jsonl:5``."""


def digests_in(files: Iterable[Path], rows: int) -> Sequence[int]:
    """Return the digest of each row that result files tell of, 0 for the others.

    Args:
        files: The result files.
        rows: How many rows the batch has.
    """
    digests = array("Q", bytes(8 * rows))
    for file in files:
        for _, outcome in readable_lines(file, rows):
            if outcome.digest is not None:
                digests[outcome.index] = outcome.digest
    return digests


def find_sent(candidates: Sequence[int], refused: Sequence[int], sent: Sequence[int]) -> bytearray:
    """Find out which lines of an input were sent, when some were left out.

    Those that were sent are a part of the candidates, in the same order. A row in no result file
    may be any candidate between its neighbours: it has no answer to be put beside the wrong one.
    Of those, the ones that we would send today are taken.

    Args:
        candidates: The digest of each line that may have been sent.
        refused: For each of them, whether we would refuse it today.
        sent: The digest of each row of the batch, 0 where it is not known.

    Returns:
        For each candidate, 1 if it was sent.

    Raises:
        LookupError: If the rows are not a part of the candidates. Its argument is the row that
            is not found.
    """
    chosen = bytearray(len(candidates))
    start = waiting = 0

    def choose(end: int) -> None:
        """Give the rows that wait for a candidate one each, of those before ``end``."""
        free = range(start, end)
        best = sorted(free, key=lambda place: bool(refused[place]))[:waiting]
        for place in best:
            chosen[place] = 1

    for row, digest in enumerate(sent):
        if digest == _UNKNOWN:
            waiting += 1
            continue
        place = start + waiting
        while place < len(candidates) and candidates[place] != digest:
            place += 1
        if place >= len(candidates):
            raise LookupError(row)
        choose(place)
        chosen[place] = 1
        start, waiting = place + 1, 0
    if len(candidates) - start < waiting:
        raise LookupError(len(sent) - waiting)
    choose(len(candidates))
    return chosen


def repeats_of_run(
    files: Iterable[Path], prompts: Prompts, sent: int, *, are_several: bool
) -> Repeats | None:
    """Find out which rows of its input a run did not send, since an earlier one asks the same.

    The id of each row is its place among all rows of such a run, those that were not sent included.

    Args:
        files: The result files.
        prompts: All rows that the run was given, as is believed.
        sent: How many rows its first batch has.
        are_several: Whether the files are of more batches than that one.

    Returns:
        The rows; None where the batch was not made like this, or not of these prompts.
    """
    digests = prompts.digests
    told = digests_in(files, len(digests))
    pairs = zip(told, digests, strict=True)
    if not any(told) or any(known and known != digest for known, digest in pairs):
        return None
    repeats = _find_repeats(prompts.keys(), told)
    # A run under a budget has sent its rows in several batches.
    is_part = are_several and any(told[sent:])
    return repeats if is_part or (repeats and len(digests) - len(repeats) == sent) else None


def require_no_repeats(files: Iterable[Path], rows: int, batch_id: str, sent: int) -> None:
    """Refuse other rows than a run was given that has left some out, as the ids of others show.

    Args:
        files: The result files.
        rows: How many rows there are.
        batch_id: The batch.
        sent: How many rows it has.

    Raises:
        PairingError: If there are such ids.
    """
    if any(digests_in(files, rows)[sent:]):
        raise PairingError(
            f"The input is not what was submitted as batch {batch_id}, which has "
            f"{number(sent, 'row')}, not all of those that its run was given: it left out rows "
            "that repeat others. Name what was submitted, all of it, in its order. Rows that an "
            "answer cache knew are in no batch: the command that began the run has them."
        )


def _find_repeats(keys: Iterable[bytes], told: Sequence[int]) -> Repeats:
    """Find out which rows of an input a run did not send, since an earlier one asks the same.

    A row that results tell of was sent. Where it asks what an earlier one asks, all rows that ask
    this were.

    Args:
        keys: For each row the same 16 bytes as for all that ask the same.
        told: For each row, whether results tell of it.
    """
    first_rows, candidates = FirstRows(), Repeats()
    each_was_sent: set[int] = set()
    for row, key in enumerate(keys):
        first = first_rows.first(key, row)
        if first is None:
            continue
        if told[row]:
            each_was_sent.add(first)
        else:
            candidates.add(row, first)
    repeats = Repeats()
    for row, first in candidates:
        if first not in each_was_sent:
            repeats.add(row, first)
    return repeats


async def require_own_prompts(
    client: FireworksClient,
    batch: Snapshot,
    index: ResultIndex,
    prompts: Prompts,
    folder: Path,
    *,
    unchecked: bool = False,
) -> None:
    """Refuse results of other prompts than those that are asked about.

    Args:
        client: The account.
        batch: The batch that holds all rows.
        index: Its results, read with the digests of the prompts.
        prompts: What the caller believes was sent.
        folder: Where to put the batch's input, should it be needed.
        unchecked: Whether to believe the caller where nothing shows it.

    Raises:
        PairingError: With the row that differs.
    """
    if index.mismatches.lines:
        raise _differing(batch.batch_id, index.mismatches, prompts)
    if not index.unnamed or unchecked:
        return
    files = await collect_inputs(client, batch.jobs, folder)
    if files is None:
        raise PairingError(
            f"Nothing shows whether these are the prompts of batch {batch.batch_id}: the ids of "
            "its rows carry no digest, as when another client has made it, and Fireworks no "
            "longer gives back its input. If you are sure that the input is the one that was "
            "submitted, line by line, say --unchecked (in Python unchecked=True)."
        )
    mismatches = _compare(files, index, prompts)
    if mismatches.lines:
        raise _differing(batch.batch_id, mismatches, prompts)


def _compare(files: Iterable[JobInput], index: ResultIndex, prompts: Prompts) -> Mismatches:
    """Compare a batch's input with the prompts; rows without an outcome do not matter."""
    outlines = array("Q", prompts.outlines())
    is_same = bytearray(len(outlines))
    for name, body in read_requests(files):
        if name.index < len(outlines) and outline_of_request(body) == outlines[name.index]:
            is_same[name.index] = 1
    mismatches = Mismatches()
    for row, same in enumerate(is_same):
        if not same and index.state(row) is not RowState.MISSING:
            mismatches.add(row)
    return mismatches


def _differing(batch_id: str, mismatches: Mismatches, prompts: Prompts) -> PairingError:
    row, others = mismatches.first or 0, mismatches.lines - 1
    more = f", and so {form(others, 'is', 'are')} {others:,} more" if others else ""
    return PairingError(
        f"{prompts.describe(row)} is not what was sent as row {row} of batch {batch_id}{more}. An "
        "answer is only put beside the prompt that it was given to: name the input that was "
        "submitted, all of it, in the same order. The answers by themselves, with the ids of "
        f"their rows: `oumi-fireworks batch results {batch_id}`.",
        row,
    )
