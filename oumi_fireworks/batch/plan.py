"""What a batch is to consist of: decided here, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from oumi_fireworks.batch.ids import BatchId
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.shards import Shard, ShardLimits
from oumi_fireworks.money import Usage


@dataclass(frozen=True)
class Split:
    """How rows become the jobs of a batch: which are sent, and how they are divided.

    Attributes:
        limits: When a job has enough of them.
        dedupe: Which of those are left out that ask what an earlier row asks.
    """

    limits: ShardLimits
    dedupe: Dedupe = Dedupe.OFF


@dataclass(frozen=True)
class JobSpec:
    """What all jobs of a batch have in common.

    Attributes:
        model: Resource name of the model.
        display_name: For the Fireworks console.
        precision: Such as ``FP8``; None leaves it to the service.
        window: How long a job may take; None for the service's own 24 hours. Sent as a Duration
            of proto3 JSON, ``172800s``; the service's reading of it is not documented.
    """

    model: str
    display_name: str = ""
    precision: str | None = None
    window: timedelta | None = None

    def fields(self) -> dict[str, Any]:
        """Return the job's fields, unset ones left out."""
        fields = {
            "model": self.model,
            "displayName": self.display_name,
            "precision": self.precision,
            "maxJobDuration": self.window and f"{self.window.total_seconds():.0f}s",
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class PlannedJob:
    """A job that a batch is to have.

    Attributes:
        job_id: Its id.
        rows: Requests in its input.
        size: Bytes of its input.
        digest: Of its input, in hex.
        path: The input on the local disk; None once it is no longer needed.
        continues: Id of the expired job whose rest it does, instead of an input of its own.
        system_prompt: The system message that it brings to its rows; None for none.
        refusal: Why the service refused to create it; empty otherwise.
        shard: Its input's place among the shards that were written together; None: its own place
            among the jobs of its batch.
        most: The most tokens that it can take; None in a run that an earlier version has begun.
        largest: The most tokens that one of its rows can take.
    """

    job_id: str
    rows: int
    size: int = 0
    digest: str = ""
    path: Path | None = field(default=None, compare=False)
    continues: str | None = None
    system_prompt: str | None = None
    refusal: str = ""
    shard: int | None = None
    most: Usage | None = None
    largest: Usage = Usage()  # noqa: RUF009 - frozen


def in_order(jobs: Sequence[PlannedJob]) -> tuple[PlannedJob, ...]:
    """Return jobs in the order of their shards; without shards of their own, as they are."""
    return tuple(sorted(jobs, key=lambda job: -1 if job.shard is None else job.shard))


def plan_jobs(batch_id: str, shards: Sequence[Shard]) -> tuple[PlannedJob, ...]:
    """Pair a batch's job ids with the shards that they read."""
    return tuple(
        PlannedJob(
            job_id,
            shard.rows,
            shard.size,
            shard.digest,
            shard.path,
            system_prompt=shard.system_prompt,
            most=shard.most,
            largest=shard.largest,
        )
        for job_id, shard in zip(BatchId.parse(batch_id).job_ids, shards, strict=True)
    )
