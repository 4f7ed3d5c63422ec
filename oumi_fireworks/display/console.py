"""A terminal that others write to as well: their log lines, and their own live display."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TextIO

from rich.console import Console
from rich.file_proxy import FileProxy


def console_in_use() -> Console | None:
    """Return the console of the Oumi command that has a live display on the terminal, if any.

    Oumi's commands keep a spinner turning while an engine works. A display on another console
    would not know of it, and each would tear the other's lines; on the same console the second
    one is drawn below the first.
    """
    oumi = sys.modules.get("oumi.cli.cli_utils")
    # A live display on a terminal puts a proxy in the place of stderr, be stderr a file or not.
    if oumi is None or not isinstance(sys.stderr, FileProxy) or not sys.stderr.isatty():
        return None
    console = oumi.CONSOLE
    return console if isinstance(console, Console) else None


@contextmanager
def log_above(console: Console) -> Iterator[None]:
    """Send what log handlers write to the terminal through a console, while the block runs.

    A handler holds the stream that it was made with; writing there it would tear the lines that
    a live display draws on the same terminal. Handlers that write anywhere else are left alone.

    Args:
        console: A console with a live display on the terminal.
    """
    with ExitStack() as stack:
        for handler in _handlers():
            if isinstance(own := getattr(handler, "console", None), Console):  # rich's handler
                if own is not console and own.is_terminal:
                    stack.callback(setattr, handler, "console", own)
                    handler.console = console  # type: ignore[attr-defined]
            elif isinstance(handler, logging.StreamHandler) and _is_terminal(handler.stream):
                stack.callback(partial(handler.setStream, handler.stream))
                handler.setStream(FileProxy(console, console.file))
        yield


def _handlers() -> list[logging.Handler]:
    named = logging.root.manager.loggerDict.values()
    loggers = [logging.root, *(each for each in named if isinstance(each, logging.Logger))]
    return [handler for logger in loggers for handler in logger.handlers]


def _is_terminal(stream: TextIO) -> bool:
    try:
        return not isinstance(stream, FileProxy) and bool(stream.isatty())
    except (AttributeError, ValueError):  # an odd stream, or a closed one
        return False
