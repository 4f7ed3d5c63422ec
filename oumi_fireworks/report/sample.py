"""Choosing the rows to show: by chance, but every kind of outcome has its place."""

import hashlib
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from oumi_fireworks.report.excerpt import level
from oumi_fireworks.report.rows import OutcomeKind, Row
from oumi_fireworks.report.sampled_row import SampledRow

T = TypeVar("T")


class Lowest(Generic[T]):
    """Keeps the `size` values that have the lowest keys."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._added = 0
        self._heap: list[tuple[int, int, T]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, key: int, make: Callable[[], T]) -> None:
        """Keep what `make` returns if `key` is low enough; otherwise `make` is not called."""
        if len(self._heap) >= self._size and key >= -self._heap[0][0]:
            return
        self._added += 1  # so that the heap never compares two values
        entry = (-key, self._added, make())
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def values(self) -> list[T]:
        """Return what is kept, the lowest key first."""
        return [value for _, _, value in sorted(self._heap, key=lambda entry: -entry[0])]


class Sample:
    """A sample of rows, spread over all kinds of outcome.

    Rows fall into groups by outcome and by the finish reason or kind of failure. From each group
    some are kept by a hash of their index: as good as chance, but the same rows every time,
    in whatever order they arrive. Of the places at most half go to rows with a problem, as long
    as there are others to fill the rest; rare groups get theirs first, and each at least one.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._groups: dict[tuple[OutcomeKind, str], Lowest[SampledRow]] = {}

    def add(self, row: Row, label: str) -> None:
        """Offer a row, under the finish reason or kind of failure that it is counted under."""
        group = self._groups.get((row.kind, label))
        if group is None:
            most = self._size if row.kind is OutcomeKind.COMPLETE else max(1, self._size // 4)
            group = self._groups[row.kind, label] = Lowest(most)
        group.offer(_scattered(row.index), lambda: SampledRow.of(row, label))

    def pick(self) -> list[SampledRow]:
        """Return the rows to show, in the order of the input."""
        sound = [group for (kind, _), group in self._groups.items() if kind is OutcomeKind.COMPLETE]
        faulty = [
            group for (kind, _), group in self._groups.items() if kind is not OutcomeKind.COMPLETE
        ]
        places = max(self._size // 2, self._size - sum(map(len, sound)))
        problems = _spread(faulty, places)
        chosen = problems + _spread(sound, self._size - len(problems))
        return sorted(chosen, key=lambda row: row.index)


def _spread(groups: list[Lowest[SampledRow]], places: int) -> list[SampledRow]:
    most = max(1, level([len(group) for group in groups], places))
    return [row for group in groups for row in group.values()[:most]]


def _scattered(index: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(index).encode(), digest_size=8).digest())
