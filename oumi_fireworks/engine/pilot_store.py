"""What pilots leave beside the answers of a cache: rows without an answer, and batches under way.

Answers are in the cache itself. Light: the command line uses this, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oumi_fireworks.batch import Failure, Outcome, Rejected, Request, UnreadableAnswer
from oumi_fireworks.batch.failures import is_refusal
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.batch.requests import RowId, encode_row
from oumi_fireworks.batch.run_files import CONTENTS, MANIFEST_NAME
from oumi_fireworks.cache import key_of_body
from oumi_fireworks.engine.run_folder import key_of
from oumi_fireworks.errors import AnswerCacheError, RunLockedError
from oumi_fireworks.files import (
    PRIVATE_FILE,
    AppendedFile,
    make_private_folder,
    replacing,
    whole_lines,
)
from oumi_fireworks.grammar import ended
from oumi_fireworks.user_json import dumps, loads

_FOLDER = "pilots"
_OPEN_ROWS = "open.jsonl"
_NEXT = "next.jsonl"
_LOCK = "lock"
_REQUESTS = "stdin.rows"
"""The requests of a batch, in the folder of its run, which removes it with all else."""

_ADVICE = "Nothing was sent. Make room, or name another folder with --cache."


@dataclass(frozen=True)
class UnansweredRow:
    """A row of an earlier pilot that has no answer, and would have none again.

    Attributes:
        completion: The answer that did not hold; None where there is none.
        message: Why it has none, in the service's words.
        code: The service's code, where it gives one.
    """

    completion: Mapping[str, Any] | None
    message: str = ""
    code: str | None = None

    def outcome(self, row: int, judge: Callable[[int, Mapping[str, Any]], Outcome]) -> Outcome:
        """Return what it is to a row, by what is asked of answers now."""
        if self.completion is not None:
            return judge(row, self.completion)
        return Failure(row, self.message, self.code)


@dataclass(frozen=True)
class PilotBatch:
    """The rows of one pilot that are a batch.

    Attributes:
        folder: The folder of its run.
        model: Their model.
    """

    folder: Path
    model: str

    @property
    def is_under_way(self) -> bool:
        """Whether its jobs may have been made, and its answers are not all in the cache."""
        return (self.folder / MANIFEST_NAME).exists()

    def requests(self) -> Iterator[Request]:
        """Yield its requests, numbered from 0."""
        with (self.folder / _REQUESTS).open("rb") as lines:
            for line in lines:
                row = loads(line)
                name = RowId.parse(row["custom_id"])
                assert name is not None
                yield Request(name.index, row["body"], name.digest)

    def row_keys(self) -> list[bytes]:
        """Return the keys of its requests."""
        return [key_of_body(self.model, each.body) for each in self.requests()]

    def take(self, requests: Path) -> None:
        """Take a file of requests for its own; the folder must be there."""
        requests.replace(self.folder / _REQUESTS)


class PilotStore:
    """The pilots with one cache, model and precision. One process at a time holds it.

    Args:
        cache: The folder of the cache.
        model: The model.
        precision: The precision; None is the service's own.
    """

    def __init__(self, cache: Path, model: str, precision: str | None) -> None:
        self.folder = cache / _FOLDER / key_of([model, precision])
        self._model = model
        self._open = AppendedFile(self.folder / _OPEN_ROWS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other pilots out, which might send the same rows. The lock dies with the process.

        Raises:
            RunLockedError: If another one is at work.
            AnswerCacheError: If the folder cannot be used.
        """
        try:
            make_private_folder(self.folder.parent)
            make_private_folder(self.folder)
            lock = FileLock(self.folder / _LOCK, mode=PRIVATE_FILE)
            lock.acquire(blocking=False)
        except Timeout as error:
            raise RunLockedError(
                f"Another pilot of this model is at work with this answer cache ({self.folder}). "
                "Wait for it, or stop it; this one has sent nothing."
            ) from error
        except OSError as error:
            raise AnswerCacheError(
                f"{self.folder} cannot be used: {ended(error.strerror or error)} {_ADVICE}"
            ) from error
        try:
            yield
        finally:
            self._open.close()
            lock.release()

    def open_rows(self, keys: Collection[bytes]) -> dict[bytes, UnansweredRow]:
        """Return what is remembered of rows without an answer, by the keys of their requests."""
        found: dict[bytes, UnansweredRow] = {}
        for line in whole_lines(self._open.path):
            row = loads(line)
            if (key := bytes.fromhex(row["key"])) in keys:
                error = row.get("error") or {}
                found[key] = UnansweredRow(
                    row.get("response"), error.get("message", ""), error.get("code")
                )
        return found

    def remember(self, key: bytes, outcome: Outcome) -> None:
        """Remember a row that has no answer, where to ask once more would bring none either.

        Args:
            key: The key of its request.
            outcome: What became of it.
        """
        line: dict[str, Any]
        if isinstance(outcome, Rejected):
            line = {"response": outcome.completion}
        elif isinstance(outcome, UnreadableAnswer) or (
            isinstance(outcome, Failure) and is_refusal(outcome.code)
        ):
            line = {"error": {"message": outcome.message, "code": outcome.code}}
        else:
            return
        self._open.append(dumps({"key": key.hex(), **line}) + b"\n")
        self._open.sync()

    def write(self, requests: Iterable[Request]) -> tuple[Path, int]:
        """Write requests for a further batch; return the file, and how many there are.

        Raises:
            WriteError: If the disk does not take them.
        """
        path, written = self.folder / _NEXT, 0
        with replacing(path, advice=_ADVICE, private=True) as file:
            for request in requests:
                file.write(encode_row(replace(request, index=written)))
                written += 1
        return path, written

    def under_way(self, keys: Collection[bytes]) -> list[PilotBatch]:
        """Return the batches under way that have any of some rows, by the keys of their requests.

        What is left of a batch that had sent nothing yet is removed.
        """
        found = []
        for batch in self.batches():
            if not batch.is_under_way:
                OwnFolder(batch.folder, CONTENTS).remove()
            elif not set(batch.row_keys()).isdisjoint(keys):
                found.append(batch)
        return found

    def batches(self) -> Iterator[PilotBatch]:
        """Yield the batches that have not ended, whatever their rows, and what is left of others.

        To look at them, nobody needs to hold the store.
        """
        for marked in sorted(self.folder.glob(f"*/{_REQUESTS}")):
            yield PilotBatch(marked.parent, self._model)

    def new_batch(self) -> PilotBatch:
        """Return a batch that there is not yet."""
        names = (self.folder / f"batch-{number}" for number in count(1))
        return PilotBatch(next(name for name in names if not name.exists()), self._model)
