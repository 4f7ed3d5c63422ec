"""What a bill would say of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OnlineCharge:
    """What chat completions have used that were answered, whether their answers arrived or not.

    Args:
        requests: How many.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        cached_tokens: Tokens of their prompts that came from the cache.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def plus(self, usage: Mapping[str, Any]) -> OnlineCharge:
        """Return it with one more completion, whose ``usage`` this is."""
        return OnlineCharge(
            self.requests + 1,
            self.input_tokens + usage["prompt_tokens"],
            self.output_tokens + usage["completion_tokens"],
            self.cached_tokens + usage["prompt_tokens_details"]["cached_tokens"],
        )
