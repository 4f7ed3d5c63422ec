"""Cutting texts to size, so that a page holds a few hundred conversations of any length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning and the end of a text, and how long all of it is, in characters.

    A text that is not cut is all head. The end is kept because that is where one sees whether an
    answer was finished.
    """

    head: str
    tail: str
    length: int

    @classmethod
    def of(cls, text: str, limit: int) -> Self:
        """Return a text, cut to `limit` characters if it is longer."""
        if len(text) <= limit:
            return cls(text, "", len(text))
        ending = limit // 3
        return cls(text[: limit - ending], text[len(text) - ending :], len(text))

    @property
    def kept(self) -> int:
        """Characters that are still here."""
        return len(self.head) + len(self.tail)

    @property
    def hidden(self) -> int:
        """Characters that were cut out of the middle."""
        return self.length - self.kept

    @property
    def ending(self) -> str:
        """The text from its end: what is kept of it."""
        return self.tail or self.head

    def shortened(self, limit: int) -> "Excerpt":
        """Return the same text, of which at most `limit` characters are kept."""
        if self.kept <= limit:
            return self
        ending = limit // 3
        return Excerpt(
            self.head[: limit - ending],
            self.ending[len(self.ending) - ending :] if ending else "",
            self.length,
        )


def level(sizes: Sequence[int], budget: int) -> int:
    """Return the highest cap under which all sizes add up to at most `budget`.

    Small ones stay whole and large ones share what those leave. If all fit, the cap is the
    largest size.
    """
    left = budget
    ascending = sorted(sizes)
    for position, size in enumerate(ascending):
        sharers = len(ascending) - position
        if size * sharers > left:
            return max(0, left) // sharers
        left -= size
    return ascending[-1] if ascending else 0
