"""The most tokens that a request can take: what a budget sets aside for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oumi_fireworks.money.usage import Usage
from oumi_fireworks.request_fields import DEFAULT_MAX_TOKENS

_TEMPLATE_TOKENS = 256
"""Tokens that a model's chat template may add to a prompt of its own: its opening, today's date,
its rules. Chosen with room, not measured: such openings are a few lines long."""

_TOOLS_TOKENS = 512
"""Tokens that it may add where there are tools, to say how they are called."""

_IMAGE_TOKENS = 16_384
"""Tokens of an image at the most: what Qwen2.5-VL, the hungriest that was looked at, takes."""


def most_usage(body: Mapping[str, Any], size: int) -> Usage:
    """Return the most tokens that a request can take. None of them counts as cached.

    A token of text is at least one byte. So a prompt has no more tokens than its request has bytes
    as JSON, and those that the model's chat template adds.

    Args:
        body: A chat completion request.
        size: Bytes of it as JSON, or more.
    """
    return Usage(*most_tokens(body, size))


def most_tokens(body: Mapping[str, Any], size: int) -> tuple[int, int]:
    """Return the same as plain numbers, for whoever counts every row: of prompt and answers."""
    prompt = size + _TEMPLATE_TOKENS
    if body.get("tools"):
        prompt += _TOOLS_TOKENS
    for message in body.get("messages") or ():
        if isinstance(content := message.get("content"), list):
            for image in _images(content):
                prompt += _IMAGE_TOKENS - len(image)
    return prompt, _answer_tokens(body)


def _answer_tokens(body: Mapping[str, Any]) -> int:
    """Return the most tokens that the answers to a request may have, all its choices together."""
    tokens = body.get("max_tokens") or body.get("max_completion_tokens") or DEFAULT_MAX_TOKENS
    return int(body.get("n") or 1) * int(tokens)


def _images(content: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the URLs of the images in a message, which may hold the whole image."""
    return (part["image_url"]["url"] for part in content if part.get("type") == "image_url")
