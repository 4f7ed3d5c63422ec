"""What a job has written so far: result files, and a journal that says how far they are good.

A block of rows is first written to the files and then entered in the journal. Whatever the
files hold beyond the last entry is of a block that was cut off, and is thrown away, so that a
process killed at any moment goes on after the last block that it finished.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_right
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from oumi_fireworks.emulator.state.private_files import private
from oumi_fireworks.emulator.state.records import Tally

_ENTRY = struct.Struct("<11Q")
ERRORS = "error-data"


class Entry(NamedTuple):
    """How far the files are good, and what is in them.

    Attributes:
        tally: What has been done.
        part: Index of the last result file.
        part_size: Its bytes.
        part_rows: Its lines.
        error_size: Bytes of the error file.
        output_size: Bytes of all result files.
    """

    tally: Tally
    part: int = 0
    part_size: int = 0
    part_rows: int = 0
    error_size: int = 0
    output_size: int = 0


class Spool:
    """The growing output of one job. Safe to use from any thread.

    Args:
        folder: The job's folder.
        part_bytes: Size from which on a new result file is begun.
    """

    def __init__(self, folder: Path, part_bytes: int) -> None:
        self._folder = folder
        self._part_bytes = part_bytes
        self._lock = threading.Lock()
        self._closed = False
        self._entries = [Entry(Tally())]
        self._load()
        self._results = _append_to(self._part(self.last.part))
        self._errors = _append_to(folder / ERRORS)
        self._journal = _append_to(folder / "journal")

    @property
    def last(self) -> Entry:
        """The latest entry."""
        return self._entries[-1]

    @property
    def blocks(self) -> int:
        """How many blocks have been entered."""
        return len(self._entries) - 1

    @property
    def closed(self) -> bool:
        """Whether nothing more is accepted."""
        return self._closed

    def at(self, rows: int) -> Entry:
        """Return the latest entry at which no more than `rows` rows were done."""
        entries = self._entries
        return entries[bisect_right(entries, rows, key=lambda e: e.tally.processed) - 1]

    def commit(self, results: bytes, errors: bytes, tally: Tally) -> bool:
        """Add a block.

        Args:
            results: Lines for the result file.
            errors: Lines for the error file.
            tally: What the block adds to what was done.

        Returns:
            Whether it was accepted; not so once the spool is closed.
        """
        with self._lock:
            if self._closed:
                return False
            last = self.last
            part, part_size, part_rows = last.part, last.part_size, last.part_rows
            if part_size and part_size + len(results) > self._part_bytes:
                self._results.close()
                part, part_size, part_rows = part + 1, 0, 0
                self._results = _append_to(self._part(part))
            _write_all(self._results, results)
            _write_all(self._errors, errors)
            entry = Entry(
                last.tally.plus(tally),
                part,
                part_size + len(results),
                part_rows + tally.output_rows,
                last.error_size + len(errors),
                last.output_size + len(results),
            )
            self._journal.write(_pack(entry))
            self._entries.append(entry)
            return True

    def close(self) -> None:
        """Accept nothing more, and keep everything."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._results.close()
                self._errors.close()
                self._journal.close()

    def finish(self, rows: int | None) -> tuple[Tally, list[Path]]:
        """Close, keeping what was done up to `rows` rows (None: everything).

        Returns:
            What was done, and the result files; the error file is beside them.
        """
        self.close()
        entry = self.last if rows is None else self.at(rows)
        self._cut_to(entry)
        return entry.tally, [self._part(part) for part in range(entry.part + 1)]

    def rows_in(self, part: int) -> int:
        """Count the lines in a result file, as far as they are good."""
        return max(entry.part_rows for entry in self._entries if entry.part == part)

    def _part(self, part: int) -> Path:
        return self._folder / f"results-{part}"

    def _load(self) -> None:
        journal = self._folder / "journal"
        if not journal.exists():
            return
        data = journal.read_bytes()
        whole = len(data) - len(data) % _ENTRY.size
        entries = [_unpack(data[at : at + _ENTRY.size]) for at in range(0, whole, _ENTRY.size)]
        while entries and not self._holds(entries[-1]):
            entries.pop()
        self._entries += entries
        self._cut_to(self.last)
        with journal.open("r+b") as file:
            file.truncate(len(entries) * _ENTRY.size)

    def _holds(self, entry: Entry) -> bool:
        """Return whether the files have all that an entry speaks of."""
        part, errors = self._part(entry.part), self._folder / ERRORS
        return (
            all(self._part(earlier).exists() for earlier in range(entry.part))
            and part.exists()
            and part.stat().st_size >= entry.part_size
            and errors.exists()
            and errors.stat().st_size >= entry.error_size
        )

    def _cut_to(self, entry: Entry) -> None:
        for path, size in (
            (self._part(entry.part), entry.part_size),
            (self._folder / ERRORS, entry.error_size),
        ):
            with _append_to(path) as file:
                file.truncate(size)
        part = entry.part + 1
        while self._part(part).exists():
            self._part(part).unlink()
            part += 1


def _append_to(path: Path) -> FileIO:
    return open(path, "ab", buffering=0, opener=private)


def _pack(entry: Entry) -> bytes:
    return _ENTRY.pack(*entry.tally, *entry[1:])


def _unpack(data: bytes) -> Entry:
    values = _ENTRY.unpack(data)
    return Entry(Tally(*values[:6]), *values[6:])


def _write_all(file: object, data: bytes) -> None:
    """Write all of it: an unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]  # type: ignore[attr-defined]
