"""What the batch benchmark sends: all its conversations, and the same as a file."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: Asks the emulator's toy model to answer with the question: answers as long as the questions.
MARKER = "[[echo]]"

#: Enough for the longest of these answers, so that none is cut short.
MOST_TOKENS = 100_000

_WORDS = (
    "a little of the river runs under every house in town,\nsaid “Émile” and laughed at it".split(
        " "
    )
)


def texts(rows: int, size: int) -> Iterator[str]:
    """Make texts of ``size`` characters, all different; every second one is not ASCII."""
    rng = random.Random(0)
    plain = [word for word in _WORDS if word.isascii()]
    paragraphs = [
        " ".join(rng.choices(_WORDS if number % 2 else plain, k=size)) for number in range(64)
    ]
    for row in range(rows):
        yield f"{MARKER} {row:08d} {paragraphs[row % 64]}"[:size]
