"""Where commands write: data to stdout, everything for people beside it to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.display.safe_console import SafeConsole
from oumi_fireworks.safe_text import safe, without_secrets

_PIPE_WIDTH = 100_000
"""Letters of a line in a pipe, so that nothing is cut: a program reads it, or a pager scrolls."""


def stdout() -> Console:
    """Return a console for what was asked for."""
    console = SafeConsole(highlight=False)
    return console if console.is_terminal else SafeConsole(highlight=False, width=_PIPE_WIDTH)


def stderr() -> Console:
    """Return a console for what is said beside it."""
    return SafeConsole(stderr=True, highlight=False)


def show(*parts: RenderableType) -> None:
    """Print what was asked for, on stdout."""
    console = stdout()
    if console.is_terminal:
        for part in parts:
            console.print(part)
        return
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    # Tables fill their last column with spaces, which is of no use to a program.
    lines = (line.rstrip() for line in captured.get().splitlines())
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def print_json(value: object) -> None:
    """Print what was asked for as JSON, on stdout."""
    typer.echo(without_secrets(json.dumps(value, indent=2)))


def say(message: str, style: str = "", console: Console | None = None) -> None:
    """Tell a person something, on stderr."""
    console = console or stderr()
    console.print(Text(safe(message), style=style), soft_wrap=not console.is_terminal)


def say_command(label: str, command: str, style: str = "") -> None:
    """Tell a person a command to run, on stderr: on one line, so that it is copied as one."""
    stderr().print(Text(safe(f"{label} {command}"), style=style), soft_wrap=True)


@contextmanager
def busy(message: str) -> Iterator[None]:
    """Say at once that something takes a while: a spinner on a terminal, a line in a log."""
    console = stderr()
    if not console.is_terminal:
        say(f"{message} ...", console=console)
        yield
        return
    with console.status(f"{message} ..."):
        yield


def complain(message: str) -> None:
    """Tell a person what went wrong, on stderr."""
    console = stderr()
    text = Text.assemble(("oumi-fireworks: ", "bold red"), safe(message))
    console.print(text, soft_wrap=not console.is_terminal)


def confirm(question: str, *, flag: str = "--yes") -> bool:
    """Ask a person, on stderr.

    Raises:
        WrongUseError: If nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise WrongUseError(f"Nobody is here to be asked ({question}). Say {flag} to go ahead.")
    return typer.confirm(question, err=True)


class _Saying(logging.Handler):
    """Passes log lines on to a person.

    Attributes:
        console: Where to. A live display puts its own there while it is on the terminal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.console = stderr()

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else "dim"
        say(record.getMessage(), style, self.console)


def show_logs() -> None:
    """Show what the batch layer does, and every warning of ours and of Oumi's, as sentences.

    They go to stderr: Oumi itself would write them to stdout, among the data.
    """
    _show_logger("oumi_fireworks")
    _show_logger("oumi")
    logging.getLogger("oumi_fireworks.batch").setLevel(logging.INFO)


def _show_logger(name: str) -> None:
    logger = logging.getLogger(name)
    logger.handlers = [_Saying()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
