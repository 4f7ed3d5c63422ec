"""Histograms that are filled one value at a time and stay small."""

from itertools import accumulate

MOST_CELLS = 4096
"""Cells that a histogram keeps."""


class Histogram:
    """Counts non-negative integers in equal cells whose width is a power of two.

    Cells are one wide, and so the counts exact, until values fall into more than `MOST_CELLS` of
    them; then all cells double. What comes out depends on the values alone, never on their order.

    Attributes:
        count: How many values were added.
        total: Their sum.
        least: The smallest one, 0 before there is any.
        most: The largest one, 0 before there is any.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.least = 0
        self.most = 0
        self._cells: dict[int, int] = {}
        self._shift = 0

    def add(self, value: int) -> None:
        """Count one value."""
        if value < self.least or not self.count:
            self.least = value
        if value > self.most:
            self.most = value
        self.count += 1
        self.total += value
        cell = value >> self._shift
        self._cells[cell] = self._cells.get(cell, 0) + 1
        while len(self._cells) > MOST_CELLS:
            self._double_cells()

    @property
    def mean(self) -> float:
        """The exact mean, 0 before there is any value."""
        return self.total / self.count if self.count else 0.0

    def cells(self) -> list[tuple[int, int]]:
        """Return the smallest possible value and the count of each cell in use, ascending."""
        return [(cell << self._shift, count) for cell, count in sorted(self._cells.items())]

    def quantile(self, share: float) -> int:
        """Return the value that at least `share` of all values do not exceed.

        It is exact while cells are one wide; else it is less than a cell's width too small.
        """
        cells = self.cells()
        wanted = share * self.count
        reached = accumulate(count for _, count in cells)
        value = next(
            (low for (low, _), so_far in zip(cells, reached, strict=True) if so_far >= wanted),
            self.most,
        )
        return max(value, self.least)

    def _double_cells(self) -> None:
        halved: dict[int, int] = {}
        for cell, count in self._cells.items():
            halved[cell >> 1] = halved.get(cell >> 1, 0) + count
        self._cells = halved
        self._shift += 1
