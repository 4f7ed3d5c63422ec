"""What a waiting person sees of a batch."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest
from rich.console import Console

from oumi_fireworks.api import Job, Progress
from oumi_fireworks.batch import Snapshot
from oumi_fireworks.display.batch_progress import BatchProgress, TimeLeft, state_words
from oumi_fireworks.display.console import log_above


class Clock:
    """Time that stands still until it is told to pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def snapshot(
    state: str,
    done: int = 0,
    *,
    failed: int = 0,
    total: int = 400,
    waiting: bool = False,
    batch: str = "oumi-abcdefghijklmnop",
) -> Snapshot:
    progress = Progress(total=total, processed=done, succeeded=done - failed, failed=failed)
    job = Job(batch, f"accounts/a/batchInferenceJobs/{batch}", f"JOB_STATE_{state}")
    job = Job(job.id, job.name, job.state, waiting_on_capacity=waiting, progress=progress)
    return Snapshot(batch, (job,))


def a_log() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=40, force_terminal=False), out


def a_terminal(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    console = Console(
        file=out, width=width, height=24, force_terminal=True, force_interactive=True,
        color_system=None, legacy_windows=False,
    )  # fmt: skip
    return console, out


def last_frame(out: io.StringIO) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue().replace("\r", ""))
    return [line.rstrip() for line in text.rstrip("\n").split("\n")][-2:]


def test_without_a_terminal_there_is_a_line_for_each_state_and_not_for_each_look() -> None:
    clock = Clock()
    console, out = a_log()
    with BatchProgress(400, console, clock=clock) as on_progress:
        for state, done in [
            ("VALIDATING", 0), ("PENDING", 0), ("PENDING", 0), ("RUNNING", 10),
            ("RUNNING", 20), ("RUNNING", 30), ("COMPLETED", 400),
        ]:  # fmt: skip
            clock.now += 1
            on_progress(snapshot(state, done))
    assert out.getvalue().splitlines() == [
        "Preparing, 400 rows, 0:00:00 elapsed",
        "oumi-abcdefghijklmnop: Checking the input, 400 rows, 0:00:01 elapsed",
        "oumi-abcdefghijklmnop: Waiting to start, 400 rows, 0:00:02 elapsed",
        "oumi-abcdefghijklmnop: Running, 10 of 400 rows, 0:00:04 elapsed",
        "oumi-abcdefghijklmnop: Completed, 400 of 400 rows, 0:00:07 elapsed",
    ]


def test_a_long_state_is_told_again_ever_more_rarely() -> None:
    clock = Clock()
    console, out = a_log()
    with BatchProgress(100_000, console, clock=clock) as on_progress:
        for done in range(1, 3 * 360):
            clock.now += 10
            on_progress(snapshot("RUNNING", done, total=100_000))
    lines = out.getvalue().splitlines()
    assert 15 < len(lines) < 30
    assert "\x1b" not in out.getvalue()


def test_a_batch_that_stands_still_is_told_of_every_ten_minutes() -> None:
    clock = Clock()
    console, out = a_log()
    with BatchProgress(400, console, clock=clock) as on_progress:
        for _ in range(360):
            clock.now += 10
            on_progress(snapshot("PENDING", waiting=True))
    assert len(out.getvalue().splitlines()) == 2 + 5
    assert "Waiting for capacity" in out.getvalue()


def test_the_time_left_follows_from_the_rows_done_lately() -> None:
    forecast = TimeLeft()
    forecast.saw(0, 0)
    assert forecast.left(0, 1000) is None
    forecast.saw(10, 100)
    assert forecast.left(10, 1000) is None
    forecast.saw(20, 200)
    assert forecast.left(20, 1000) == pytest.approx(80)
    assert forecast.left(25, 1000) == pytest.approx(75)
    forecast.saw(40, 200)
    assert forecast.left(40, 1000) == pytest.approx(60)
    assert forecast.left(500, 1000) is None


def test_a_slow_beginning_is_forgotten() -> None:
    forecast = TimeLeft()
    for minute in range(60):
        forecast.saw(minute * 60, minute + 1)
    for second in range(30):
        forecast.saw(3600 + second, 60 + 100 * second)
    assert forecast.left(3630, 10_000) == pytest.approx(70, abs=5)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_two_lines_fit_the_width(width: int) -> None:
    clock = Clock()
    console, out = a_terminal(width)
    with BatchProgress(1_000_000, console, clock=clock) as on_progress:
        on_progress(snapshot("RUNNING", 1000, total=1_000_000))
        clock.now += 60
        batch = "oumi-abcdefghijklmnop-r1-x12"
        on_progress(snapshot("RUNNING", 250_000, failed=1234, total=1_000_000, batch=batch))
        clock.now += 3000
        on_progress(snapshot("RUNNING", 500_000, failed=1234, total=1_000_000, batch=batch))
    first, second = last_frame(out)
    assert len(first) <= width
    assert len(second) <= width
    assert "Running" in first
    assert "500,000 of 1,000,000 rows, 1,234 failed" in first
    assert second.strip().startswith("0:51:00 elapsed, about 1 h 40 min left")
    if width > 60:
        assert second.endswith(" left · oumi-abcdefghijklmnop-r1-x12")


def test_the_last_frame_says_how_it_ended() -> None:
    console, out = a_terminal(80)
    progress = BatchProgress(None, console)
    with progress as on_progress:
        on_progress(snapshot("COMPLETED", 400))
        paper, sheet = a_terminal(80)
        paper.print(progress.frame())
        assert "Completed, fetching results" in sheet.getvalue()
    assert last_frame(out)[0].startswith("✓ Completed ━")
    console, out = a_terminal(80)
    with BatchProgress(None, console) as on_progress:
        on_progress(snapshot("COMPLETED", 400, failed=3))
    assert last_frame(out)[0].startswith("! Completed")
    assert last_frame(out)[0].endswith("400 of 400 rows, 3 failed")


def test_the_last_line_has_room_for_the_echo_of_a_ctrl_c() -> None:
    console, out = a_terminal(80)
    with BatchProgress(None, console) as on_progress:
        on_progress(snapshot("RUNNING", 40))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert re.search(r"elapsed · oumi-[a-z2-7]{16}\n$", text)


@pytest.mark.parametrize("seen", [True, False])
def test_a_wait_that_is_given_up_leaves_its_last_frame_or_nothing(seen: bool) -> None:
    console, out = a_terminal(80)

    def wait() -> None:
        with BatchProgress(None, console) as on_progress:
            if seen:
                on_progress(snapshot("RUNNING", 100))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait()
    if seen:
        assert last_frame(out)[0].startswith("– Running")
    else:
        assert out.getvalue().rstrip().endswith("\x1b[2K")  # its lines were wiped


def test_states_that_a_person_may_do_something_about_have_words_of_their_own() -> None:
    assert state_words(snapshot("PENDING", waiting=True)) == "Waiting for capacity"
    assert state_words(snapshot("RUNNING", waiting=True)) == "Running, no row counted yet"
    assert state_words(snapshot("RE_QUEUEING")) == "Queued again by Fireworks"
    assert state_words(snapshot("RE_QUEUEING", waiting=True)) == "Waiting for capacity"
    assert state_words(snapshot("CREATING")) == "Being set up"
    assert state_words(snapshot("PAUSED")) == "Paused by Fireworks"
    assert state_words(snapshot("EARLY_STOPPED")) == "Stopped early"
    assert state_words(snapshot("SOMETHING_NEW")) == "Running"


def test_log_lines_of_a_handler_on_the_terminal_go_above_the_live_display() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    console, out = a_terminal(80)
    own, elsewhere = Terminal(), io.StringIO()
    logger = logging.getLogger("test.live_logging")
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(own), logging.StreamHandler(elsewhere)]
    with log_above(console):
        logger.warning("during")
    logger.warning("after")
    assert "during" in out.getvalue()
    assert own.getvalue() == "after\n"
    assert elsewhere.getvalue() == "during\nafter\n"


def test_showing_progress_loads_neither_oumi_nor_torch() -> None:
    import subprocess

    code = "import sys, oumi_fireworks.display.batch_progress; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"oumi", "torch", "pydantic"}
