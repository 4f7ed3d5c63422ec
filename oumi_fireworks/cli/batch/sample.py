"""Rows of an input that are drawn by chance, the same ones whenever it is the same input."""

from __future__ import annotations

import heapq

from oumi_fireworks.batch import Request
from oumi_fireworks.cache import KEY_BYTES, key_of_body


class RowSample:
    """Draws rows while they go by, in memory for the sample alone.

    The rows are those with the smallest digests of their requests. A digest (BLAKE2b) is as good as
    chance, and a row has it wherever the input is read. Rows that ask the same count as one.

    Args:
        size: How many rows to draw.
        model: Their model.
    """

    def __init__(self, size: int, model: str) -> None:
        self._size = size
        self._model = model
        self._drawn: list[tuple[int, int]] = []  # a heap: the largest digest first, negated
        self._digests: set[int] = set()

    def offer(self, request: Request) -> None:
        """Take a row, or leave it."""
        digest = -int.from_bytes(key_of_body(self._model, request.body))
        if digest in self._digests:
            return
        if len(self._drawn) < self._size:
            heapq.heappush(self._drawn, (digest, request.index))
        elif digest > self._drawn[0][0]:
            gone, _ = heapq.heapreplace(self._drawn, (digest, request.index))
            self._digests.remove(gone)
        else:
            return
        self._digests.add(digest)

    @property
    def keys(self) -> dict[int, bytes]:
        """The keys of the requests, by the numbers of the rows, in their order."""
        rows = sorted((row, -digest) for digest, row in self._drawn)
        return {row: digest.to_bytes(KEY_BYTES) for row, digest in rows}
