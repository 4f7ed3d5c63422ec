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
