"""Has this text been seen before? Told from fingerprints, in a few bytes a text."""

from __future__ import annotations

from array import array

_MASK = (1 << 64) - 1

_FIRST_SLOTS = 1 << 12
"""Places in the table before it grows; a power of two."""


class Seen:
    """The texts seen so far, as 64-bit fingerprints in an open hash table: 12 bytes a text or so.

    A set of the texts themselves would take ten times as much. Two different texts have the same
    fingerprint with a probability of 3 in 100 million in a million of them.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def add(self, text: str) -> bool:
        """Note a text. Returns whether it had been noted before."""
        if 3 * self._count >= 2 * len(self._slots):
            self._grow()
        if self._put(hash(text) & _MASK or 1):  # 0 is an empty slot
            self._count += 1
            return False
        return True

    def _put(self, fingerprint: int) -> bool:
        slots, last = self._slots, len(self._slots) - 1
        position = fingerprint & last
        while held := slots[position]:
            if held == fingerprint:
                return False
            position = (position + 1) & last
        slots[position] = fingerprint
        return True

    def _grow(self) -> None:
        old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for fingerprint in old:
            if fingerprint:
                self._put(fingerprint)
