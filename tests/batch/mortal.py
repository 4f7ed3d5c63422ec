"""Processes that end by themselves, by SIGKILL after a while, or by SIGKILL at a certain call.

A script whose last line is :func:`serve` imports everything once and then forks a child for each
order that it reads from its stdin, so that a start costs milliseconds. Orders and answers are lines
of JSON. Any order may have::

    {"kill_after": seconds or null,                SIGKILL at that moment
     "die_at": [file, function, number, moment],   SIGKILL at a call: see die_at
     "file_limit": bytes or null}                  what the disk takes for one file

What is answered::

    {"pid"}                   the child has started
    {"error", "message"}      of the child, if there is one
    {"status"}                the child has ended: its exit code, or minus the signal
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any


def end_of(child: int, *, killed_after: float | None = None) -> int:
    """Wait for the end of a child of this process, or kill it.

    Args:
        child: Its process id.
        killed_after: Seconds that it has to live; None for as long as it wants.

    Returns:
        Its exit code, or minus the signal that ended it.
    """
    handle = os.pidfd_open(child)
    try:
        has_ended, _, _ = select.select([handle], [], [], killed_after)
        if not has_ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def forked(carry_out: Callable[[], object], *, killed_after: float | None = None) -> int:
    """Carry something out in a fork of this process; see :func:`end_of`. An exception is code 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            carry_out()
            code = 0
        finally:
            os._exit(code)
    return end_of(child, killed_after=killed_after)


def die_at(file: str, function: str, number: int, moment: str) -> None:
    """Have this process killed by SIGKILL at a call, in whichever thread begun from now on.

    Args:
        file: The end of the name of the file that the function is in.
        function: The function.
        number: Which of its calls, counted from 1.
        moment: Whether "before" it is carried out, or "after".
    """
    wanted, seen = "call" if moment == "before" else "return", 0

    def watch(frame: FrameType, event: str, _: object) -> None:
        nonlocal seen
        code = frame.f_code
        if event == wanted and code.co_name == function and code.co_filename.endswith(file):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def serve(carry_out: Callable[[dict[str, Any]], int | None]) -> None:
    """Fork a child for each order that comes in, one after the other.

    Args:
        carry_out: What a child does; returns its exit code, None for 0.
    """
    pipe = os.dup(sys.stdout.fileno())  # of this function alone, whatever a child makes of stdout

    def say(**what: object) -> None:
        # In one piece: parent and child share the pipe.
        os.write(pipe, json.dumps(what).encode() + b"\n")

    def be_the_child(order: dict[str, Any]) -> int:
        if order.get("file_limit") is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"],) * 2)
        if order.get("die_at") is not None:
            die_at(*order["die_at"])
        try:
            return carry_out(order) or 0
        except BaseException as error:
            say(error=type(error).__name__, message=str(error))
            return 1

    for line in sys.stdin:
        order = json.loads(line)
        gate, opener = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(gate, 1)  # the parent speaks first
            os._exit(be_the_child(order))
        say(pid=pid)
        os.write(opener, b"!")
        os.close(gate)
        os.close(opener)
        say(status=end_of(pid, killed_after=order.get("kill_after")))
