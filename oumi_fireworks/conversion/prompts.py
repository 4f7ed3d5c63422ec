"""What a row asks: in the form in which it is checked, sent and told from others.

Most rows are texts alone. What is sent of them is worked out once, from the JSON of a line or from
Oumi's model, and everything else is read off that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from oumi.core.types.conversation import Conversation, Role

from oumi_fireworks.conversion.digests import prompt_digest
from oumi_fireworks.conversion.images import check_images
from oumi_fireworks.conversion.messages import (
    caution,
    check_conversation,
    copied,
    ending_caution,
    message_bodies,
    tool_bodies,
)
from oumi_fireworks.prompts import digest_of_frames, framed

PLAIN_ROLES = {
    role.value: framed(f"{role.value}/1") for role in (Role.SYSTEM, Role.USER, Role.ASSISTANT)
}
"""Roles of messages that may be a text and nothing else (a tool's answer has the id of its call),
with what stands before such a text in a digest."""


class Prompt(Protocol):
    """What a row asks."""

    @property
    def conversation_id(self) -> str | None:
        """Its conversation's id; None without one."""

    def check(self, index: int | None = None, *, with_images: bool = True) -> None:
        """Refuse what Fireworks would refuse: see :func:`check_conversation`."""

    def messages(self) -> Sequence[dict[str, Any]]:
        """Return the message objects of its request.

        Raises:
            ValueError: An image cannot be read, or the images are too many or too large.
        """

    def tools(self) -> Sequence[dict[str, Any]]:
        """Return the tool objects of its request."""

    def digest(self) -> int:
        """Return its digest, 64 bits: see :func:`prompt_digest`."""

    def caution(self) -> str | None:
        """Return what a user should know of it, if it can be sent; None if nothing."""


class PlainPrompt:
    """Texts alone, at least one. There is nothing in them that Fireworks would refuse.

    Args:
        conversation_id: Its conversation's id, or None.
        messages: The message objects of its request: ``content``, and ``role``, which is one of
            :data:`PLAIN_ROLES`.
    """

    __slots__ = ("_messages", "conversation_id")

    def __init__(self, conversation_id: str | None, messages: list[dict[str, Any]]) -> None:
        self.conversation_id = conversation_id
        self._messages = messages

    def check(self, index: int | None = None, *, with_images: bool = True) -> None:
        """Refuse nothing."""

    def messages(self) -> Sequence[dict[str, Any]]:
        """Return the message objects of its request."""
        return self._messages

    def tools(self) -> Sequence[dict[str, Any]]:
        """Return none."""
        return ()

    def digest(self) -> int:
        """Return its digest."""
        return digest_of_frames(
            [f"{PLAIN_ROLES[each['role']]}{framed(each['content'])}" for each in self._messages]
        )

    def caution(self) -> str | None:
        """Return what a user should know of it."""
        return ending_caution(self._messages[-1]["role"])


class ModelPrompt:
    """Whatever Oumi's model holds: pictures, tools and their calls, reasoning.

    Args:
        conversation: The model.
    """

    __slots__ = ("_conversation",)

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def conversation_id(self) -> str | None:
        """Its conversation's id."""
        return self._conversation.conversation_id

    def check(self, index: int | None = None, *, with_images: bool = True) -> None:
        """Refuse what Fireworks would refuse."""
        check_conversation(self._conversation, index, with_images=with_images)

    def messages(self) -> Sequence[dict[str, Any]]:
        """Return the message objects of its request."""
        messages = message_bodies(self._conversation.messages)
        check_images(messages)
        return messages

    def tools(self) -> Sequence[dict[str, Any]]:
        """Return the tool objects of its request."""
        return tool_bodies(self._conversation.tools or ())

    def digest(self) -> int:
        """Return its digest."""
        return prompt_digest(self._conversation)

    def caution(self) -> str | None:
        """Return what a user should know of it."""
        return caution(self._conversation)


def prompt_of(conversation: Conversation) -> Prompt:
    """Return what a conversation asks."""
    if conversation.tools or not conversation.messages:
        return ModelPrompt(conversation)
    messages = []
    for message in conversation.messages:
        content, role = message.content, message.role._value_  # ``value`` takes five times as long
        if (
            not isinstance(content, str)
            or message.tool_calls
            or message.tool_call_id is not None
            or message.reasoning_content
            or role not in PLAIN_ROLES
        ):
            return ModelPrompt(conversation)
        messages.append({"role": role, "content": copied(content)})
    return PlainPrompt(conversation.conversation_id, messages)
