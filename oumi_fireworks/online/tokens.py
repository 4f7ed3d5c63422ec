"""Tokens of one request: as many as it can take, as it probably takes, and as it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from oumi_fireworks.money import Usage

__all__ = ["NO_TOKENS", "TokenEstimate", "Tokens", "tokens_at_most", "tokens_used"]

IMAGE_TOKENS = 4096
"""Tokens to set aside for an image, whose size in bytes says nothing about them."""

FIRST_GUESS = 0.25
"""Prompt tokens for a byte of a request, until an answer shows how many."""

WEIGHT = 0.05
"""Weight of one answer in the averages."""


class Tokens(NamedTuple):
    """Tokens of one request, or of several together.

    Attributes:
        prompt: Tokens of the prompt, cached ones included.
        uncached: Those of them that no cache held.
        generated: Tokens of the answer.
    """

    prompt: float = 0
    uncached: float = 0
    generated: float = 0


NO_TOKENS = Tokens()


class TokenEstimate:
    """What requests probably take, learned from what answered ones took.

    Prompts are estimated by the size of their request, the cached share and the length of
    answers by the average of late.
    """

    def __init__(self) -> None:
        self._answers = 0
        self._prompt_per_byte = FIRST_GUESS
        self._uncached_share = 1.0
        self._generated = 0.0

    def of(self, requests: int, size: int) -> Tokens:
        """Estimate the tokens of some requests.

        Args:
            requests: How many.
            size: Bytes of them together.
        """
        prompt = size * self._prompt_per_byte
        return Tokens(prompt, prompt * self._uncached_share, requests * self._generated)

    def learn(self, size: int, used: Tokens) -> None:
        """Take note of what a request of so many bytes took; all 0 says nothing."""
        if not used.prompt and not used.generated:
            return
        weight = WEIGHT if self._answers else 1.0
        self._answers += 1
        self._generated += weight * (used.generated - self._generated)
        if used.prompt and size:
            self._prompt_per_byte += weight * (used.prompt / size - self._prompt_per_byte)
            self._uncached_share += weight * (used.uncached / used.prompt - self._uncached_share)


def tokens_used(usage: Usage | None) -> Tokens:
    """Return the tokens that count against limits; 0 where an answer does not say what it took."""
    if usage is None:
        return NO_TOKENS
    return Tokens(usage.prompt, usage.prompt - usage.cached, usage.completion)


def tokens_at_most(body: Mapping[str, Any]) -> Tokens:
    """Return the most tokens that a request can take, before it is sent.

    A token of text is at least one byte, so a prompt has no more tokens than its messages and
    tools have bytes as JSON, whose punctuation stands for the template's. Images are a guess.
    An answer is bounded by ``max_tokens``; without it nothing can be set aside.

    Args:
        body: A chat completion request.
    """
    choices = body.get("n") or 1
    longest = body.get("max_tokens") or body.get("max_completion_tokens") or 0
    prompt = _size(body.get("messages")) + _size(body.get("tools"))
    return Tokens(prompt, prompt, int(longest) * int(choices))


def _size(value: Any) -> int:
    """Return the bytes of a JSON value, roughly and from above, with images counted as tokens."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace")) + 2
    if isinstance(value, Mapping):
        if value.get("type") == "image_url":
            return IMAGE_TOKENS
        return 2 + sum(len(key) + 4 + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 2 + sum(_size(item) + 1 for item in value)
    return 8
