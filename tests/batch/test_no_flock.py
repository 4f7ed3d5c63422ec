"""Runs on a file system that knows no flock, as some network and overlay file systems do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHILD = """
import errno, fcntl, sys, warnings
from pathlib import Path

def flock(descriptor, operation):
    raise OSError(errno.ENOSYS, "Function not implemented")

fcntl.flock = flock  # what the kernel answers there
warnings.simplefilter("ignore")  # the one that says so

from oumi_fireworks.batch import BatchRun, JobSpec, RunOptions
from oumi_fireworks.errors import RunLockedError

run = BatchRun(Path(sys.argv[1]), lambda: iter(()), JobSpec("toy"), {}, RunOptions())
try:
    with run.lock():
        print("at work", flush=True)
        sys.stdin.read()
except RunLockedError:
    print("refused", flush=True)
"""


@contextmanager
def process_at(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a process that works on the run in a folder until its stdin ends."""
    command = [sys.executable, "-c", CHILD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


def test_a_run_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    with process_at(tmp_path / "run") as (_, first):
        assert first == "at work"
        with process_at(tmp_path / "run") as (_, second):
            assert second == "refused"
    with process_at(tmp_path / "run") as (_, third):
        assert third == "at work"


def test_a_run_whose_process_was_killed_is_free_again(tmp_path: Path) -> None:
    with process_at(tmp_path / "run") as (process, first):
        assert first == "at work"
        process.kill()
    with process_at(tmp_path / "run") as (_, second):
        assert second == "at work"
