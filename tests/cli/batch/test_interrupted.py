"""A run that is interrupted or killed: the batch goes on, and the same command comes back to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator, Fault, Pace
from tests.cli.batch.support import CONFIG, Command, question, read_lines, submit, write_lines

SCRIPT = Path(sys.executable).with_name("oumi-fireworks")

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose jobs take their eight minutes, unless time is moved."""
    with Emulator(speed=1, pace=Pace(uploading=0)) as emulator:
        yield emulator


def run_in_background(
    stack: ExitStack, arguments: list[str], **environ: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
        # A shell may have told its background jobs to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    stack.callback(process.communicate)
    stack.callback(process.kill)
    return process


@pytest.fixture
def start(at_emulator: Emulator) -> Iterator[Start]:
    """Starts a run to some output, in a process of its own."""
    Path("config.yaml").write_text(CONFIG)
    write_lines(Path("in.jsonl"), [question("first"), question("second")])

    with ExitStack() as stack:

        def run(output: str) -> subprocess.Popen[str]:
            return run_in_background(stack, arguments(output))

        yield run


def arguments(output: str) -> list[str]:
    return ["batch", "run", "-c", "config.yaml", "--input", "in.jsonl", "--output", output]


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process says until it says something."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}: {''.join(said)}")


def test_interrupted_or_killed_the_same_command_goes_on_without_another_job(
    fireworks: Command, at_emulator: Emulator, start: Start
) -> None:
    interrupted, killed = start("one.jsonl"), start("two.jsonl")  # Oumi loads in both at once
    for process in (interrupted, killed):
        wait_for(process, "Checking the input")
    killed.send_signal(signal.SIGKILL)
    interrupted.send_signal(signal.SIGINT)
    out, said = interrupted.communicate()
    killed.communicate()
    jobs = {job.id for job in at_emulator.jobs}
    (batch,) = [job for job in jobs if job in said]
    assert interrupted.returncode == 130
    assert out == ""
    assert f"Interrupted. Batch {batch} goes on at Fireworks." in said
    assert "Run the same again" in said
    assert f"oumi-fireworks batch cancel {batch}" in said
    assert "Traceback" not in said
    assert killed.returncode == -signal.SIGKILL
    assert not Path("one.jsonl").exists()

    at_emulator.clock.advance(3600)
    for output in ("one.jsonl", "two.jsonl"):
        ended = fireworks(*arguments(output))
        assert ended.code == 0, ended.err
        assert "Going on with oumi-" in ended.err
        assert [row["messages"][0]["content"] for row in read_lines(Path(output))] == [
            "first",
            "second",
        ]
        assert not Path(f"{output}.run").exists()
    assert {job.id for job in at_emulator.jobs} == jobs
    assert len(jobs) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_submission_that_is_stopped_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG)
    write_lines(Path("in.jsonl"), [question("first"), question("second")])
    Path("temporary").mkdir()
    command = ["batch", "submit", "-c", "config.yaml", "--input", "in.jsonl"]
    with (
        Emulator(speed=1, pace=Pace(uploading=3600)) as emulator,  # it never comes to its end
        ExitStack() as stack,
    ):
        process = run_in_background(stack, command, TMPDIR="temporary", **emulator.env)
        wait_for(process, "Submitting")
        process.send_signal(number)
        out, said = process.communicate()
        assert process.returncode == 130, said
        assert out == ""
        assert "Interrupted. Nothing was submitted." in said
        assert "Traceback" not in said
        assert not list(Path("temporary").iterdir())
        assert not emulator.jobs
        assert all(dataset.deleted for dataset in emulator.datasets)


@pytest.mark.parametrize("command", ["results", "report"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_download_that_is_stopped_leaves_no_temporary_folder(
    at_emulator: Emulator, command: str, number: signal.Signals
) -> None:
    batch = submit(at_emulator, ["first", "second"])
    at_emulator.clock.advance(3600)
    at_emulator.faults.add(Fault(path="getDownloadEndpoint", status=503, times=None))
    Path("temporary").mkdir()
    with ExitStack() as stack:
        process = run_in_background(stack, ["batch", command, batch], TMPDIR="temporary")
        wait_for(process, "Trying again")
        assert list(Path("temporary").iterdir())
        process.send_signal(number)
        out, said = process.communicate()
    assert process.returncode == 130, said
    assert out == ""
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert not list(Path("temporary").iterdir())
