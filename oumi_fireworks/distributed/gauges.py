"""How the whole stands, as metrics of Ray: on its dashboard, and for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ray.util.metrics import Gauge

from oumi_fireworks.distributed.totals import Totals

_SHOWN: Mapping[str, tuple[str, Callable[[Totals], float]]] = {
    "blocks_begun": ("Blocks that were taken from the dataset.", lambda now: now.begun),
    "blocks_done": ("Blocks that are finished.", lambda now: now.done),
    "rows_answered": ("Rows with an answer, of finished blocks.", lambda now: now.answered),
    "rows_rejected": (
        "Rows whose answers do not hold, of finished blocks.",
        lambda now: now.rejected,
    ),
    "rows_failed": ("Rows without an answer, of finished blocks.", lambda now: now.failed),
    "rows_bad": ("Rows that were not sent.", lambda now: now.bad_rows),
    "rows_over_budget": ("Rows that the budget did not allow.", lambda now: now.over_budget),
    "dollars_spent": (
        "What finished blocks cost, under a budget.",
        lambda now: float(now.spent or 0),
    ),
    "dollars_under_way": (
        "What the others can cost at the most.",
        lambda now: float(now.under_way),
    ),
    "batches_at_work": ("Batches that are waited for.", lambda now: now.at_work.batches),
    "rows_processed": ("Rows that these have run.", lambda now: now.at_work.processed),
}


class Gauges:
    """Shows the totals of a run, as ``oumi_fireworks_...``."""

    def __init__(self) -> None:
        self._gauges = {
            name: Gauge(f"oumi_fireworks_{name}", description=text)
            for name, (text, _) in _SHOWN.items()
        }

    def set(self, totals: Totals) -> None:
        """Show how the whole stands now."""
        for name, (_, value) in _SHOWN.items():
            self._gauges[name].set(value(totals))
