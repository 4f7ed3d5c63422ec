"""What is decided without a network."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from oumi_fireworks.api import Job
from oumi_fireworks.batch import JobSpec, Snapshot
from oumi_fireworks.batch.decide import can_be_continued, is_worth_another_run
from oumi_fireworks.batch.plan import plan_jobs
from oumi_fireworks.batch.shards import Shard


def ended(*states: str) -> Snapshot:
    jobs = (Job(f"j-{n}", "", f"JOB_STATE_{state}") for n, state in enumerate(states))
    return Snapshot("b", tuple(jobs))


def test_unset_fields_are_left_out_of_a_job() -> None:
    assert JobSpec("m").fields() == {"model": "m"}
    assert JobSpec("m", "name", "FP8", timedelta(hours=48)).fields() == {
        "model": "m",
        "displayName": "name",
        "precision": "FP8",
        "maxJobDuration": "172800s",
    }


def test_each_shard_has_its_job() -> None:
    shards = [Shard(Path(f"{n}"), n + 1, n + 10, f"hash-{n}") for n in range(3)]
    jobs = plan_jobs("oumi-aaaaaaaaaaaaaaaa-x3", shards)
    assert [(job.job_id[-4:], job.rows, job.size, job.digest, job.path) for job in jobs] == [
        ("x3-0", 1, 10, "hash-0", Path("0")),
        ("x3-1", 2, 11, "hash-1", Path("1")),
        ("x3-2", 3, 12, "hash-2", Path("2")),
    ]
    with pytest.raises(ValueError, match="zip"):
        plan_jobs("oumi-aaaaaaaaaaaaaaaa-x2", shards)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("COMPLETED", True),
        ("EXPIRED", True),
        ("EARLY_STOPPED", True),
        ("COMPLETED EXPIRED", True),
        ("FAILED", False),
        ("COMPLETED FAILED", False),
        ("CANCELLED", False),
        ("DELETED", False),
        ("ARCHIVED COMPLETED", False),
        ("EXPIRED CANCELLED", False),
    ],
)
def test_what_was_refused_or_cancelled_is_not_run_again(states: str, expected: bool) -> None:
    assert is_worth_another_run(ended(*states.split())) is expected


@pytest.mark.parametrize(
    ("states", "unusable", "expected"),
    [
        ("EXPIRED", 0, True),
        ("EARLY_STOPPED", 0, True),
        ("EXPIRED", 1, False),
        ("EXPIRED EXPIRED", 0, False),
        ("COMPLETED", 0, False),
        ("CANCELLED", 0, False),
    ],
)
def test_one_expired_job_is_continued_unless_the_service_takes_an_open_row_for_answered(
    states: str, unusable: int, expected: bool
) -> None:
    assert can_be_continued(ended(*states.split()), unusable) is expected
