"""A batch's rows out of Oumi conversations. Light: the command line uses it, too."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import Answer, Outcome, Request
from oumi_fireworks.conversion import (
    Cautions,
    Prompt,
    name_of,
    prompt_digest,
    prompt_key,
    prompt_of,
    prompt_outline,
)
from oumi_fireworks.conversion import why_unreadable as why_no_conversation
from oumi_fireworks.errors import RowError
from oumi_fireworks.grammar import ended
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


def request_rows(
    conversations: Iterable[Conversation],
    body_of: Callable[[Prompt], Mapping[str, Any]],
    needed: Callable[[int], bool] | None = None,
) -> Iterator[Request]:
    """Yield the row of each conversation. What the user should know of them is logged at the end.

    Args:
        conversations: The conversations.
        body_of: Makes the request of what one asks.
        needed: Tells whether the row at a position is; None for all.

    Raises:
        RowError: If a conversation cannot be sent; the message names it.
    """
    cautions = Cautions()
    for index, conversation in enumerate(conversations):
        if needed is not None and not needed(index):
            continue
        prompt = prompt_of(conversation)
        try:
            prompt.check(index)
        except ValueError as error:
            raise RowError(str(error), index) from error
        try:
            body = body_of(prompt)
        except ValueError as error:
            name = name_of(conversation, index)
            raise RowError(f"{name}: {ended(error)}", index) from error
        if (said := prompt.caution()) is not None:
            cautions.add(said, name_of(conversation, index))
        yield Request(index, body, prompt.digest())
    for line in cautions.lines():
        logger.warning(line)


class AskedPrompts:
    """The prompts of conversations, to compare with what was sent.

    Args:
        conversations: In the order in which they are believed to have been submitted.
    """

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        self._conversations = conversations
        self.digests = array("Q", map(prompt_digest, conversations))

    def outlines(self) -> Iterator[int]:
        """Yield the outline of each."""
        return map(prompt_outline, self._conversations)

    def keys(self) -> Iterator[bytes]:
        """Yield for each the same 16 bytes as for all that ask the same."""
        return (prompt_key(each, {}) for each in self._conversations)

    def describe(self, row: int) -> str:
        """Name one by its place, and by its id where it has one."""
        return name_of(self._conversations[row], row)


def why_unreadable(outcome: Outcome) -> str | None:
    """Say why an answer cannot be read as a conversation; None where it can."""
    return why_no_conversation(outcome.completion) if isinstance(outcome, Answer) else None
