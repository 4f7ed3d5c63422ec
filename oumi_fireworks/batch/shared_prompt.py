"""A system message that many rows begin with, sent once with the job instead of with each row.

The service puts a job's ``systemPrompt`` before every row that does not already begin with a
system message; a row's own one wins (Fireworks' guide to batch inference, November 2026). So a row
without one must not be in such a job, and a row with another one may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_SHARED_PROMPT = 1_000_000
"""Characters of a system message that may travel with a job: each look at the job returns it."""


def leading_prompt(body: Mapping[str, Any]) -> str | None:
    """Return the system message that a job could bring for a request; None if it has to stay.

    It stays where the rest would be another request: where a second system message follows, which
    the service would take for the row's own, and where nothing follows. It stays where it is more
    than a text, and ``prompt_token_ids`` cannot be combined with a job's prompt.
    """
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or len(messages) < 2 or "prompt_token_ids" in body:
        return None
    first, second = messages[0], messages[1]
    if first.get("role") != "system" or len(first) != 2 or second.get("role") == "system":
        return None
    content = first.get("content")
    if not isinstance(content, str) or not 0 < len(content) <= LONGEST_SHARED_PROMPT:
        return None
    return None if content.isspace() else content


def without_prompt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request without its first message."""
    return {**body, "messages": body["messages"][1:]}


def with_prompt(body: Mapping[str, Any], prompt: str | None) -> Mapping[str, Any]:
    """Return a request as the service understands it in a job with that system prompt."""
    messages = body.get("messages")
    if not prompt or not isinstance(messages, list) or "prompt_token_ids" in body:
        return body
    if messages and isinstance(messages[0], Mapping) and messages[0].get("role") == "system":
        return body
    return {**body, "messages": [{"role": "system", "content": prompt}, *messages]}
