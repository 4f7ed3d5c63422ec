"""How a run behaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from oumi_fireworks.batch.shards import ShardLimits
from oumi_fireworks.batch.watch import WaitPolicy


@dataclass(frozen=True)
class RunOptions:
    """How a run behaves.

    Attributes:
        limits: How the input is split.
        upload_concurrency: Uploads at once.
        wait_policy: How to wait.
        row_retries: How often rows that failed or are missing are run again.
        delete_datasets: Whether to remove the datasets on Fireworks at the end.
        key: What the ids of the batch are derived from: runs with the same key are one batch,
            on whichever machine. None makes a batch of its own.
    """

    limits: ShardLimits = field(default_factory=ShardLimits)
    upload_concurrency: int = 4
    wait_policy: WaitPolicy = field(default_factory=WaitPolicy)
    row_retries: int = 1
    delete_datasets: bool = False
    key: str | None = None
