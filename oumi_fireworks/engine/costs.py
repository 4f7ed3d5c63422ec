"""What a batch has cost so far, by the tokens that the service counts."""

from __future__ import annotations

from decimal import Decimal

from oumi_fireworks.batch import Snapshot
from oumi_fireworks.money import Prices, Usage, price_of


def cost_of(snapshot: Snapshot, own: Prices | None) -> Decimal | None:
    """Return the dollars that a batch has cost so far; None where no price is known.

    Args:
        snapshot: The batch.
        own: The user's own prices; None leaves them to the table.
    """
    progress = snapshot.progress
    used = Usage(progress.input_tokens, progress.output_tokens, progress.cached_tokens)
    if not used:
        return Decimal()
    model = next((job.model for job in snapshot.jobs if job.model), "")
    prices = price_of(model, batch=True, own=own)
    return None if prices is None else prices.cost(used)
