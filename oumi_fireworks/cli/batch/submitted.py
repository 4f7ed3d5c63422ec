"""Which lines of an input a batch was made of, known by the ids of its rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import compress

from oumi_fireworks.batch.fetch import Downloads
from oumi_fireworks.batch.pairing import digests_in, find_repeats, find_sent
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.conversion import prompt_key
from oumi_fireworks.errors import PairingError
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.conversations import Candidates, ConversationReader, LeftOutRow
from oumi_fireworks.tables.submitted_prompts import SubmittedPrompts


def find_submitted(
    reader: ConversationReader, downloads: Downloads
) -> tuple[SubmittedPrompts, Repeats]:
    """Find out which lines of an input are rows of a batch, and let the reader know.

    Args:
        reader: The input.
        downloads: The results of the batch.

    Returns:
        The rows, and which of them were not sent since an earlier one asks the same.

    Raises:
        PairingError: If the batch cannot have been made of this input.
    """
    batch = downloads.snapshots[0]
    candidates = reader.candidates()
    lines = len(candidates.digests)
    rows = batch.progress.total or lines
    if lines < rows:
        raise PairingError(
            f"The input has {number(lines, 'conversation')}, and batch {batch.batch_id} has "
            f"{number(rows, 'row')}: "
            "it is not what was submitted. Name all of its files, in the same order."
        )
    if lines == rows:
        reader.take(bytes([1]) * lines)
        return SubmittedPrompts(reader, candidates.digests), Repeats()
    if (found := _with_repeats(reader, candidates, downloads, rows)) is not None:
        return found
    sent = digests_in(downloads.files, rows)
    try:
        if any(sent):
            chosen = find_sent(candidates.digests, candidates.refused, sent)
        else:
            chosen = bytearray(not refused for refused in candidates.refused)
    except LookupError as error:
        row = error.args[0]
        raise PairingError(
            f"No line of the input is what was sent as row {row} of batch {batch.batch_id}, at "
            "least not after the rows before it. Name what was submitted, all of it, in its order.",
            row,
        ) from error
    if chosen.count(1) != rows:
        raise PairingError(
            f"The input has {number(chosen.count(1), 'conversation')} that can be sent, and batch "
            f"{batch.batch_id} has {number(rows, 'row')}: it is not what was submitted."
        )
    reader.take(chosen)
    digests = (
        digest for digest, is_sent in zip(candidates.digests, chosen, strict=True) if is_sent
    )
    return SubmittedPrompts(reader, array("Q", digests)), Repeats()


def _with_repeats(
    reader: ConversationReader, candidates: Candidates, downloads: Downloads, sent: int
) -> tuple[SubmittedPrompts, Repeats] | None:
    """Read the input as a run did that left out rows that repeat others.

    The id of each row is its place among all rows of such a run, those that were not sent included.

    Args:
        reader: The input.
        candidates: Its lines.
        downloads: The results.
        sent: How many rows the batch has.

    Returns:
        As :func:`find_submitted`; None where the batch was not made like this.

    Raises:
        PairingError: If it was, and not of this input.
    """
    lines = len(candidates.digests)
    sendable = bytes(not refused for refused in candidates.refused)
    for chosen in dict.fromkeys((sendable, bytes([1]) * lines)):
        digests = array("Q", compress(candidates.digests, chosen))
        told = digests_in(downloads.files, len(digests))
        pairs = zip(told, digests, strict=True)
        if not any(told) or any(known and known != digest for known, digest in pairs):
            continue
        reader.take(chosen)
        repeats = find_repeats(_keys(reader), told)
        # A run under a budget has sent its rows in several batches.
        is_part = len(downloads.snapshots) > 1 and any(told[sent:])
        if is_part or (repeats and len(digests) - len(repeats) == sent):
            return SubmittedPrompts(reader, digests), repeats
    if any(digests_in(downloads.files, lines)[sent:]):
        batch_id = downloads.snapshots[0].batch_id
        raise PairingError(
            f"The input is not what was submitted as batch {batch_id}, which has "
            f"{number(sent, 'row')}, "
            "not all of those that its run was given: it left out rows that repeat others. Name "
            "what was submitted, all of it, in its order. Rows that an answer cache knew are in no "
            "batch: the command that began the run has them."
        )
    return None


def _keys(reader: ConversationReader) -> Iterator[bytes]:
    for item in reader.sent_rows():
        if not isinstance(item, LeftOutRow):
            yield prompt_key(item.row.conversation(), item.row.parameters())
