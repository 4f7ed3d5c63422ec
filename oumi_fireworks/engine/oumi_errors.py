"""Our errors as Oumi's callers and Oumi's command line know them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import click
from oumi.exceptions import OumiConfigError
from oumi.utils.http import APIStatusError
from rich.markup import escape

from oumi_fireworks.errors import APIError, FireworksError

P = ParamSpec("P")
T = TypeVar("T")

Bases = tuple[type[FireworksError], *tuple[type[Exception], ...]]
"""One of our classes, then Oumi's."""

_COMMANDS = "oumi.cli.main"


def speaks_oumi(method: Callable[P, T]) -> Callable[P, T]:
    """Let what a method raises be caught as Oumi's errors, too.

    An error of the service is an ``APIStatusError`` as well, whatever else it is. Under the
    command ``oumi`` every error that this package raises on purpose is an ``OumiConfigError``
    as well: for such a one the command prints the message, for others a traceback of 140 lines
    and a link to Oumi's issues.
    """

    @wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except FireworksError as error:
            _join_oumi(error, is_command=is_oumi_command())
            raise

    return wrapped


def is_oumi_command() -> bool:
    """Tell whether this thread runs a command of Oumi's."""
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    return getattr(context.find_root().command.callback, "__module__", None) == _COMMANDS


def _join_oumi(error: FireworksError, *, is_command: bool) -> None:
    bases: list[type[Exception]] = []
    if isinstance(error, APIError) and not isinstance(error, APIStatusError):
        bases.append(APIStatusError)
    if is_command and not isinstance(error, OumiConfigError):
        bases.append(_ShownInOneSentence)
    if bases:
        error.__class__ = _joined((type(error), *bases))


@cache
def _joined(bases: Bases) -> type[FireworksError]:
    """Derive a class from one of ours and from Oumi's, under our name."""
    ours = bases[0]

    def reduce(error: FireworksError) -> tuple[Any, ...]:
        return _restored, (bases, error.args), error.__dict__

    attributes = {
        "__module__": ours.__module__, "__qualname__": ours.__qualname__, "__doc__": ours.__doc__,
        "__reduce__": reduce, "api_input": None,
    }  # fmt: skip
    return type(ours.__name__, bases, attributes)


def _restored(bases: Bases, args: tuple[Any, ...]) -> FireworksError:
    error = bases[0](*args)
    error.__class__ = _joined(bases)
    return error


class _ShownInOneSentence(OumiConfigError):
    """What Oumi's command prints as ``Error:`` and the message."""

    def __format__(self, spec: str) -> str:
        # It is put into a text with rich's markup, where [this] would be lost.
        return escape(super().__format__(spec))
