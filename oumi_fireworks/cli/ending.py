"""How every command ends: with its exit code, and errors as one clear message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.errors import (
    BadLinesError,
    ConfigurationError,
    FireworksError,
    ForeignFolderError,
    InputError,
    NotFoundError,
    OptionError,
    OverBudgetError,
    PairingError,
    RunMismatchError,
)
from oumi_fireworks.signals import stopped_like_ctrl_c

P = ParamSpec("P")

_WRONG_USE = (
    WrongUseError,
    ConfigurationError,
    ForeignFolderError,
    OptionError,
    InputError,
    PairingError,
    RunMismatchError,
)


def reports_errors(command: Callable[P, ExitCode]) -> Callable[P, None]:
    """End a command with its exit code, errors as messages. A traceback that is left is a bug."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with stopped_like_ctrl_c():
                code = command(*args, **kwargs)
        except (KeyboardInterrupt, typer.Abort) as interruption:  # the latter at a question
            _complain(str(interruption) or "Interrupted.")
            code = ExitCode.INTERRUPTED
        except Exception as error:
            known = _code_of(error)
            if known is None:
                raise
            _complain(_message_of(error))
            code = known
        raise typer.Exit(code)

    return run


def _complain(message: str) -> None:
    # Loads rich, which a command that goes well may not need.
    from oumi_fireworks.cli.terminal import complain

    complain(message)


def _message_of(error: Exception) -> str:
    if isinstance(error, BadLinesError):
        return f"{error}\nCorrect them, or leave them out with --skip-bad."
    if isinstance(error, NotFoundError) and "model" in str(error).lower():
        return f"{error}\n`oumi-fireworks models` lists the models that there are."
    return str(error)


def _code_of(error: Exception) -> ExitCode | None:
    if isinstance(error, BadLinesError):
        return ExitCode.FAILED
    if isinstance(error, _WRONG_USE):
        return ExitCode.WRONG_USE
    if isinstance(error, BrokenPipeError):
        return None  # whoever reads our output has gone; typer knows what to do
    if isinstance(error, OverBudgetError):
        return ExitCode.ROWS_OPEN
    return ExitCode.FAILED if isinstance(error, FireworksError | OSError) else None
