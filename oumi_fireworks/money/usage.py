"""The tokens that are paid for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, or of several.

    Attributes:
        prompt: Tokens of the prompts.
        completion: Tokens of the answers.
        cached: Those tokens of the prompts that came from the cache.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
        )

    def times(self, count: int) -> Usage:
        """Return so many times as much."""
        return Usage(self.prompt * count, self.completion * count, self.cached * count)

    def smaller(self, other: Usage) -> Usage:
        """Return the smaller of both, each count for itself."""
        return Usage(
            min(self.prompt, other.prompt),
            min(self.completion, other.completion),
            min(self.cached, other.cached),
        )

    def less(self, other: Usage) -> Usage:
        """Return what is left without another, each count for itself and none below 0."""
        return Usage(
            max(0, self.prompt - other.prompt),
            max(0, self.completion - other.completion),
            max(0, self.cached - other.cached),
        )

    def __bool__(self) -> bool:
        return bool(self.prompt or self.completion)

    @classmethod
    def parse(cls, usage: object) -> Usage | None:
        """Read an OpenAI-shaped `usage`, or the flatter one in a conversation's metadata.

        Returns:
            The counts, or None where there are none, as in what is no `dict`, which JSON becomes.
        """
        if not isinstance(usage, dict):
            return None
        prompt = _count(usage.get("prompt_tokens"))
        completion = _count(usage.get("completion_tokens"))
        if prompt is None and completion is None:
            return None
        details = usage.get("prompt_tokens_details")
        nested = details.get("cached_tokens") if isinstance(details, dict) else None
        cached = _count(nested) or _count(usage.get("cached_tokens")) or 0
        return cls(prompt or 0, completion or 0, min(cached, prompt or 0))


class UsageSum:
    """Adds up what answers took, without an object for each of them."""

    def __init__(self) -> None:
        self._prompt = self._completion = self._cached = 0

    def add(self, used: Usage) -> None:
        """Count what one answer took."""
        self._prompt += used.prompt
        self._completion += used.completion
        self._cached += used.cached

    @property
    def total(self) -> Usage:
        """What all of them took."""
        return Usage(self._prompt, self._completion, self._cached)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if value >= 0 else None
