"""What each record was, and since when: so that a read can lag."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from typing import Generic, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """The versions of records by id, each with the second from which on it was true.

    Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._versions: dict[str, list[tuple[float, T | None]]] = defaultdict(list)
        self._lock = threading.Lock()

    def note(self, record_id: str, seconds: float, record: T | None) -> None:
        """Note that a record is this from now on; None if it was removed.

        Args:
            record_id: Whose version it is.
            seconds: When, in seconds since the epoch on the emulator's clock.
            record: The version.
        """
        with self._lock:
            self._versions[record_id].append((seconds, record))

    def at(self, record_id: str, seconds: float) -> T | None:
        """Return what a record was at that second, None if there was none."""
        with self._lock:
            return _version(self._versions.get(record_id, []), seconds)

    def all_at(self, seconds: float) -> list[T]:
        """Return all records that there were at that second."""
        with self._lock:
            found = [_version(versions, seconds) for versions in self._versions.values()]
        return [record for record in found if record is not None]


def _version(versions: list[tuple[float, T | None]], seconds: float) -> T | None:
    index = bisect_right(versions, seconds, key=lambda version: version[0])
    return versions[index - 1][1] if index else None
