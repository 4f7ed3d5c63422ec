"""The attempts at rows that run online: a file of results for each, and what a row is asked next.

A row whose answer does not hold is asked for again at once, with another request. What its answer
in one attempt was is in the file of that attempt, as in a batch; so whoever goes on knows how often
a row was rejected, and with what it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.kept_answer import KeptAnswer
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch import Answer, OnOutcome, Request
from oumi_fireworks.batch.outcomes import Rejected
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.result_file import ResultFile
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.online import Completion

__all__ = ["OnlineAttempts"]


@dataclass(frozen=True)
class _RowUnderWay:
    """A row that has no outcome yet.

    Attributes:
        body: Its request, as it was at first.
        rejected: What is known of its answers; None before the first.
    """

    body: Mapping[str, Any]
    rejected: KeptAnswer | None


class OnlineAttempts:
    """Keeps what comes of each attempt, and says what follows.

    Args:
        folder: Where the files are.
        check: Says of an answer whether it is of use.
        again: How rejected rows are asked for again; None does not run them.
    """

    def __init__(self, folder: Path, check: OnOutcome, again: Again | None) -> None:
        self._folder = folder
        self._check = check
        self._again = again
        most = 0 if again is None else again.most
        self._files = [ResultFile(self._path(attempt)) for attempt in range(most + 1)]
        self._under_way: dict[int, _RowUnderWay] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for file in self._files:
            self._open.enter_context(file)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def index(self, digests: Sequence[int], repeats: Repeats | None = None) -> ResultIndex:
        """Return the outcomes that there are.

        Args:
            digests: The digest of each row's prompt.
            repeats: Rows that were not sent, since another one asks the same.
        """
        index = ResultIndex(len(digests), digests, self._check, repeats)
        attempt = 0
        while (path := self._path(attempt)).exists():
            index.begin_group()
            index.add(path)
            attempt += 1
        return index

    def rejected(self, index: ResultIndex) -> Iterator[Rejected]:
        """Yield the rows that were rejected and are asked for again, in order."""
        if self._again is None:
            return
        for outcome in index.outcomes(index.rejected(self._again.most)):
            assert isinstance(outcome, Rejected)
            yield outcome

    def begin(self, request: Request, rejected: Rejected | None) -> Mapping[str, Any] | None:
        """Return the request that is sent of a row; None where it is not asked for again.

        Args:
            request: The row.
            rejected: What became of it before, where it was rejected.
        """
        known = None
        if rejected is not None:
            known = KeptAnswer(rejected.completion, rejected.rejection, rejected.times)
        return self._next(request.index, request.body, known)

    def note_known(self, name: RowId, completion: Completion) -> None:
        """Keep an answer that was not asked for.

        Raises:
            SpoolError: If the disk does not take it.
        """
        self._files[0].note(name, completion)

    def note(self, name: RowId, outcome: Completion | FireworksError) -> Mapping[str, Any] | None:
        """Keep the outcome of an attempt at a row; return its next request, None without one.

        Raises:
            SpoolError: If the disk does not take it.
        """
        row = self.forget(name.index)
        before = None if row is None else row.rejected
        self._files[before.times if before else 0].note(name, outcome)
        if row is None or isinstance(outcome, FireworksError):
            return None
        found = self._check(Answer(name.index, outcome))
        if not isinstance(found, Rejection):
            return None
        rejected = KeptAnswer(outcome, found, 1)
        if before is not None:
            rejected = before.and_another(outcome, found)
        return self._next(name.index, row.body, rejected)

    def forget(self, index: int) -> _RowUnderWay | None:
        """Let a row have no further attempt; return what was known of it."""
        return self._under_way.pop(index, None)

    def _next(
        self, index: int, body: Mapping[str, Any], rejected: KeptAnswer | None
    ) -> Mapping[str, Any] | None:
        if self._again is None:
            return body  # none was rejected to be run again
        request: Mapping[str, Any] | None = body
        if rejected is not None:
            request = self._again.request(
                body, rejected.completion, rejected.rejection, rejected.times
            )
        if request is not None:
            self._under_way[index] = _RowUnderWay(body, rejected)
        return request

    def _path(self, attempt: int) -> Path:
        return self._folder / (f"online-{attempt}.jsonl" if attempt else "online.jsonl")
