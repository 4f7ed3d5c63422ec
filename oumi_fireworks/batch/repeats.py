"""Rows that ask what an earlier row asks: found as they are read, in some twenty bytes a row."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from enum import StrEnum
from secrets import token_bytes
from struct import Struct
from typing import Any

_KEY = Struct("<qQ")
_BUCKETS = 1 << 16
_IN_BUCKET, _ROW = 14, 6
_RECORD = _IN_BUCKET + _ROW
"""Bytes of a record: what of a key its bucket does not say, and the number of the row."""


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
    """Which row was the first with a key: a table that grows by 20 bytes for each.

    The first two bytes of a key choose one of 65,536 buckets, which are searched at the speed of
    the memory: a million rows have 15 records in each.
    """

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(_BUCKETS)]

    def first(self, key: bytes, row: int) -> int | None:
        """Return the first row with this key; None if it is this one, which is noted.

        Args:
            key: 16 bytes, evenly spread.
            row: The row's number.
        """
        bucket = self._buckets[key[0] << 8 | key[1]]
        rest = key[2:]
        if rest in bucket and (found := _found(bucket, rest)) is not None:
            return found
        bucket += rest + row.to_bytes(_ROW, "little")
        return None

    def find(self, key: bytes) -> int | None:
        """Return the first row with this key; None where there was none yet."""
        return _found(self._buckets[key[0] << 8 | key[1]], key[2:])


def _found(bucket: bytearray, rest: bytes) -> int | None:
    at = bucket.find(rest)
    while at >= 0:
        if not at % _RECORD:
            return int.from_bytes(bucket[at + _IN_BUCKET : at + _RECORD], "little")
        at = bucket.find(rest, at + 1)  # found across two records
    return None


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
