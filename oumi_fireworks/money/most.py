"""The most tokens that a request can take: what a budget sets aside for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    prompt = size
    if images := _images(body.get("messages") or ()):
        texts = max(0, size - sum(map(len, images)))
        prompt = texts + len(images) * _IMAGE_TOKENS
    extra = _TEMPLATE_TOKENS + (_TOOLS_TOKENS if body.get("tools") else 0)
    return Usage(prompt + extra, _answer_tokens(body))


def _answer_tokens(body: Mapping[str, Any]) -> int:
    """Return the most tokens that the answers to a request may have, all its choices together."""
    tokens = body.get("max_tokens") or body.get("max_completion_tokens") or DEFAULT_MAX_TOKENS
    return int(body.get("n") or 1) * int(tokens)


def _images(messages: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return the URLs of the images in a prompt, which may hold the whole image."""
    return [
        part["image_url"]["url"]
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if part.get("type") == "image_url"
    ]
