"""A batch's rows out of Oumi conversations. Light: the command line uses it, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import Answer, Outcome
from oumi_fireworks.conversion import RequestTemplate, check_conversation, to_conversation
from oumi_fireworks.errors import ConversionError, RowError

_ANY_CONVERSATION = Conversation(messages=[])


def request_rows(
    conversations: Iterable[Conversation], template: RequestTemplate
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each conversation's index and request body.

    Raises:
        RowError: If a conversation cannot be sent; the message names it.
    """
    for index, conversation in enumerate(conversations):
        try:
            check_conversation(conversation, index)
            body = template.body(conversation)
        except ValueError as error:
            raise RowError(str(error), index) from error
        yield index, body


def why_unreadable(outcome: Outcome) -> str | None:
    """Say why an answer cannot be read as a conversation; None where it can."""
    if isinstance(outcome, Answer):
        try:
            to_conversation(outcome.completion, _ANY_CONVERSATION)
        except ConversionError as error:
            return str(error)
    return None
