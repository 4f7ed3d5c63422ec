"""The geometry of the charts, in per cent of their width and height.

Percentages let the drawing stretch with the page while its text keeps its size, and need neither
a script nor inline styles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from oumi_fireworks.grammar import number
from oumi_fireworks.report.facts import JobFacts
from oumi_fireworks.report.histogram import Histogram
from oumi_fireworks.report.wording import compact, count, in_utc

MOST_BARS = 60
"""Bars of a chart, at the most."""

FEWEST_BARS = 12
"""Bars of a chart, at the least."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis, at a place from 0 to 100."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the values from `low` to `high`, both included, and how often they came.

    Attributes:
        low: The smallest value.
        high: The largest value.
        rows: How many rows.
        marked: How many of them are in the marked part.
        x: Left edge.
        width: Width.
        height: Height of the bar.
        marked_height: Height of its marked part.
        rest: Whether the bar gathers everything beyond the axis.
    """

    low: int
    high: int
    rows: int
    marked: int
    x: float
    width: float
    height: float
    marked_height: float
    rest: bool = False


@dataclass(frozen=True, slots=True)
class BarChart:
    """A histogram as drawn."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def bar_chart(histogram: Histogram, marked: Histogram | None = None) -> BarChart:
    """Draw a histogram in bars of one round width.

    A few far outliers would squeeze all others into one bar, so where the largest value lies far
    beyond 99% of them, what is beyond goes into a last bar of its own.

    Args:
        histogram: All values, at least one.
        marked: A part of the same values, which is drawn into the bars.
    """
    usual = histogram.quantile(0.99)
    end = histogram.most if histogram.most <= 1.25 * usual + FEWEST_BARS else usual
    start = 0 if histogram.least <= 0.4 * end else histogram.least
    width = _round_up(max(1, math.ceil((end - start + 1) / MOST_BARS)))
    first = start // width
    last = max(end // width, first + FEWEST_BARS - 1)
    beyond = last + 1
    overflows = histogram.most >= beyond * width

    def gathered(values: Histogram | None) -> dict[int, int]:
        bins: dict[int, int] = {}
        for low, rows in values.cells() if values else ():
            place = min(low // width, beyond)
            bins[place] = bins.get(place, 0) + rows
        return bins

    rows, part = gathered(histogram), gathered(marked)
    top = max(rows.values())
    step = _round_up(max(1, math.ceil(top / 5)))
    scale = max(top, step)
    slots = last - first + 1 + (1.5 if overflows else 0)
    slot = 100 / slots

    def bar(place: int) -> Bar:
        rest = place == beyond
        position = place - first + (0.5 if rest else 0)
        return Bar(
            low=place * width,
            high=histogram.most if rest else (place + 1) * width - 1,
            rows=rows[place],
            marked=part.get(place, 0),
            x=slot * position,
            width=slot,
            height=100 * rows[place] / scale,
            marked_height=100 * part.get(place, 0) / scale,
            rest=rest,
        )

    stride = _round_up(max(1, math.ceil((last - first + 1) * width / 6)))
    marks = range(math.ceil(first * width / stride) * stride, beyond * width + 1, stride)
    x_ticks = [Tick(slot * (mark / width - first), _mark(mark, marks[-1])) for mark in marks]
    if overflows:
        limit = slot * (beyond - first + 0.5)
        x_ticks = [tick for tick in x_ticks if tick.at < limit - 14]
        x_ticks.append(Tick(100 - slot / 2, "more"))
    return BarChart(
        bars=tuple(bar(place) for place in sorted(rows)),
        x_ticks=tuple(x_ticks),
        y_ticks=tuple(
            Tick(100 - 100 * mark / scale, _mark(mark, scale)) for mark in range(0, scale + 1, step)
        ),
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a job's life: what it did, from where to where, and for how long."""

    name: str
    x: float
    width: float
    lasted: timedelta


@dataclass(frozen=True, slots=True)
class Lane:
    """One job on the time line."""

    job: JobFacts
    phases: tuple[Stretch, ...]
    lasted: timedelta
    open: bool


@dataclass(frozen=True, slots=True)
class TimeLine:
    """The jobs of a batch against the clock."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    begin: datetime
    end: datetime
    open: bool

    @property
    def lasted(self) -> timedelta:
        """From the first job's creation to the last one's end, or to now."""
        return self.end - self.begin


def time_line(jobs: Sequence[JobFacts], now: datetime) -> TimeLine | None:
    """Draw the jobs whose creation is known; those that have no end run until `now`.

    Returns:
        The drawing, or None if no job says when it was created.
    """
    dated = [(job, stretches) for job in jobs if (stretches := _stretches(job, now))]
    if not dated:
        return None
    begin = min(stretches[0][1] for _, stretches in dated)
    end = max(stretches[-1][2] for _, stretches in dated)
    whole = max(end - begin, timedelta(milliseconds=1))

    def place(time: datetime) -> float:
        return 100 * ((time - begin) / whole)

    lanes = tuple(
        Lane(
            job=job,
            phases=tuple(
                Stretch(name, place(since), place(until) - place(since), until - since)
                for name, since, until in stretches
            ),
            lasted=stretches[-1][2] - stretches[0][1],
            open=job.ended is None,
        )
        for job, stretches in dated
    )
    ticks = tuple(Tick(place(time), text) for time, text in _clock_marks(begin, end))
    return TimeLine(lanes, ticks, begin, end, open=any(lane.open for lane in lanes))


def _stretches(job: JobFacts, now: datetime) -> list[tuple[str, datetime, datetime]]:
    """Return what the job did between the times that are known of it."""
    if job.created is None:
        return []
    stretches = []
    since, name = in_utc(job.created), "waiting" if job.validated is None else "checking"
    for time, following in ((job.validated, "waiting"), (job.started, "running")):
        if time is not None:
            until = max(since, in_utc(time))
            stretches.append((name, since, until))
            since, name = until, following
    until = max(since, in_utc(job.ended or now))
    return [*stretches, (name, since, until)]


_CLOCK_STEPS = [
    timedelta(seconds=seconds)
    for seconds in (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400)
]


def _clock_marks(begin: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Return at most six round times of day from `begin` to `end`, and how to write them."""
    span = end - begin
    step = next((step for step in _CLOCK_STEPS if span / step <= 6), None)
    if step is None:
        step = timedelta(days=math.ceil(span / timedelta(days=6)))
    form = "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M"
    if span > timedelta(hours=20):
        form = "%d %b %H:%M" if step < timedelta(days=1) else "%d %b"
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    time = midnight + math.ceil((begin - midnight) / step) * step
    marks = []
    while time <= end:
        marks.append((time, f"{time:{form}}"))
        time += step
    return marks


def _mark(number: int, largest: int) -> str:
    """Write a number on an axis: all of them in full, or all of them in thousands."""
    return compact(number, above=1000 if largest >= 10_000 else 10_000)


def _round_up(number: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... that is not below `number`."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= number:
                return digit * power
        power *= 10


def bar_label(bar: Bar, unit: str) -> str:
    """Return what a bar says: `120 to 139 tokens: 4,312 rows, 12 of them cut off`."""
    if bar.rest:
        values = f"{count(bar.low)} or more"
    else:
        values = count(bar.low) if bar.low == bar.high else f"{count(bar.low)} to {count(bar.high)}"
    rows = number(bar.rows, "row")
    cut = f", {count(bar.marked)} of them cut off" if bar.marked else ""
    return f"{values} {unit}: {rows}{cut}"
