"""A row of an input that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from oumi_fireworks.errors import Place


class BadRow:
    """A row without a conversation.

    Args:
        place: Where it is.
        reason: Why it cannot be read.
    """

    __slots__ = ("_reason", "place")

    def __init__(self, place: Place, reason: str) -> None:
        self.place = place
        self._reason = reason

    def content(self) -> bytes:
        """Return why it cannot be read."""
        return self._reason.encode()

    def conversation(self) -> NoReturn:
        """Say that it has none."""
        raise ValueError(self._reason)

    def prompt(self) -> NoReturn:
        """Say that it has none."""
        raise ValueError(self._reason)

    def parameters(self) -> Mapping[str, Any]:
        """Return none: all rows share theirs."""
        return {}

    def unsent(self) -> set[str]:
        """Return nothing: it has no fields."""
        return set()

    def fields(self) -> dict[str, Any]:
        """Say that it has none."""
        raise ValueError(self._reason)

    def as_line(self, name: str) -> dict[str, Any]:
        """Say that it has none."""
        raise ValueError(self._reason)

    def answered(self, completion: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Say that it has none."""
        raise ValueError(self._reason)
