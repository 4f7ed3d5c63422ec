"""What the batch benchmark sends: all its conversations, and the same as a file."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: Asks the emulator's toy model to answer with the question: answers as long as the questions.
MARKER = "[[echo]]"

#: Asks the toy model to fail.
FAIL = "[[fail]]"

_WORDS = (
    "a little of the river runs under every house in town,\nsaid “Émile” and laughed at it".split(
        " "
    )
)


def most_tokens(size: int) -> int:
    """Return tokens enough for an answer of ``size`` characters, so that none is cut short."""
    return size // 3 + 100


def texts(rows: int, size: int) -> Iterator[str]:
    """Make texts of ``size`` characters, all different; every second one is not ASCII."""
    rng = random.Random(0)
    plain = [word for word in _WORDS if word.isascii()]
    paragraphs = [
        " ".join(rng.choices(_WORDS if number % 2 else plain, k=size)) for number in range(64)
    ]
    for row in range(rows):
        yield f"{MARKER} {row:08d} {paragraphs[row % 64]}"[:size]
