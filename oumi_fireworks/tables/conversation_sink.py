"""Answered conversations as JSON Lines: what Oumi reads and writes."""

from __future__ import annotations

from typing import Any

from oumi_fireworks.tables.line_sink import LineSink
from oumi_fireworks.tables.sink import FinishedRow


class ConversationSink(LineSink):
    """Writes each conversation with its answer, and no row without one."""

    def line(self, finished: FinishedRow) -> dict[str, Any] | None:
        """Return an answered conversation."""
        return None if finished.completion is None else finished.answered()
