"""What a user should know of conversations that can be sent: said once, not for each of them."""

from __future__ import annotations

from collections import Counter

_EXAMPLES = 3
"""Conversations that are named for each caution."""


class Cautions:
    """Counts conversations by what is to be said of them. Its size does not grow with them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, caution: str, name: str) -> None:
        """Note what :func:`oumi_fireworks.conversion.caution` says of the conversation ``name``."""
        self._counts[caution] += 1
        examples = self._examples.setdefault(caution, [])
        if len(examples) < _EXAMPLES:
            examples.append(name)

    def lines(self) -> list[str]:
        """Return a line for each, the most frequent first."""
        return [
            f"{', '.join(self._examples[caution])}"
            + (f" and {count - _EXAMPLES:,} more" if count > _EXAMPLES else "")
            + f": {caution}."
            for caution, count in self._counts.most_common()
        ]
