"""What batches have cost so far, by the tokens that the service counts. Light, as ``wiring`` is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from oumi_fireworks.batch import Snapshot
from oumi_fireworks.money import Prices, price_of


def prices_for(snapshots: Sequence[Snapshot], own: Prices | None) -> Prices | None:
    """Return what the tokens of a batch cost, by its model; None where no price is known.

    Args:
        snapshots: The batch, and others of the same model.
        own: The user's own prices; None leaves them to the table.
    """
    models = (job.model for snapshot in snapshots for job in snapshot.jobs)
    return price_of(next(filter(None, models), ""), batch=True, own=own)


def cost_of(snapshot: Snapshot, own: Prices | None) -> Decimal | None:
    """Return the dollars that a batch has cost so far; None where no price is known.

    Args:
        snapshot: The batch.
        own: As for :func:`prices_for`.
    """
    if not snapshot.used:
        return Decimal()
    prices = prices_for([snapshot], own)
    return None if prices is None else prices.cost(snapshot.used)
