"""A folder of answers: a SQLite database, for several processes at once, and killed at any time.

It holds completions as the service has sent them. Only answers are kept that the run which paid for
them took for good; what failed or was rejected is not.

WAL lets one process write while others read. A commit is not on the disk at once (``synchronous =
NORMAL``): a crash of the machine may lose the latest answers from the cache, but damages nothing,
and the run that paid for them has files of its own. WAL needs shared memory, so the folder has to
be on a local disk (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from oumi_fireworks.cache.database import open_database
from oumi_fireworks.completions import ANSWERED_BY, FROM_CACHE, answer_choice
from oumi_fireworks.logs import logger_for
from oumi_fireworks.user_json import dumps, loads

logger = logger_for(__name__)

_ROWS_AT_ONCE = 500
"""Answers that are written in one transaction."""

_LEVEL = 1
"""Of compression: the quickest."""


class AnswerCache:
    """The answers of a folder. Safe in several threads.

    Args:
        folder: The folder; made if need be.
        max_age: How old an answer may be that is given out; None for any.

    Raises:
        AnswerCacheError: If the folder cannot be used.
    """

    def __init__(self, folder: Path, max_age: timedelta | None = None) -> None:
        self._max_age = max_age
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = open_database(folder)

    def close(self) -> None:
        """Close the database; nothing is found or kept any more."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def find(self, key: bytes) -> dict[str, Any] | None:
        """Return the completion for a request, marked as one from here; None where there is none.

        Args:
            key: Of the request (:mod:`oumi_fireworks.cache.keys`).
        """
        oldest = 0.0 if self._max_age is None else time.time() - self._max_age.total_seconds()
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.execute(
                    "SELECT completion FROM answers WHERE key = ? AND made >= ?", (key, oldest)
                ).fetchone()
            except sqlite3.Error as error:
                self._give_up("read", error)
                return None
        if row is None:
            return None
        with suppress(ValueError, TypeError, zlib.error):
            completion = loads(zlib.decompress(row[0]))
            if answer_choice(completion) is not None:
                return {**completion, ANSWERED_BY: FROM_CACHE}
        return None

    def keep(self, model: str, answers: Iterable[tuple[bytes, Mapping[str, Any]]]) -> int:
        """Keep answers: the key and the completion of each. Later ones replace earlier ones.

        What cannot be written is logged: a run does not end for it.

        Args:
            model: Their model.
            answers: Taken one after the other.

        Returns:
            How many were kept.
        """
        now, kept = time.time(), 0
        packed = (
            (key, model, now, zlib.compress(dumps(completion), _LEVEL))
            for key, completion in answers
        )
        while rows := list(islice(packed, _ROWS_AT_ONCE)):
            with self._lock:
                if self._database is None:
                    break
                try:
                    with self._database:
                        self._database.executemany(
                            "INSERT OR REPLACE INTO answers (key, model, made, completion) "
                            "VALUES (?, ?, ?, ?)",
                            rows,
                        )
                except sqlite3.Error as error:
                    self._give_up("written", error)
                    break
            kept += len(rows)
        return kept

    def _give_up(self, what: str, error: sqlite3.Error) -> None:
        """Go on without the cache."""
        logger.warning("The answer cache cannot be %s and is left alone now: %s", what, error)
        assert self._database is not None
        self._database.close()
        self._database = None
