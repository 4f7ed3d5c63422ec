"""How a run behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from oumi_fireworks.accept.again import Again
from oumi_fireworks.batch.decide import Retries
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.shards import ShardLimits
from oumi_fireworks.batch.watch import WaitPolicy
from oumi_fireworks.money import Budget


@dataclass(frozen=True)
class RunOptions:
    """How a run behaves.

    Attributes:
        limits: How the input is split.
        upload_concurrency: Uploads at once.
        wait_policy: How to wait.
        row_retries: How often rows that failed or are missing are run again.
        again: How rows are asked for again whose answers do not hold; None does not run them.
        rules: Names what decides about answers, and how they are asked for again: while rows are
            chosen and not yet sent, it must stay.
        delete_datasets: Whether to remove the datasets on Fireworks at the end.
        key: What the ids of the batch are derived from: runs with the same key are one batch,
            on whichever machine. None makes a batch of its own.
        dedupe: Which rows that ask what an earlier row asks are not sent, and get its outcome.
        cache: The folder of answers that outlive runs; None without one. A batch that has a key
            sends all its rows: what a machine's cache knows must not decide that.
        cache_max_age: How old an answer of it may be; None for any.
        budget: What the run must not cost more than; None sets no bound.
        deadline: When, from the run's beginning, what is not finished is stopped and runs online;
            None never.
    """

    limits: ShardLimits = field(default_factory=ShardLimits)
    upload_concurrency: int = 4
    wait_policy: WaitPolicy = field(default_factory=WaitPolicy)
    row_retries: int = 1
    again: Again | None = None
    rules: str = ""
    delete_datasets: bool = False
    key: str | None = None
    dedupe: Dedupe = Dedupe.OFF
    cache: Path | None = None
    cache_max_age: timedelta | None = None
    budget: Budget | None = None
    deadline: timedelta | None = None

    @property
    def retries(self) -> Retries:
        """How often rows are run again in one round."""
        return Retries(self.row_retries, 0 if self.again is None else self.again.most)
