"""The prompts of an input's rows that were sent, to compare with what a batch was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oumi_fireworks.conversion import prompt_key, prompt_outline
from oumi_fireworks.errors import Problem
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow


class SubmittedPrompts:
    """The prompts of an input's rows that were sent.

    Args:
        reader: The input, which knows what was sent of it.
        digests: The digest of each of those rows.
    """

    def __init__(self, reader: ConversationReader, digests: Sequence[int]) -> None:
        self._reader = reader
        self.digests = digests

    def outlines(self) -> Iterator[int]:
        """Yield the outline of each."""
        for item in self._reader.conversations():
            if not isinstance(item, Problem):
                yield prompt_outline(item)

    def keys(self) -> Iterator[bytes]:
        """Yield for each the same 16 bytes as for all that ask the same."""
        for item in self._reader.sent_rows():
            if not isinstance(item, LeftOutRow):
                yield prompt_key(item.row.conversation(), item.row.parameters())

    def describe(self, row: int) -> str:
        """Name one by its place."""
        return str(self._reader.place(row))
