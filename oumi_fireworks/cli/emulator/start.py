"""``oumi-fireworks emulator start``: an emulator that runs until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

from oumi_fireworks.cli.emulator.options import EmulatorOptions
from oumi_fireworks.cli.emulator.running import handling, log_requests, running, say
from oumi_fireworks.errors import WriteError
from oumi_fireworks.files import write_whole
from oumi_fireworks.signals import wait


def start_emulator(options: EmulatorOptions, env_file: Path | None, *, is_quiet: bool) -> None:
    """Run an emulator until Ctrl-C, and say how to use it.

    Args:
        options: Which emulator.
        env_file: Gets the variables for as long as it runs.
        is_quiet: Whether not to log requests.
    """
    emulator = options.emulator()
    if not is_quiet:
        log_requests()
    stop = threading.Event()
    with (
        handling((signal.SIGINT, signal.SIGTERM), lambda _number: stop.set()),
        running(emulator),
        _written(emulator.env, env_file),
    ):
        say(f"A Fireworks emulator listens on {emulator.url}. To use it:\n")
        shown = (
            emulator.env if options.key is None else {**emulator.env, "FIREWORKS_API_KEY": "..."}
        )
        for name, value in shown.items():
            say(f"  export {name}={shlex.quote(value) if value != '...' else '... # your --key'}")
        say("\nCtrl-C stops it.")
        wait(stop)
    say(f"Stopped. Its state is kept in {options.state}." if options.state else "Stopped.")


@contextmanager
def _written(env: Mapping[str, str], path: Path | None) -> Iterator[None]:
    """Keep the variables in a file, which others find as a whole or not at all."""
    if path is None:
        yield
        return
    text = "".join(f"{name}={value}\n" for name, value in env.items())
    try:
        write_whole(path, text.encode(), advice="Name another --env-file.", private=True)
    except WriteError as error:
        say(str(error))
        raise typer.Exit(1) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
