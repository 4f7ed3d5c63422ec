"""What can be wrong with an input.

::

    FireworksError
    └── InputError (also ValueError)   it cannot be read, or is not there
        ├── BadLinesError              lines that cannot be sent; has ``problems``
        └── InputChangedError          it is not what it was when it was first read
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oumi_fireworks.api import FireworksError
from oumi_fireworks.input.places import Place
from oumi_fireworks.words import number

#: Problems that are named; with so many, the mistake is in how the file was made.
MOST_NAMED = 20


class Problem(NamedTuple):
    """A line that cannot be sent.

    Attributes:
        place: Where it is.
        message: Why not.
        conversation_id: Its conversation's, where that can be read.
    """

    place: Place
    message: str
    conversation_id: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class InputError(FireworksError, ValueError):
    """An input cannot be read."""


class InputChangedError(InputError):
    """An input is not what it was when it was first read."""


class BadLinesError(InputError):
    """Lines of an input cannot be sent.

    Attributes:
        problems: The first of them, :data:`MOST_NAMED` at the most.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        more = len(problems) >= MOST_NAMED
        head = (
            f"{number(len(problems), 'line')}{', and maybe more,' if more else ''} cannot be sent:"
        )
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))

    def __reduce__(self) -> tuple[type[BadLinesError], tuple[list[Problem]]]:
        return type(self), (self.problems,)
