"""How a command ends: exit codes, and errors as one clear message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec, TypeVar

import typer

P = ParamSpec("P")
T = TypeVar("T")


class ExitCode(IntEnum):
    """The exit codes of the batch commands."""

    ANSWERED = 0
    """All is well; where it is about rows, every one has its answer."""

    FAILED = 1
    """It failed, and the message says why."""

    WRONG_USE = 2
    """A typo, an id that cannot be one, a setting that cannot work. Nothing was done."""

    INCOMPLETE = 3
    """A batch has finished, and some of its rows failed."""

    INTERRUPTED = 130
    """Somebody pressed Ctrl-C."""


class WrongUseError(Exception):
    """The command cannot be used like this; the message says how it can."""


def reports_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Make a command's errors messages and exit codes. What is left with a traceback is a bug."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (KeyboardInterrupt, typer.Abort) as interruption:  # the latter at a question
            said = str(interruption) or "Interrupted."
            raise _ended(ExitCode.INTERRUPTED, said) from None
        except Exception as error:
            outcome = _outcome_of(error)
            if outcome is None:
                raise
            raise _ended(outcome, _message_of(error)) from None

    return run


def _ended(outcome: ExitCode, message: str) -> typer.Exit:
    from oumi_fireworks.cli.terminal import complain

    complain(message)
    return typer.Exit(outcome)


def _message_of(error: Exception) -> str:
    from oumi_fireworks.errors import BadLinesError

    if isinstance(error, BadLinesError):
        return f"{error}\nCorrect them, or leave them out with --skip-bad."
    return str(error)


def _outcome_of(error: Exception) -> ExitCode | None:
    from oumi_fireworks.errors import (
        BadLinesError,
        ConfigurationError,
        FireworksError,
        InputError,
        OptionError,
        RunMismatchError,
    )

    if isinstance(error, BadLinesError):
        return ExitCode.FAILED
    if isinstance(
        error, WrongUseError | ConfigurationError | OptionError | InputError | RunMismatchError
    ):
        return ExitCode.WRONG_USE
    if isinstance(error, BrokenPipeError):
        return None  # whoever reads our output has gone; typer knows what to do
    return ExitCode.FAILED if isinstance(error, FireworksError | OSError) else None
