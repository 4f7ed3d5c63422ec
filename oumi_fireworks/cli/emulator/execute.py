"""``oumi-fireworks emulator exec``: a command with an emulator of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from oumi_fireworks.cli.emulator.options import EmulatorOptions
from oumi_fireworks.cli.emulator.running import handling, log_requests, running, say

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
"""Exit codes of a shell for a command that does not exist, and for one that cannot be run."""

_TURN = 0.5
"""Seconds that a wait for the command lasts before signals are looked at again."""

_FORWARDED = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)  # Windows has not all of them
]


def execute_command(command: Sequence[str], options: EmulatorOptions, *, is_verbose: bool) -> int:
    """Run a command against a fresh emulator, and return the command's exit code.

    Args:
        command: The command and its arguments.
        options: Which emulator.
        is_verbose: Whether to log requests.
    """
    emulator = options.emulator()
    if is_verbose:
        log_requests()
    with running(emulator):
        return _run(command, emulator.env)


def _run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end, and return the exit code that a shell would."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int) -> None:
        if child is None:
            early.append(number)
        # A terminal sends its Ctrl-C to the command as well: once is enough.
        elif number != signal.SIGINT or not _is_foreground():
            child.send_signal(number)

    # Before the command begins, so that no signal ends us and leaves it behind.
    with handling((signal.SIGINT, *_FORWARDED), pass_on):
        try:
            child = subprocess.Popen(command, env={**os.environ, **env})  # noqa: S603 - asked for
        except FileNotFoundError:
            say(f"{command[0]}: command not found")
            return _NOT_FOUND
        except PermissionError:
            say(f"{command[0]}: permission denied")
            return _NOT_EXECUTABLE
        except OSError as error:
            say(f"{command[0]}: {error.strerror}")
            return _NOT_EXECUTABLE
        for number in early:
            child.send_signal(number)
        code = _code_of(child)
    return 128 - code if code < 0 else code


def _code_of(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end in turns, for the reason that :func:`oumi_fireworks.signals.wait` gives."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_TURN)


def _is_foreground() -> bool:
    """Whether this process belongs to those that the terminal sends its signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
