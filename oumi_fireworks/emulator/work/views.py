"""What tests see of the emulator's datasets and jobs."""

from __future__ import annotations

from dataclasses import dataclass

from oumi_fireworks.emulator.state.records import DatasetRecord, JobRecord
from oumi_fireworks.emulator.work.dataset_status import is_ready
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.job_status import position_of, settle


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset as it was when it was looked at.

    Args:
        id: Its id.
        state: `UPLOADING` or `READY`.
        rows: Lines in its files.
        bytes: Size of its files.
        uploads: How many files were received for it, replaced ones too.
        files: Names of its files.
        deleted: Whether it is gone.
        example_count: What it was declared to hold.
    """

    id: str
    state: str
    rows: int
    bytes: int
    uploads: int
    files: tuple[str, ...]
    deleted: bool
    example_count: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it was when it was looked at.

    Args:
        id: Its id.
        state: Such as `JOB_STATE_RUNNING`; `JOB_STATE_DELETED` once it is gone.
        model: Resource name of its model.
        input: Id of its input dataset.
        output: Id of its output dataset, whether it exists yet or not.
        message: What its status says.
        rows: How many rows it has to do, once they are counted.
    """

    id: str
    state: str
    model: str
    input: str
    output: str
    message: str
    rows: int


def dataset_views(emulator: EmulatorState) -> list[DatasetView]:
    """Return all datasets, deleted ones first, then in the order in which they came to be."""
    with emulator.store.lock:
        settle(emulator)
        here = sorted(emulator.store.datasets.values(), key=lambda dataset: dataset.created_ns)
        gone = emulator.store.deleted_datasets
        return [
            *(_dataset_view(emulator, dataset, deleted=True) for dataset in gone),
            *(_dataset_view(emulator, dataset, deleted=False) for dataset in here),
        ]


def job_views(emulator: EmulatorState) -> list[JobView]:
    """Return all jobs, deleted ones first, then in the order in which they came to be."""
    with emulator.store.lock:
        settle(emulator)
        jobs = sorted(emulator.store.jobs.values(), key=lambda job: job.created_ns)
        here = [_job_view(job, f"JOB_STATE_{position_of(emulator, job).state}") for job in jobs]
        gone = [_job_view(job, "JOB_STATE_DELETED") for job in emulator.store.deleted_jobs]
    return gone + here


def _dataset_view(emulator: EmulatorState, dataset: DatasetRecord, *, deleted: bool) -> DatasetView:
    return DatasetView(
        id=dataset.id,
        state="READY" if is_ready(emulator, dataset) else "UPLOADING",
        rows=sum(file.rows for file in dataset.files),
        bytes=sum(file.size for file in dataset.files),
        uploads=dataset.uploads,
        files=tuple(file.name for file in dataset.files),
        deleted=deleted,
        example_count=dataset.fields.get("exampleCount", 0),
    )


def _job_view(job: JobRecord, state: str) -> JobView:
    return JobView(
        id=job.id,
        state=state,
        model=job.model,
        input=job.input_dataset,
        output=job.output_dataset,
        message=job.message,
        rows=job.timeline.rows,
    )
