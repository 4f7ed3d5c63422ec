"""How a dataset becomes batches: pure functions of the numbers of rows of its blocks.

Where a batch begins depends on the order of the rows alone, not on how many blocks a cluster of
this size has made of them. So the same dataset becomes the same batches on another cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Slice(Generic[R]):
    """Some rows of a block that follow one another.

    Attributes:
        block: The block.
        start: The first row.
        stop: The row after the last one.
    """

    block: R
    start: int
    stop: int


@dataclass(frozen=True)
class Piece(Generic[R]):
    """The rows of one batch.

    Attributes:
        number: Its position among the pieces of the dataset.
        first_row: The position of its first row in the dataset, zero-based.
        slices: Where its rows are.
    """

    number: int
    first_row: int
    slices: tuple[Slice[R], ...]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(each.stop - each.start for each in self.slices)

    @property
    def name(self) -> str:
        """What to call it, for people."""
        last = self.first_row + self.rows
        return f"block {self.number} (rows {self.first_row + 1:,} to {last:,} of the dataset)"


def cut(slices: Iterable[Slice[R]], rows: int | None) -> Iterator[Piece[R]]:
    """Yield the pieces of a dataset.

    Args:
        slices: Its rows, in their order.
        rows: Rows of a piece; the last one may have fewer. None: each slice is a piece.
    """
    number = first = held = 0
    holding: list[Slice[R]] = []
    for each in slices:
        start = each.start
        while start < each.stop:
            room = each.stop - start if rows is None else rows - held
            stop = min(each.stop, start + room)
            holding.append(Slice(each.block, start, stop))
            held += stop - start
            start = stop
            if rows is None or held == rows:
                yield Piece(number, first, tuple(holding))
                number, first, held, holding = number + 1, first + held, 0, []
    if holding:
        yield Piece(number, first, tuple(holding))


class Keys:
    """The keys of batches: what they ask, and how often the same has been asked before.

    Two pieces with the same requests are two batches, for instance where a dataset repeats its
    rows to have several answers to each. Pieces have to be shown in their order, so that each has
    the same key in every run.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def key(self, digest: str) -> str:
        """Return the key of the next piece.

        Args:
            digest: Of its requests, and of what else its jobs are asked for.
        """
        before = self._seen[digest] = self._seen.get(digest, -1) + 1
        return f"block {digest}" + (f" #{before}" if before else "")
