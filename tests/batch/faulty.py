"""Everything that can go wrong with every call of the protocol, and what must hold all the same."""

from __future__ import annotations

from typing import Any

from oumi_fireworks.batch import ResultIndex
from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.emulator.state.job_timeline import NEVER
from tests.batch.support import quick_emulator, require_own_answers

SUBMISSION = {
    "create-dataset": ("POST", "/datasets$"),
    "upload": ("POST", ":upload$"),
    "get-dataset": ("GET", "/datasets/[^/:]+$"),
    "create-job": ("POST", "/batchInferenceJobs$"),
}
"""The calls that submit a batch whose files are small."""

SIGNED_SUBMISSION = {
    "get-upload-url": ("POST", ":getUploadEndpoint$"),
    "put": ("PUT", "^/storage/"),
    "validate-upload": ("POST", ":validateUpload$"),
}
"""The further calls where the files are large."""

RETRIEVAL = {
    "get-job": ("GET", "/batchInferenceJobs/[^/:]+$"),
    "get-download-url": ("GET", ":getDownloadEndpoint$"),
    "download": ("GET", "^/storage/"),
}
"""The calls that wait for a batch and fetch its results."""

CALLS = {**SUBMISSION, **SIGNED_SUBMISSION, **RETRIEVAL}

TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "503": {"status": 503},
    "reset": {"kind": "reset"},
    "lost-answer": {"kind": "lost_answer"},
    "cut": {"kind": "cut", "bytes": 10},
    "half-json": {"kind": "truncated_json"},
    "stale-url": {"kind": "stale_url"},
}
"""What passes."""


def fault(call: str, trouble: str, **changes: Any) -> Fault:
    """Let this trouble strike that call, once."""
    method, path = CALLS[call]
    return Fault(method, path, **{**TROUBLES[trouble], **changes})


def strikes(call: str, trouble: str) -> bool:
    """Whether there is such a trouble with such a call."""
    is_storage = call in ("put", "download")
    return is_storage if trouble == "stale-url" else not (is_storage and trouble == "half-json")


def faulty_emulator(*, signed: bool = False, idle: bool = False) -> Emulator:
    """An emulator that takes no direct upload if asked.

    Its jobs take a few milliseconds, or never begin.
    """
    most = 1 if signed else 150_000_000
    if idle:
        pace = Pace(1, NEVER, 1, 1, per_row=0, writing=1, stopping=1, uploading=0.1)
        return Emulator(speed=200, pace=pace, max_direct_upload=most)
    return quick_emulator(max_direct_upload=most)


def require_exactly_once(emulator: Emulator, index: ResultIndex, rows: int, jobs: int) -> None:
    """Assert that nothing was made twice, nothing was lost, and every row has its own answer."""
    require_own_answers(index, rows)
    assert index.counts.duplicates == 0
    assert len(emulator.jobs) == jobs
    assert not [job.id for job in emulator.jobs if job.state != "JOB_STATE_COMPLETED"]
    inputs = [dataset for dataset in emulator.datasets if dataset.id.endswith("-in")]
    assert sorted(dataset.id for dataset in inputs) == sorted(job.input for job in emulator.jobs)
    for dataset in inputs:
        assert not dataset.deleted
        assert len(dataset.files) == 1
        assert dataset.rows == dataset.example_count


def require_nothing_left(emulator: Emulator) -> None:
    """Assert that no dataset and no job is left on the account."""
    assert [dataset.id for dataset in emulator.datasets if not dataset.deleted] == []
    assert [job.id for job in emulator.jobs if job.state != "JOB_STATE_DELETED"] == []
