"""The face of the report: takes rows one by one and writes the page."""

import os
from datetime import UTC, datetime
from pathlib import Path

from oumi_fireworks.files import write_whole
from oumi_fireworks.report.facts import RunFacts
from oumi_fireworks.report.rows import Row
from oumi_fireworks.report.sample import Sample
from oumi_fireworks.report.totals import ReportTotals

_ADVICE = "The answers themselves are not touched by this. Make room, or name another place."


ROWS_SHOWN = 300
"""Rows that the page shows, chosen by chance; every kind of outcome is among them."""


class ReportBuilder:
    """Gathers a report on a batch; takes any number of rows in a fixed amount of memory.

    Args:
        title: What the page is called, such as the name of the input file.
    """

    def __init__(self, *, title: str = "Batch report") -> None:
        self._title = title
        self._totals = ReportTotals()
        self._sample = Sample(ROWS_SHOWN)
        self._run = RunFacts()

    def add(self, row: Row) -> None:
        """Take one row. Each row of the batch is to be added once, in any order."""
        self._sample.add(row, self._totals.add(row))

    def set_run(self, run: RunFacts) -> None:
        """Say what is known of the run as a whole."""
        self._run = run

    def render(self, *, now: datetime | None = None) -> str:
        """Return the page as HTML.

        Args:
            now: The time that the page gives as its own, and until which unfinished jobs last.
        """
        from oumi_fireworks.report.page import render  # the template engine, only when needed

        return render(
            title=self._title,
            run=self._run,
            totals=self._totals,
            rows=self._sample.pick(),
            now=now or datetime.now(UTC),
        )

    def write(self, path: str | os.PathLike[str], *, now: datetime | None = None) -> None:
        """Write the page to `path`, whole or not at all.

        Raises:
            WriteError: The folder does not exist or cannot be written to.
        """
        write_whole(Path(path), self.render(now=now).encode(), advice=_ADVICE)
