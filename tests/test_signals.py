"""What is told to end cleans up first, and ends as it would have done."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CHILD = """
import os, sys
from oumi_fireworks.signals import ended_after_cleanup

try:
    with ended_after_cleanup():
        try:
            os.kill(os.getpid(), int(sys.argv[1]))
            sys.exit("not stopped")
        finally:
            print("cleaned up", flush=True)
except KeyboardInterrupt:
    print("kept alive", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_after_its_cleanup(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(int(number))], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (-number, "cleaned up\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_handles_a_signal_goes_on_handling_it(number: signal.Signals) -> None:
    code = CHILD.replace("import os, sys", "import os, signal, sys\n"
                         "signal.signal(int(sys.argv[1]), lambda *_: print('theirs'))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, str(int(number))], capture_output=True)
    assert done.stdout.splitlines() == [b"theirs", b"cleaned up"]
    assert done.returncode == 1


def test_a_loop_that_is_being_made_cannot_be_interrupted() -> None:
    """A signal that comes before the loop is whole is seen when it is, and leaves no traceback."""
    code = """
import asyncio, os, signal
from oumi_fireworks.signals import run_whole

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        os.kill(os.getpid(), signal.SIGINT)  # it waits
        return super().new_event_loop()

asyncio.set_event_loop_policy(Policy())
try:
    run_whole(lambda: asyncio.sleep(0))
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
