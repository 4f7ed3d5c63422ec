"""Which lines of an input a batch was made of, known by the ids of its rows."""

from __future__ import annotations

from array import array
from itertools import compress

from oumi_fireworks.batch.fetch import Downloads
from oumi_fireworks.batch.pairing import digests_in, find_sent, repeats_of_run, require_no_repeats
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.errors import PairingError
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.conversations import Candidates, ConversationReader
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
        reader.take(chosen)
        prompts = SubmittedPrompts(reader, array("Q", compress(candidates.digests, chosen)))
        are_several = len(downloads.snapshots) > 1
        repeats = repeats_of_run(downloads.files, prompts, sent, are_several=are_several)
        if repeats is not None:
            return prompts, repeats
    require_no_repeats(downloads.files, lines, downloads.snapshots[0].batch_id, sent)
    return None
