"""The exit codes, and the error of a command that cannot be used as it was."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    """All is well; where it is about rows, every one has its answer."""

    FAILED = 1
    """It failed, and the message says why."""

    WRONG_USE = 2
    """A typo, an id that cannot be one, a setting that cannot work, other rows or settings than
    those of the run, the batch or the key that was named. Nothing was done."""

    ROWS_OPEN = 3
    """A batch has finished, and some of its rows have no answer."""

    INTERRUPTED = 130
    """Somebody pressed Ctrl-C, or the process was told to end (SIGTERM, SIGHUP)."""


class WrongUseError(Exception):
    """The command cannot be used like this; the message says how it can."""
