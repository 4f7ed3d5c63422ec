"""Rows of a run that the answer cache knows: they are answered before anything is sent.

Their answers are a file of results in the run's folder, like those of the service, written when
the run begins. A run that goes on leaves out the same rows, whatever the cache holds by then.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import xxhash

from oumi_fireworks.batch.outcomes import Answer, parse_line, result_line
from oumi_fireworks.batch.requests import Request, RowId
from oumi_fireworks.batch.results import OnOutcome, result_lines
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.errors import ManifestError, RunMismatchError, SpoolError
from oumi_fireworks.files import make_private_folder, replacing
from oumi_fireworks.grammar import ended

_NO_DIGEST = 0
_MOST_ROWS = 1 << 62

_ADVICE = "It takes the answers that the cache knows."


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
        file: Where the answers go.
        accepts: Told about each answer; may refuse it, and then the row is sent.
    """

    def __init__(self, cache: AnswerCache, file: BinaryIO, accepts: OnOutcome | None) -> None:
        self.known = KnownRows()
        self._cache = cache
        self._file = file
        self._accepts = accepts
        self._content = xxhash.xxh3_128()

    @property
    def digest(self) -> str:
        """The digest of what was written; empty where nothing was."""
        return self._content.hexdigest() if self.known.rows else ""

    def has(self, request: Request, key: bytes) -> bool:
        """Tell whether a row is known, and note its answer.

        Raises:
            SpoolError: If the disk does not take it.
        """
        completion = self._cache.find(key)
        if completion is None:
            return False
        answer = Answer(request.index, completion, request.digest)
        if self._accepts is not None and self._accepts(answer) is not None:
            return False
        line = result_line(RowId(request.index, request.digest), completion)
        self._content.update(line)
        self._file.write(line)
        self.known.add(request.index, request.digest)
        return True


@contextmanager
def ask_cache(cache: AnswerCache, path: Path, accepts: OnOutcome | None) -> Iterator[CacheAsked]:
    """Ask the cache for the rows of a new run; its answers are in a file when the block has ended.

    Args:
        cache: The cache.
        path: The file; there is none where the cache knows no row.
        accepts: As for :class:`CacheAsked`.

    Raises:
        SpoolError: If the disk does not take the answers.
    """
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise SpoolError(
            f"Cannot write {path}: {ended(error.strerror or error)} {_ADVICE}"
        ) from error
    with replacing(path, advice=_ADVICE, private=True, unless_empty=True, error=SpoolError) as file:
        yield CacheAsked(cache, file, accepts)
