"""The ids say everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.batch.ids import (
    BatchId,
    batch_id,
    batch_of_job,
    input_dataset_id,
    job_of_dataset,
    new_batch_stem,
    output_dataset_id,
    stem_of,
)
from oumi_fireworks.emulator.wire.names import check_id

STEM = "oumi-abcdefghij234567"


@given(shards=st.integers(1, 2000), attempt=st.integers(0, 999))
def test_an_id_leads_to_its_jobs_and_datasets_and_they_lead_back(shards: int, attempt: int) -> None:
    text = batch_id(STEM, shards, attempt)
    parsed = BatchId.parse(text)
    assert (parsed.text, parsed.shards, parsed.ours) == (text, shards, True)
    assert stem_of(text) == STEM
    jobs = parsed.job_ids
    assert len(jobs) == len(set(jobs)) == shards
    for job in (jobs[0], jobs[-1]):
        assert batch_of_job(job) == text
        for dataset in (input_dataset_id(job), output_dataset_id(job)):
            assert job_of_dataset(dataset) == job
            assert check_id(dataset, "dataset") == dataset
            assert len(dataset) <= 63


def test_a_batch_of_one_shard_is_its_job() -> None:
    assert batch_id(STEM, 1) == STEM
    assert BatchId.parse(STEM).job_ids == (STEM,)
    assert batch_id(STEM, 3) == f"{STEM}-x3"
    assert BatchId.parse(f"{STEM}-x3").job_ids == tuple(f"{STEM}-x3-{n}" for n in range(3))
    assert batch_id(STEM, 1, attempt=2) == f"{STEM}-r2"
    assert batch_id(STEM, 2, attempt=2) == f"{STEM}-r2-x2"


def test_stems_are_new_each_time_and_well_formed() -> None:
    stems = {new_batch_stem() for _ in range(100)}
    assert len(stems) == 100
    for stem in stems:
        assert BatchId.parse(stem) == BatchId(stem)


def test_attempts_of_different_numbers_never_share_a_job() -> None:
    batches = [batch_id(STEM, shards, attempt) for shards in (1, 2, 11) for attempt in (0, 1, 11)]
    jobs = [job for batch in batches for job in BatchId.parse(batch).job_ids]
    assert len(jobs) == len(set(jobs))


@pytest.mark.parametrize(
    "text", ["my-job", "oumi-short", f"{STEM}-copy", f"{STEM}-x0", "a" * 63, f"{STEM}-r0"]
)
def test_ids_that_others_made_are_taken_for_one_job(text: str) -> None:
    parsed = BatchId.parse(text)
    assert parsed.job_ids == (text,)
    assert not parsed.ours
    assert batch_of_job(text) == text
    assert stem_of(text) == stem_of(text)
    assert BatchId.parse(stem_of(text)).ours
    assert stem_of(text) != stem_of(text + "x")


@pytest.mark.parametrize("text", [f"{STEM}-x3-0", f"{STEM}-r1-x3-2"])
def test_a_shard_alone_is_a_job_of_ours(text: str) -> None:
    parsed = BatchId.parse(text)
    assert parsed.ours
    assert parsed.job_ids == (text,)


def test_a_shard_that_its_batch_does_not_have_belongs_to_no_batch() -> None:
    assert batch_of_job(f"{STEM}-x3-2") == f"{STEM}-x3"
    assert batch_of_job(f"{STEM}-x3-3") == f"{STEM}-x3-3"
    assert batch_of_job(f"{STEM}-0") == f"{STEM}-0"


def test_a_resource_name_will_do() -> None:
    assert BatchId.parse(f" accounts/acme/batchInferenceJobs/{STEM}-x2\n").text == f"{STEM}-x2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Upper",
        "1-job",
        "-job",
        "with space",
        "a" * 64,
        "ä",
        "../../etc/passwd",
        "accounts/acme/datasets/d",
        "accounts/a/b/batchInferenceJobs/x",
        "a\nb",
    ],
)
def test_what_cannot_be_an_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a batch id"):
        BatchId.parse(text)


@given(st.text())
def test_no_text_leads_outside(text: str) -> None:
    try:
        jobs = BatchId.parse(text).job_ids
    except ValueError:
        return
    assert "/" not in jobs[0]
    assert "." not in jobs[0]


@pytest.mark.parametrize(
    "dataset", ["mine", "mine-in", f"{STEM}", f"{STEM}-input", f"x{STEM}-in", f"{STEM}-copy-in", ""]
)
def test_datasets_that_others_made_are_not_ours(dataset: str) -> None:
    assert job_of_dataset(dataset) is None
