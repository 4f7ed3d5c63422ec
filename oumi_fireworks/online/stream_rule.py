"""Which requests are streamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["StreamMode", "StreamRule", "is_about_streaming", "longest_answer", "streamed_body"]

StreamMode = Literal["auto", "always", "never"]

FIRST_BOUND = 4096
"""``max_tokens`` above which Fireworks wants ``stream: true`` (400 "Requests with max_tokens > 4096
must have stream=true", seen live in 2026). Some models may have another bound."""

_STATED_BOUND = re.compile(r"max_(?:completion_)?tokens\s*>\s*(\d+)", re.IGNORECASE)

_STREAMING = b',"stream":true,"stream_options":{"include_usage":true}}'


class StreamRule:
    """Decides which requests are streamed, and learns from refusals where the bound is.

    Args:
        mode: ``auto`` streams what the service wants streamed, the others all or nothing.
    """

    def __init__(self, mode: StreamMode = "auto") -> None:
        self._mode = mode
        self._bound = FIRST_BOUND

    def applies_to(self, longest: int) -> bool:
        """Tell whether to stream a request whose answer may have so many tokens."""
        return self._mode == "always" or (self._mode == "auto" and longest > self._bound)

    def learn(self, longest: int, message: str) -> bool:
        """Learn from the message of a 400 that a request should have been streamed.

        Args:
            longest: Tokens that its answer may have.
            message: The service's words.

        Returns:
            Whether the request is to be sent again, streamed.
        """
        if self._mode != "auto" or not longest or not is_about_streaming(message):
            return False
        stated = _STATED_BOUND.search(message)
        bound = int(stated[1]) if stated else longest - 1
        self._bound = min(bound, longest - 1)
        return True


def is_about_streaming(message: str) -> bool:
    """Tell whether a 400 says that the request should have been streamed."""
    lowered = message.lower()
    return "stream" in lowered and "max_" in lowered and "tokens" in lowered


def longest_answer(body: Mapping[str, Any]) -> int:
    """Return how many tokens an answer may have by its request; 0 where that is not said."""
    longest = 0
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if isinstance(value, int) and value > longest:
            longest = value
    return longest


def streamed_body(body: bytes) -> bytes:
    """Return a request, encoded as JSON without ``stream``, that asks for a stream with usage."""
    return body[:-1] + _STREAMING
