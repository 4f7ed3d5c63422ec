"""Rows that ask what an earlier row asks: found as they are read, in some forty bytes a row."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from enum import StrEnum
from secrets import token_bytes
from struct import Struct
from typing import Any

_KEY_BYTES = 16
_KEY = Struct("<qQ")
_SLOT = Struct("<Q8x")
"""What of a key says where it is looked for first."""
_FIRST_SLOTS, _GROWTH = 1 << 10, 8


class Dedupe(StrEnum):
    """Which rows that ask the same are sent once: the option of that name."""

    OFF = "off"
    AUTO = "auto"
    """Those whose answer is determined."""
    ON = "on"

    def covers(self, body: Mapping[str, Any]) -> bool:
        """Tell whether a row that repeats this request may have its answer."""
        return self is Dedupe.ON or (self is Dedupe.AUTO and is_determined(body))


def is_determined(body: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for the same answer each time, as far as a model can."""
    return body.get("temperature") == 0 or body.get("seed") is not None


class RowKeys:
    """Makes what two rows share that ask the same, for one process: 16 bytes, in half a µs.

    Half of a key is Python's hash of the request (SipHash, 64 bits) behind a secret of this
    process, half the digest of its prompt, which the row has anyway. Who writes prompts does not
    know the secret, and so cannot make two of them meet. BLAKE2b, which keys that outlive a
    process need (:mod:`oumi_fireworks.cache.keys`), would take four times as long.
    """

    def __init__(self) -> None:
        self._secret = token_bytes(16)

    def key(self, body: bytes, prompt_digest: int) -> bytes:
        """Return the key of a row.

        Args:
            body: Its request, as JSON.
            prompt_digest: The digest of its prompt, 64 bits.
        """
        return _KEY.pack(hash(self._secret + body), prompt_digest)


class FirstRows:
    """Which row was the first with a key: a hash table that takes some 40 bytes for each.

    A dictionary would take four times as much. The keys stand one behind the other, in the order
    of their rows. A slot holds the number of one, from 1 on, or 0: it is the slot that the key
    names, or the next one that was free.
    """

    def __init__(self) -> None:
        self._keys = bytearray()
        self._rows = array("Q")
        self._make_slots(_FIRST_SLOTS)

    def first(self, key: bytes, row: int) -> int | None:
        """Return the first row with this key; None if it is this one, which is noted.

        Args:
            key: 16 bytes, evenly spread.
            row: The row's number.
        """
        slot = self._slot(key)
        if number := self._slots[slot]:
            return self._rows[number - 1]
        self._keys += key
        self._rows.append(row)
        self._slots[slot] = number = len(self._rows)
        if number == self._most:
            self._make_slots(_GROWTH * len(self._slots))
        return None

    def find(self, key: bytes) -> int | None:
        """Return the first row with this key; None where there was none yet."""
        number = self._slots[self._slot(key)]
        return self._rows[number - 1] if number else None

    def _slot(self, key: bytes) -> int:
        """Return the slot of a key, or the free one where it belongs."""
        slots, mask, keys = self._slots, self._mask, self._keys
        slot: int = _SLOT.unpack(key)[0] & mask
        while (number := slots[slot]) and not keys.startswith(key, (number - 1) * _KEY_BYTES):
            slot = slot + 1 & mask
        return slot

    def _make_slots(self, count: int) -> None:
        """Make so many slots, a power of two, and put all keys into them."""
        self._slots = slots = array("I", bytes(4 * count))
        self._mask = mask = count - 1
        self._most = count * 2 // 3  # fuller, it would be slow
        for number, (slot,) in enumerate(_SLOT.iter_unpack(self._keys), 1):
            slot &= mask
            while slots[slot]:
                slot = slot + 1 & mask
            slots[slot] = number


class Repeats:
    """The rows of a run that are not sent, since an earlier one asks the same: 16 bytes each."""

    def __init__(self) -> None:
        self._rows = array("Q")
        self._firsts = array("Q")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield each with the row that asks the same, in the order of the input."""
        return iter(zip(self._rows, self._firsts, strict=True))

    def add(self, row: int, first: int) -> None:
        """Note one; they come in the order of the input."""
        self._rows.append(row)
        self._firsts.append(first)

    def first_of(self, row: int) -> int:
        """Return the row whose outcome is this row's: itself, where it is no repeat."""
        at = bisect_left(self._rows, row)
        return self._firsts[at] if at < len(self._rows) and self._rows[at] == row else row
