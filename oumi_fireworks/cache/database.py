"""The file of an answer cache."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from oumi_fireworks.errors import AnswerCacheError
from oumi_fireworks.files import PRIVATE_FILE, make_private_folder
from oumi_fireworks.grammar import ended

_NAME = "answers.sqlite3"

_VERSION = 1
"""Of the tables, in SQLite's ``user_version``."""

_WAIT = 30.0
"""Seconds to wait for another process that is writing."""

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY NOT NULL,
    model TEXT NOT NULL,
    made REAL NOT NULL,
    completion BLOB NOT NULL
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def database_path(folder: Path) -> Path:
    """Return where the database of a cache is."""
    return folder / _NAME


def open_database(folder: Path, *, make: bool = True) -> sqlite3.Connection:
    """Open the database of a cache.

    Args:
        folder: The cache's folder.
        make: Whether to make it where there is none.

    Raises:
        AnswerCacheError: If it cannot be opened, or is not one of ours.
    """
    path = database_path(folder)
    try:
        if make:
            make_private_folder(folder)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE))
        elif not path.is_file():
            raise AnswerCacheError(f"There is no answer cache in {folder}: it has no {_NAME}.")
        database = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(folder, error) from error
    try:
        _prepare(database, folder)
    except sqlite3.Error as error:
        database.close()
        raise _unusable(folder, error) from error
    except AnswerCacheError:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, folder: Path) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(_TABLES)
    elif version != _VERSION:
        raise AnswerCacheError(
            f"The answer cache in {folder} has the format {version}, and this version reads "
            f"{_VERSION}. Name another folder."
        )


def _unusable(folder: Path, error: Exception) -> AnswerCacheError:
    return AnswerCacheError(
        f"The answer cache in {folder} cannot be used: {ended(error)} Nothing was sent. Name "
        "another folder on a local disk, or leave the cache out."
    )
