"""A chat completion → the conversation with its answer, as Oumi's own engines give it.

This runs for every row of a batch: what could be asked of a `Mapping` is asked of `dict`, which
parsed JSON is made of and which is found out several times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oumi.core.types.conversation import Conversation, FinishReason, Message, Role
from pydantic import ValidationError

from oumi_fireworks.completions import ANSWERED_BY, RAN_ONLINE, answer_choice
from oumi_fireworks.errors import ConversionError

_FINISH_REASONS: dict[str | None, str] = {
    reason.value: reason.value
    for reason in (
        FinishReason.STOP,
        FinishReason.LENGTH,
        FinishReason.TOOL_CALLS,
        FinishReason.CONTENT_FILTER,
    )
}

_UNKNOWN = FinishReason.UNKNOWN.value

_QUOTED = 200
"""Characters of a broken answer that an error shows."""


def to_conversation(completion: Any, original: Conversation) -> Conversation:
    """Append a completion's answer to the conversation that asked for it.

    Args:
        completion: The parsed JSON of the answer.
        original: The conversation that was sent. It is not changed.

    Returns:
        The conversation with the answer as its last message. Its metadata are the original's
        with ``usage`` (prompt_tokens, completion_tokens, total_tokens, and cached_tokens when
        there are any) and ``finish_reason`` (a value of Oumi's `FinishReason`); and with
        ``answered_by`` (``cache`` or ``repeat``) where this row itself was not paid for, and
        ``ran_online`` (true) where a batch's deadline had passed.

    Raises:
        ConversionError: The answer is malformed, or reports an error.
    """
    choice = require_choice(completion)
    answer = answer_message(choice)
    # Pydantic takes the messages as they are, since they are valid already, and so validating
    # is faster here than building the models by hand.
    return Conversation(
        messages=[*original.messages, answer],
        metadata=metadata_of(original.metadata, completion, choice),
        conversation_id=original.conversation_id,
        tools=original.tools,
    )


def require_choice(completion: Any) -> dict[str, Any]:
    """Return the choice that holds a completion's answer.

    Raises:
        ConversionError: There is none.
    """
    choice = answer_choice(completion)
    if choice is None:
        raise ConversionError(_why_no_answer(completion))
    return choice


def metadata_of(
    before: Mapping[str, Any], completion: Mapping[str, Any], choice: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a conversation's metadata with the usage and the finish reason of its answer."""
    metadata = dict(before)
    usage = _usage(completion.get("usage"))
    if usage is not None:
        metadata["usage"] = usage
    for mark in (ANSWERED_BY, RAN_ONLINE):
        metadata.pop(mark, None)
        if mark in completion:
            metadata[mark] = completion[mark]
    finish_reason = choice.get("finish_reason")
    if finish_reason is not None:
        known = finish_reason.lower() if isinstance(finish_reason, str) else None
        metadata["finish_reason"] = _FINISH_REASONS.get(known, _UNKNOWN)
    return metadata


def _why_no_answer(completion: Any) -> str:
    """Say what is wrong with something that has no answer in it."""
    if not isinstance(completion, dict):
        return f"The answer is not a JSON object: {_quoted(completion)}"
    error = completion.get("error")
    if error:
        message = error.get("message", error) if isinstance(error, dict) else error
        said = message[:_QUOTED] if isinstance(message, str) else _quoted(message)
        return f"The service answered with an error: {said}"
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return f"The answer has no choices: {_quoted(completion)}"
    return f"The answer has no message: {_quoted(choices[0])}"


def answer_message(choice: Mapping[str, Any]) -> Message:
    """Return the message of an answer.

    Raises:
        ConversionError: It is malformed.
    """
    message = choice["message"]
    content = message.get("content")
    tool_calls = message.get("tool_calls")
    if content is None and not tool_calls:
        content = ""
    try:
        return Message(
            content=content,
            role=message.get("role") or Role.ASSISTANT,
            tool_calls=tool_calls,
            # Fireworks says reasoning_content; other servers behind the same API say reasoning.
            reasoning_content=message.get("reasoning") or message.get("reasoning_content"),
        )
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ConversionError(f"The answer's message is malformed: {faults:.{_QUOTED}}") from error


def _usage(usage: Any) -> dict[str, int] | None:
    """Token counts, None when there are none: an answer is worth keeping without them."""
    if not isinstance(usage, dict) or not usage:
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    prompt = prompt if isinstance(prompt, int) else 0
    completion = completion if isinstance(completion, int) else 0
    total = usage.get("total_tokens")
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total if isinstance(total, int) else prompt + completion,
    }
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        cached = details.get("cached_tokens")
        if isinstance(cached, int) and cached:
            counts["cached_tokens"] = cached
    return counts


def _quoted(value: Any) -> str:
    """Show the beginning of a broken answer, which may be nested deeper than Python's recursion."""
    try:
        return f"{value!r:.{_QUOTED}}"
    except RecursionError:
        return "(nested too deeply to be shown)"
