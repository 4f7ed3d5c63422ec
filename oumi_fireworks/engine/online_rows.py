"""Rows of any number run online: read as a stream, their outcomes kept in a file of results.

The file has the form of the service's batch results, so that whatever reads these reads it, too;
further attempts at rejected rows have files of their own. A row that has its answer there is not
sent again, whoever stopped the run, and why. A row that asks what an earlier one asks is not sent
either: which ones they are is found anew as the rows are read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oumi_fireworks.accept.again import Again
from oumi_fireworks.batch import Dedupe, Missing, OnOutcome, Request
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.batch.outcomes import Failure, OverBudget, RowState
from oumi_fireworks.batch.repeats import FirstRows, Repeats
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.batch.retry import rejected_to_run
from oumi_fireworks.batch.run_files import CONTENTS, LOCK_NAME, MANIFEST_NAME
from oumi_fireworks.batch.unsent import UnsentCounts
from oumi_fireworks.cache import AnswerCache, key_of_body
from oumi_fireworks.engine.cached_answers import CachedAnswers
from oumi_fireworks.engine.online_attempts import OnlineAttempts
from oumi_fireworks.errors import (
    FireworksError,
    OverBudgetError,
    RunLockedError,
    RunMismatchError,
)
from oumi_fireworks.files import PRIVATE_FILE, make_private_folder, write_whole
from oumi_fireworks.money import Budget, Usage
from oumi_fireworks.online import Completion, OnlineProgress, OnProgress, Pump, Purse
from oumi_fireworks.user_json import dumps

SETTINGS_NAME = f"{MANIFEST_NAME}.online"
"""What the rows are asked with: the file that tells of an online run."""

_OPEN = (RowState.MISSING, RowState.FAILED)

_ADVICE = "Make room, and run the same command again: nothing is paid twice."


@dataclass(frozen=True)
class OnlineResults:
    """What an online run has brought.

    Attributes:
        index: The outcome of every row.
        unsent: How many rows this call did not send, since another row or the cache answers them.
        used: Tokens of the answers of this call, rejected ones included.
        is_held: Whether something was not sent, since the budget did not allow it.
    """

    index: ResultIndex
    unsent: UnsentCounts = field(default_factory=UnsentCounts)
    used: Usage = field(default_factory=Usage)
    is_held: bool = False

    def message(self, outcome: Failure | Missing) -> str:
        """Say why a row has no answer."""
        if isinstance(outcome, Failure | OverBudget):
            return outcome.message
        return "it was not sent"


class OnlineRows:
    """A run whose memory is a folder.

    Args:
        folder: The run's own.
        rows: Gives the rows, as often as it is called.
        model: Whom to ask.
        asked: What tells this run from others: the model and the parameters, as JSON values.
        check: Says of an answer whether it is of use.
        dedupe: Which rows that ask what an earlier row asks are not sent, but get its outcome.
        again: How rejected rows are asked for again; None leaves them rejected.
        cache: Answers of other runs; those of this one that are of use are added. None without.
    """

    def __init__(
        self,
        folder: Path,
        rows: Callable[[], Iterator[Request]],
        model: str,
        asked: Mapping[str, Any],
        check: OnOutcome,
        dedupe: Dedupe,
        again: Again | None,
        cache: AnswerCache | None = None,
    ) -> None:
        self.folder = folder
        self._rows = rows
        self._model = model
        self._asked = asked
        self._check = check
        self._dedupe = dedupe
        self._cached = CachedAnswers(model, cache, check)
        self._own = OwnFolder(folder, CONTENTS)
        self._settings = folder / SETTINGS_NAME
        self._spending = folder / f"{SETTINGS_NAME}.spending"
        self._delivering = folder / f"{SETTINGS_NAME}.delivering"
        self._results = folder / "results"
        self._again = again

    @property
    def is_begun(self) -> bool:
        """Whether there is something to go on with."""
        return self._settings.exists()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others out of this run. The lock dies with the process.

        Raises:
            RunLockedError: If another process is at work on it.
            SpoolError: If the folder is somebody else's, or cannot be made.
        """
        self._own.claim()
        lock = FileLock(self.folder / LOCK_NAME, mode=PRIVATE_FILE)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise RunLockedError(
                f"Another process is at work on {self.folder}. Wait for it, or stop it."
            ) from error
        try:
            yield
        finally:
            if not self.is_begun and not (self.folder / MANIFEST_NAME).exists():
                self._own.remove()
            lock.release()

    async def advance(
        self, pump: Pump, on_progress: OnProgress, budget: Budget | None = None
    ) -> OnlineResults:
        """Ask for every row that has no answer yet.

        Args:
            pump: Sends the requests.
            on_progress: Told how far it is.
            budget: What all of them must not cost more than, earlier runs of them included.

        Raises:
            RunMismatchError: If the folder holds the rows of something else.
            SpoolError: If the disk does not take an outcome.
            FireworksError: What stopped it; the same call goes on from there.
        """
        digests = array("Q", (request.digest or 0 for request in self._rows()))
        self._begin()
        attempts = OnlineAttempts(self._results, self._check, self._again)
        index = attempts.index(digests)
        ended_before = index.counts.answered + index.counts.rejected
        ended_before -= rejected_to_run(index, self._again)
        repeats = Repeats()
        over_budget: list[int] = []
        used = Usage()
        purse = None if budget is None else Purse(budget, self._spending)
        with attempts, purse or nullcontext():

            def note(row: int, outcome: Completion | FireworksError) -> Mapping[str, Any] | None:
                further = None
                if isinstance(outcome, OverBudgetError):
                    over_budget.append(row)
                    attempts.forget(row)
                else:
                    further = attempts.note(RowId(row, digests[row]), outcome)
                if further is not None:
                    return {"model": self._model, **further}
                self._cached.keep(row, outcome)
                return None

            def see(progress: OnlineProgress) -> None:
                nonlocal used
                used = progress.used
                not_sent = ended_before + len(repeats) + self._cached.found
                on_progress(replace(progress, done=progress.done + not_sent))

            requests = self._to_send(index, repeats, attempts)
            await pump.run(requests, note, total=len(digests), on_progress=see, purse=purse)
        found = attempts.index(digests, repeats)
        found.share()
        found.note_over_budget(over_budget)
        unsent = UnsentCounts(len(repeats), self._cached.found)
        return OnlineResults(found, unsent, used, is_held=bool(over_budget))

    def _to_send(
        self, index: ResultIndex, repeats: Repeats, attempts: OnlineAttempts
    ) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the requests of the rows that nothing answers.

        Args:
            index: The outcomes that there are.
            repeats: Takes the rows that an earlier one of these answers.
            attempts: Takes the answers of the cache, and says how rejected rows are asked for.
        """
        first_rows = FirstRows()
        rejected = attempts.rejected(index)
        next_rejected = next(rejected, None)
        for request in self._rows():
            row, key = request.index, None
            before = None
            if next_rejected is not None and next_rejected.index == row:
                before, next_rejected = next_rejected, next(rejected, None)
            is_open = before is not None or index.state(row) in _OPEN
            if self._dedupe.covers(request.body):
                key = key_of_body(self._model, request.body)
                first = first_rows.find(key)
                if first is not None and is_open:
                    repeats.add(row, first)
                    continue
            if is_open and (known := self._cached.find(request, key)) is not None:
                attempts.note_known(RowId(row, request.digest), known)
                continue  # no first row: the cache knows those that ask the same as well
            if key is not None:
                first_rows.first(key, row)
            if is_open and (body := attempts.begin(request, before)) is not None:
                yield row, {"model": self._model, **body}

    @property
    def is_delivering(self) -> bool:
        """Whether the rows were put where they belong, or were about to be."""
        return self._delivering.exists()

    def begin_delivery(self) -> None:
        """Note that the rows are about to be put where they belong."""
        self._delivering.touch()

    def finish(self) -> None:
        """Forget the run: its rows are where they belong."""
        self._settings.unlink(missing_ok=True)
        self._own.clear(keep=[LOCK_NAME])

    def _begin(self) -> None:
        if (self.folder / MANIFEST_NAME).exists():
            raise RunMismatchError(
                f"{self.folder} holds an unfinished batch. Finish it with --mode batch, or remove "
                "the folder to begin anew, and pay anew."
            )
        content = dumps(self._asked, sort_keys=True)
        if not self.is_begun:
            make_private_folder(self._results)
            write_whole(self._settings, content, advice=_ADVICE, private=True)
        elif self._settings.read_bytes() != content:
            raise RunMismatchError(
                f"{self.folder} holds the unfinished rows of another model or of other "
                "parameters. Run them as they were begun, or remove the folder to begin anew, and "
                "pay anew."
            )
