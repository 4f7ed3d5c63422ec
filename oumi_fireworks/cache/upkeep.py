"""What is in a cache, and how it is emptied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oumi_fireworks.cache.database import database_path, open_database
from oumi_fireworks.errors import AnswerCacheError
from oumi_fireworks.grammar import ended


@dataclass(frozen=True)
class CacheStats:
    """What is in a cache.

    Attributes:
        answers: How many answers.
        bytes: Size of the database on the disk.
        oldest: When the oldest of them was kept; None without any.
        newest: When the newest was.
        models: Answers by model, the model with most of them first.
    """

    answers: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    models: dict[str, int]


def stats_of(folder: Path) -> CacheStats:
    """Count what is in a cache.

    Raises:
        AnswerCacheError: If there is none, or it cannot be read.
    """
    try:
        with closing(open_database(folder, make=False)) as database:
            answers, oldest, newest = database.execute(
                "SELECT COUNT(*), MIN(made), MAX(made) FROM answers"
            ).fetchone()
            models = dict(
                database.execute(
                    "SELECT model, COUNT(*) FROM answers GROUP BY model ORDER BY 2 DESC, 1"
                )
            )
    except sqlite3.Error as error:
        raise _unreadable(folder, error) from error
    return CacheStats(answers, _size(folder), _time(oldest), _time(newest), models)


def clear_cache(folder: Path, before: datetime | None = None) -> int:
    """Remove answers, and give their room back to the disk.

    Args:
        folder: The cache.
        before: Only those that were kept before this moment (with a time zone).

    Returns:
        How many were removed.

    Raises:
        AnswerCacheError: If there is no cache, or it cannot be written.
    """
    until = None if before is None else before.timestamp()
    try:
        with closing(open_database(folder, make=False)) as database:
            with database:
                removed = database.execute(
                    "DELETE FROM answers WHERE ?1 IS NULL OR made < ?1", (until,)
                ).rowcount
            if removed:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise _unreadable(folder, error) from error
    return removed


def _size(folder: Path) -> int:
    path = database_path(folder)
    parts = (path, path.with_name(f"{path.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _unreadable(folder: Path, error: sqlite3.Error) -> AnswerCacheError:
    return AnswerCacheError(f"The answer cache in {folder} cannot be used: {ended(error)}")
