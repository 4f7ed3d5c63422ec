"""Oumi's progress file, which pollers read, fed by both modes."""

from __future__ import annotations

from oumi.core.inference.progress_reporter import ProgressFileReporter

from oumi_fireworks.batch import Snapshot


class ProgressFeed:
    """Passes progress on to Oumi's file, whose counters only go up.

    Rows of a batch are reported as failed at the end only: before, they may be run again.

    Args:
        reporter: The file; None where nobody asked for one.
    """

    def __init__(self, reporter: ProgressFileReporter | None) -> None:
        self._reporter = reporter
        self._succeeded: dict[str, int] = {}
        self._completed = self._failed = 0

    def completed(self, rows: int = 1) -> None:
        """Report that further rows are answered."""
        self._completed += rows
        if self._reporter is not None and rows:
            self._reporter.record_completed(rows)

    def failed(self, rows: int = 1) -> None:
        """Report that further rows have failed."""
        self._failed += rows
        if self._reporter is not None and rows:
            self._reporter.record_failed(rows)

    def saw(self, snapshot: Snapshot) -> None:
        """Report what a batch has done since the last look."""
        # A further batch has the open rows only: its successes come on top.
        self._succeeded[snapshot.batch_id] = snapshot.progress.succeeded
        self._complete_to(sum(self._succeeded.values()))

    def ended(self, rows: int, completed: int) -> None:
        """Report the truth at the end: whatever is not completed has failed."""
        self._complete_to(completed)
        self.failed(max(0, rows - self._completed - self._failed))

    def _complete_to(self, completed: int) -> None:
        self.completed(max(0, completed - self._completed))
