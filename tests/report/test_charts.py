"""The charts: each row in one bar, each phase on the time line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.report import JobFacts
from oumi_fireworks.report.charts import MOST_BARS, TimeLine, bar_chart, bar_label, time_line
from oumi_fireworks.report.histogram import Histogram

START = datetime(2026, 11, 1, 14, 3, 22, tzinfo=UTC)


def filled(values: Iterable[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def drawn(jobs: list[JobFacts], now: datetime) -> TimeLine:
    """The time line of jobs that have one."""
    line = time_line(jobs, now=now)
    assert line
    return line


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=1))
def test_every_value_is_in_exactly_one_bar_and_every_bar_in_the_drawing(values: list[int]) -> None:
    chart = bar_chart(filled(values))
    assert sum(bar.rows for bar in chart.bars) == len(values)
    for bar in chart.bars:
        assert bar.rows == sum(bar.low <= value <= bar.high for value in values)
        assert 0 <= bar.x <= bar.x + bar.width <= 100.001
        assert 0 < bar.height <= 100
    assert len(chart.bars) <= MOST_BARS + 2
    assert all(0 <= tick.at <= 100.001 for tick in (*chart.x_ticks, *chart.y_ticks))


def test_bars_have_round_edges() -> None:
    chart = bar_chart(filled(range(1000)))
    assert {bar.high - bar.low + 1 for bar in chart.bars} == {20}
    assert [tick.text for tick in chart.x_ticks] == ["0", "200", "400", "600", "800", "1,000"]


def test_far_outliers_share_one_bar_and_leave_room_for_the_others() -> None:
    chart = bar_chart(filled([*range(500, 700), 10**6, 10**9]))
    *usual, rest = chart.bars
    assert rest.rest
    assert (rest.rows, rest.high) == (2, 10**9)
    assert len(usual) > 30
    assert chart.x_ticks[-1].text == "more"
    assert bar_label(rest, "tokens") == f"{rest.low:,} or more tokens: 2 rows"


def test_a_single_value_is_drawn_too() -> None:
    [bar] = bar_chart(filled([512] * 30)).bars
    assert (bar.low, bar.high, bar.rows) == (512, 512, 30)
    assert bar_label(bar, "tokens") == "512 tokens: 30 rows"


def test_the_marked_part_lies_in_its_bar() -> None:
    chart = bar_chart(filled([*range(100), *[100] * 50]), filled([100] * 40))
    marked = [bar for bar in chart.bars if bar.marked]
    assert [(bar.marked, bar.low <= 100 <= bar.high) for bar in marked] == [(40, True)]
    assert 0 < marked[0].marked_height < marked[0].height
    assert bar_label(marked[0], "tokens").endswith(", 40 of them cut off")


def test_a_job_shows_what_it_did_and_for_how_long() -> None:
    job = JobFacts("j", created=at(0), validated=at(1), started=at(3), ended=at(10))
    line = drawn([job], now=at(60))
    assert [(phase.name, phase.x, phase.width) for phase in line.lanes[0].phases] == [
        ("checking", 0, 10),
        ("waiting", 10, 20),
        ("running", 30, 70),
    ]
    assert line.lasted == timedelta(minutes=10)
    assert not line.open
    assert [tick.text for tick in line.ticks] == ["14:05", "14:10"]


def test_a_job_that_has_not_ended_lasts_until_now() -> None:
    line = drawn([JobFacts("j", created=at(0), started=at(5))], now=at(20))
    assert [(phase.name, phase.lasted) for phase in line.lanes[0].phases] == [
        ("waiting", timedelta(minutes=5)),
        ("running", timedelta(minutes=15)),
    ]
    assert line.open


def test_a_job_that_never_ran_waited_until_its_end() -> None:
    line = drawn([JobFacts("j", created=at(0), validated=at(1), ended=at(4))], now=at(20))
    assert [phase.name for phase in line.lanes[0].phases] == ["checking", "waiting"]


def test_times_that_run_backwards_do_not_break_the_drawing() -> None:
    job = JobFacts("j", created=at(5), validated=at(1), started=at(9), ended=at(2))
    assert all(phase.width >= 0 for phase in drawn([job], now=at(20)).lanes[0].phases)


def test_times_without_a_zone_are_utc() -> None:
    naive = JobFacts("a", created=at(0).replace(tzinfo=None), ended=at(1))
    assert drawn([naive], now=at(5)).begin == START


def test_jobs_without_times_have_no_drawn() -> None:
    assert time_line([JobFacts("j"), JobFacts("k", ended=at(1))], now=at(2)) is None


@pytest.mark.parametrize("minutes", [0, 0.001, 0.5, 7, 90, 60 * 24, 60 * 24 * 3, 60 * 24 * 400])
def test_the_clock_has_a_few_marks_whatever_the_span(minutes: float) -> None:
    line = drawn([JobFacts("j", created=at(0), ended=at(minutes))], now=at(0))
    assert len(line.ticks) <= 7
    assert all(0 <= tick.at <= 100 for tick in line.ticks)
