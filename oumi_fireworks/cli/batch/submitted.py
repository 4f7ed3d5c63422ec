"""Which lines of an input a batch was made of, known by the ids of its rows."""

from __future__ import annotations

from array import array

from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch.fetch import Downloads
from oumi_fireworks.batch.pairing import digests_in, find_sent
from oumi_fireworks.conversion import check_conversation, prompt_digest
from oumi_fireworks.errors import PairingError
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.submitted_prompts import SubmittedPrompts


def find_submitted(reader: ConversationReader, downloads: Downloads) -> SubmittedPrompts:
    """Find out which lines of an input were sent, and let the reader know.

    Args:
        reader: The input.
        downloads: The results of the batch.

    Raises:
        PairingError: If the batch cannot have been made of this input.
    """
    batch = downloads.snapshots[0]
    candidates = reader.candidates(prompt_digest, _check)
    lines = len(candidates.digests)
    rows = batch.progress.total or lines
    if lines < rows:
        raise PairingError(
            f"The input has {lines:,} conversations, and batch {batch.batch_id} has {rows:,} rows: "
            "it is not what was submitted. Name all of its files, in the same order."
        )
    if lines == rows:
        reader.take(bytes([1]) * lines)
        return SubmittedPrompts(reader, candidates.digests)
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
            f"The input has {chosen.count(1):,} conversations that can be sent, and batch "
            f"{batch.batch_id} has {rows:,} rows: it is not what was submitted."
        )
    reader.take(chosen)
    digests = (
        digest for digest, is_sent in zip(candidates.digests, chosen, strict=True) if is_sent
    )
    return SubmittedPrompts(reader, array("Q", digests))


def _check(conversation: Conversation) -> None:
    """Refuse what would be refused whatever has become of the pictures."""
    check_conversation(conversation, with_images=False)
