"""How far a run is, as people see it."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from oumi_fireworks.display.online_progress import LOG_EVERY, LogLines, line, show_progress
from oumi_fireworks.online import OnlineProgress
from oumi_fireworks.online.progress import Waiting


def test_it_says_what_matters() -> None:
    progress = OnlineProgress(total=3000, done=995, failed=5, refusals=12, per_second=100.0)
    assert line(progress) == (
        "1,000 of 3,000 rows, 100.0 a second, 5 failed, 12 refusals, 0:00:20 left"
    )


def test_it_says_what_was_spent_so_far() -> None:
    spent = OnlineProgress(total=10, done=1, cost=Decimal("1.234"))
    assert line(spent) == "1 of 10 rows, 0.0 a second, $1.23"
    assert "$" not in line(replace(spent, cost=Decimal()))


def test_it_does_not_say_what_it_does_not_know() -> None:
    assert line(OnlineProgress(done=7)) == "7 rows, 0.0 a second"
    assert OnlineProgress(total=10).seconds_left is None
    assert OnlineProgress(per_second=3.0).seconds_left is None


def test_it_says_what_is_waited_for_and_since_when() -> None:
    waiting = Waiting("for the rate limit (429)", 83.0)
    text = line(OnlineProgress(total=10, done=1, waiting=waiting))
    assert text == "1 of 10 rows, waiting for the rate limit (429) since 0:01:23, 0.0 a second"


def test_long_times_have_hours() -> None:
    assert "2:46:40 left" in line(OnlineProgress(total=10_000, per_second=1.0))


def test_a_terminal_gets_a_bar() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100)
    with show_progress("Inference", console) as show:
        show(OnlineProgress(total=30, done=10, refusals=3, per_second=5.0))
    assert "10 of 30 rows" in output.getvalue()
    assert "3 refusals" in output.getvalue()


def test_a_long_run_fits_80_columns_with_all_its_figures() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, color_system=None)
    with show_progress("Inference", console) as show:
        done = OnlineProgress(
            total=10**8, done=33_333_333, failed=2_000_000, refusals=1234, per_second=1234.5
        )
        show(replace(done, cost=Decimal("12345.67")))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.getvalue()).splitlines()
    first, second = [text.rstrip() for text in shown if text.strip()][-2:]
    assert re.fullmatch(r"Inference ━+[━╸╺ ]* 35,333,333 of 100,000,000 rows 0:00:0\d", first)
    assert second == (
        "  1,234.5 a second, 2,000,000 failed, 1,234 refusals, 14:33:02 left, $12,345.67"
    )
    assert max(len(first), len(second)) <= 80


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="oumi_fireworks")
    lines = LogLines("Inference", now=0.0)
    for tenth in range(10 * 100):
        lines.show(OnlineProgress(total=1000, done=tenth), now=tenth / 10)
    assert len(caplog.messages) == int(99.9 // LOG_EVERY)
    assert caplog.messages[0].startswith("Inference: 300 of 1,000 rows")


def test_what_is_no_terminal_gets_no_bar(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with show_progress("Inference", console) as show:
        show(OnlineProgress(total=30, done=10))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    assert capsys.readouterr() == ("", "")
