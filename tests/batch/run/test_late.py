"""Results that arrive late, and a job that does not say how many there are."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import Consistency, Phase
from oumi_fireworks.batch import Snapshot
from oumi_fireworks.emulator import Emulator, Fault, Weather
from tests.api.support import connection, with_client
from tests.batch.run.support import advance, job_ids
from tests.batch.support import a_run, require_own_answers, source, still_emulator

PATIENT = Consistency(gone_after=0.05, results_timeout=30)


@contextmanager
def heard(
    caplog: pytest.LogCaptureFixture, listen: Callable[[logging.LogRecord], bool]
) -> Iterator[None]:
    """Call a function with each record that is logged."""
    caplog.handler.addFilter(listen)
    try:
        yield
    finally:
        caplog.handler.removeFilter(listen)


def test_a_file_that_is_still_growing_is_fetched_to_its_end(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with still_emulator() as emulator:
        # The clock stands still until it is moved: the files hold half of their bytes until then.
        emulator.weather = Weather(files_growing=60)

        def on_progress(snapshot: Snapshot) -> None:
            for job in snapshot.jobs:
                if not job.phase.is_terminal:
                    emulator.set_job(job.id, state="JOB_STATE_COMPLETED")

        def grow(record: logging.LogRecord) -> bool:
            if "Results are late" in record.getMessage():
                emulator.clock.advance(60)
            return True

        run = a_run(folder, source(4))
        with run.lock(), heard(caplog, grow):
            results = with_client(
                connection(emulator, consistency=PATIENT),
                lambda client: run.advance(client, on_progress),
            )
        require_own_answers(results.index, 4)
        assert results.shortfall is None
        assert "counts 4 answered rows" in caplog.text
        assert job_ids(emulator) == ["x2-0", "x2-1"]


def without_counts(emulator: Emulator, times: int | None) -> None:
    """Let looks at jobs be answered with completed ones that count nothing."""
    [job] = emulator.jobs
    body = {
        "name": f"accounts/{emulator.account}/batchInferenceJobs/{job.id}",
        "state": "JOB_STATE_COMPLETED",
        "outputDatasetId": f"accounts/{emulator.account}/datasets/{job.id}-out",
        "jobProgress": None,
    }
    emulator.faults.add(
        Fault("GET", f"/batchInferenceJobs/{job.id}$", "garbage", body=body, times=times)
    )


def only_the_first(job: object, rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """Write the first row alone, whatever the job counts."""
    return {"BIJOutputSet.jsonl": json.dumps(rows[0]).encode() + b"\n"}


@pytest.mark.parametrize("appear", [True, False])
def test_rows_of_a_completed_job_that_has_not_counted_are_waited_for_before_they_are_run_again(
    folder: Path, caplog: pytest.LogCaptureFixture, appear: bool
) -> None:
    with still_emulator() as emulator:
        emulator.output_writer = only_the_first

        def on_progress(snapshot: Snapshot) -> None:
            if emulator.jobs[-1].id.endswith("-r1"):
                emulator.output_writer = None
                emulator.set_job(emulator.jobs[-1].id, state="JOB_STATE_COMPLETED")
            elif snapshot.phase is not Phase.COMPLETED:
                emulator.set_job(snapshot.jobs[0].id, state="JOB_STATE_COMPLETED")
                without_counts(emulator, times=3 if appear else None)

        results = advance(emulator, a_run(folder, source(2)), on_progress)
        assert "has not counted all its rows yet, and the answers of 1 are here" in caplog.text
        if appear:  # then it is known that the other answer was paid for
            assert results.shortfall is not None
            assert job_ids(emulator) == [""]
        else:
            require_own_answers(results.index, 2)
            assert job_ids(emulator) == ["", "r1"]
