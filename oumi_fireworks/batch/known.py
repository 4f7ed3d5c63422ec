"""Rows of a run that the answer cache knows: they are answered before anything is sent.

Their answers are a file of results in the run's folder, like those of the service, written when
the run begins. A run that goes on leaves out the same rows, whatever the cache holds by then.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import xxhash

from oumi_fireworks.batch.outcomes import Answer, parse_line, result_line
from oumi_fireworks.batch.requests import Request, RowId
from oumi_fireworks.batch.results import OnOutcome, result_lines
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.errors import ManifestError, RunMismatchError
from oumi_fireworks.files import make_private_folder, open_private

_NO_DIGEST = 0
_MOST_ROWS = 1 << 62


@dataclass
class KnownRows:
    """The rows that were known when the run began, in the order of the input: 16 bytes each.

    Attributes:
        rows: Their numbers.
        digests: The digests of their prompts.
    """

    rows: array[int] = field(default_factory=lambda: array("Q"))
    digests: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, row: int, digest: int | None) -> None:
        """Note one."""
        self.rows.append(row)
        self.digests.append(_NO_DIGEST if digest is None else digest)

    def cursor(self) -> KnownCursor:
        """Return what tells, while the input is read, which rows are among them."""
        return KnownCursor(self)

    @classmethod
    def read(cls, path: Path, digest: str) -> KnownRows:
        """Read them back from the file of their answers.

        Raises:
            ManifestError: If the file is not as it was written.
        """
        known, content = cls(), xxhash.xxh3_128()
        try:
            for _, line in result_lines(path):
                if line is None:
                    break
                content.update(line)
                outcome = parse_line(line, _MOST_ROWS)
                known.add(outcome.index, outcome.digest)
        except (OSError, ValueError):
            content.reset()
        if content.hexdigest() != digest:
            raise ManifestError(
                f"{path}, which holds the rows that the answer cache knew, is missing or damaged. "
                f"The other rows of this run were sent: `oumi-fireworks batch list` shows their "
                "batch. To begin anew, and pay for them anew, remove its folder."
            )
        return known


class KnownCursor:
    """Goes through the rows that were known, beside the input."""

    def __init__(self, known: KnownRows) -> None:
        self._known = known
        self._at = 0

    def has(self, request: Request) -> bool:
        """Tell whether a row was known; rows come in the order of the input.

        Raises:
            RunMismatchError: If it asks something else than it did then.
        """
        at, known = self._at, self._known
        if at == len(known.rows) or known.rows[at] != request.index:
            return False
        self._at += 1
        if known.digests[at] != (request.digest or _NO_DIGEST):
            raise RunMismatchError("the input has as many rows as before, but other content")
        return True


class CacheAsked:
    """Asks the cache for each row of a new run, and writes down what it knows.

    Args:
        cache: The cache.
        path: Where the answers go.
        accepts: Told about each answer; may refuse it, and then the row is sent.
    """

    def __init__(self, cache: AnswerCache, path: Path, accepts: OnOutcome | None) -> None:
        self.known = KnownRows()
        self._cache = cache
        self._path = path
        self._accepts = accepts
        self._content = xxhash.xxh3_128()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()

    @property
    def digest(self) -> str:
        """The digest of the file; empty where there is none."""
        return self._content.hexdigest() if self.known.rows else ""

    def has(self, request: Request, key: bytes) -> bool:
        """Tell whether a row is known, and note its answer.

        Raises:
            OSError: If the disk does not take it.
        """
        completion = self._cache.find(key)
        if completion is None:
            return False
        answer = Answer(request.index, completion, request.digest)
        if self._accepts is not None and self._accepts(answer) is not None:
            return False
        if self._file is None:
            make_private_folder(self._path.parent)
            self._file = open_private(self._path)
        line = result_line(RowId(request.index, request.digest), completion)
        self._content.update(line)
        self._file.write(line)
        self.known.add(request.index, request.digest)
        return True
