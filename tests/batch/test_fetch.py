"""Results by id, from any machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    BatchResults,
    Failure,
    FailureSummary,
    Missing,
    RowCounts,
    fetch_results,
    log_outcome,
    take_snapshot,
)
from oumi_fireworks.batch.collect import collect
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    NotFinishedError,
    NotFoundError,
    ServerError,
    SpoolError,
)
from tests.api.support import with_client
from tests.batch.support import (
    quick_emulator,
    require_own_answers,
    run_to_end,
    still_emulator,
    submit,
    texts,
)

STORED = "^/storage/"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose jobs take a few milliseconds."""
    with quick_emulator() as emulator:
        yield emulator


def fetch(emulator: Emulator, folder: Path, rows: int = 4, **marks: str) -> BatchResults:
    async def run(client: FireworksClient) -> BatchResults:
        batch = await run_to_end(client, folder, rows, **marks)
        return await fetch_results(client, [batch], rows, folder / "results")

    return with_client(emulator, run)


def test_an_id_is_enough_to_have_every_row(emulator: Emulator, tmp_path: Path) -> None:
    results = fetch(emulator, tmp_path, 5)
    require_own_answers(results.index, 5)
    assert results.batch_id == results.snapshots[0].batch_id


def test_a_batch_at_work_is_not_fetched(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> None:
        batch = await submit(client, tmp_path)
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_RUNNING")
        await fetch_results(client, [batch], 4, tmp_path / "results")

    with pytest.raises(NotFinishedError, match=r"JOB_STATE_RUNNING.*batch status oumi-.*--watch"):
        with_client(emulator, run)
    assert not emulator.requests_to("GET", ":getDownloadEndpoint$")


@pytest.mark.parametrize("asked", [3, 4, 5])
def test_another_number_of_rows_than_were_submitted_is_warned_of(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture, asked: int
) -> None:
    async def run(client: FireworksClient) -> BatchResults:
        batch = await run_to_end(client, tmp_path, 4)
        return await fetch_results(client, [batch], asked, tmp_path / "results")

    results = with_client(emulator, run)
    assert results.index.counts.answered == min(asked, 4)
    warned = f"has 4 rows, and results are asked for {asked}" in caplog.text
    assert warned is (asked != 4)


def test_each_kind_of_failure_is_told_in_the_service_s_words(
    emulator: Emulator, tmp_path: Path
) -> None:
    results = fetch(
        emulator,
        tmp_path,
        8,
        row_1="[[fail 422]]",
        row_2="[[fail-string]]",
        row_3="[[fail-odd]]",
        row_4="[[drop]]",
        row_5="[[duplicate]]",
        row_6="[[broken]]",
        row_7="[[alien]]",
    )
    assert sorted(texts(results.index)) == [0, 5, 7]
    assert results.index.counts == RowCounts(3, 3, 2, duplicates=1, aliens=1, broken=1)
    messages = {
        outcome.index: results.message(outcome)  # type: ignore[arg-type]
        for outcome in results.index.outcomes(results.index.unanswered())
    }
    assert messages[1] == messages[2] == "the prompt asked for a failure"
    assert '"outcome":"refused"' in messages[3]
    assert f"no result from {results.batch_id}, which ended as JOB_STATE_COMPLETED" in messages[4]
    assert list(messages) == [1, 2, 3, 4, 6]  # whichever file says so


def test_the_outcome_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    summary = FailureSummary()
    for index in range(1000):
        summary.add(Failure(index, "overloaded", "503"))
    with caplog.at_level("INFO", logger="oumi_fireworks"):
        log_outcome("b", RowCounts(answered=5, failed=1000), summary)
    assert [record.message for record in caplog.records] == [
        "Batch b: 5 answered, 1,000 failed, 0 missing.",
        "Batch b: 1,000 × overloaded (code 503; rows 0, 1, 2, …)",
    ]


def hostile(rows: list[bytes]) -> Callable[[Any, list[dict[str, Any]]], dict[str, bytes]]:
    """Result files of several names, with strange things between the rows."""

    def write(job: Any, answered: list[dict[str, Any]]) -> dict[str, bytes]:
        lines = [orjson.dumps(row) for row in answered]
        return {
            "BIJOutputSet.jsonl": b"\r\n".join([*rows, *lines[:1], *rows]) + b"\r\n",
            "BIJOutputSet_1.jsonl": b"\n\n" + b"\n".join([*rows, *lines]),
            "error-data": b"\n".join(rows),
            "unheard-of": b"\xff\xfe\x00",
        }

    return write


def test_hostile_output_never_crosses_rows(emulator: Emulator, tmp_path: Path) -> None:
    emulator.output_writer = hostile(
        [
            b'{"custom_id": "request-99999", "response": {"choices": [{"message": {}}]}}',
            b'{"custom_id": "request-1", "response": {"choices": []}}',
            b'{"custom_id": "request-2", "error": {"message": "odd\xe2\x80\xa8", "n": NaN}}',
            b'{"custom_id": ',
            b"null",
            b"[" * 2000,
            b"",
        ]
    )
    results = fetch(emulator, tmp_path, 4)
    require_own_answers(results.index, 4)
    assert results.index.counts.is_complete
    assert results.index.counts.broken > 0
    assert results.index.counts.aliens > 0


def test_names_that_come_over_the_network_are_no_paths(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> list[Path]:
        batch = await run_to_end(client, tmp_path, 2)
        urls = await client.datasets.download_urls(f"{batch}-out")
        names = dict(zip(["../../../evil", "/etc/evil"], urls.values(), strict=True))
        body = {"filenameToSignedUrls": names}
        fault = Fault("GET", ":getDownloadEndpoint$", "garbage", body=body, times=None)
        emulator.faults.add(fault)
        snapshot = await take_snapshot(client, batch)
        found = await collect(client, snapshot.jobs, tmp_path / "results")
        return list(found.files)

    files = with_client(emulator, run)
    places = [file.relative_to(tmp_path / "results") for file in files]
    assert [re.fullmatch(r"[0-9a-f]{16}\.jsonl", place.name) is not None for place in places] == [
        True,
        True,
    ]
    assert not list(tmp_path.rglob("*evil*"))


def test_one_failed_download_stops_the_others(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> set[asyncio.Task[Any]]:
        batch = await run_to_end(client, tmp_path, 8)
        emulator.faults.add(Fault("GET", f"{STORED}.*-x4-3-", status=503, times=None))
        emulator.faults.add(Fault("GET", f"{STORED}.*-x4-0-", "stall", times=None))
        with pytest.raises(ServerError):
            await fetch_results(client, [batch], 8, tmp_path / "results")
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert with_client(emulator, run) == set()


def test_a_job_without_results_is_missing_rows(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            batch = await submit(client, tmp_path)
            emulator.set_job(f"{batch}-0", state="JOB_STATE_FAILED", message="out of luck")
            emulator.set_job(f"{batch}-1", state="JOB_STATE_COMPLETED")
            return await fetch_results(client, [batch], 4, tmp_path / "results")

        results = with_client(emulator, run)
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 0, "missing": 2}
    assert "out of luck" in str(results.snapshots[0].error)
    [outcome] = results.index.outcomes([0])
    assert isinstance(outcome, Missing)
    assert "out of luck" in results.message(outcome)


def test_a_disk_that_takes_nothing_is_told(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(SpoolError, match="safe on Fireworks"):
        fetch(emulator, tmp_path)


def test_no_such_batch(emulator: Emulator, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        with_client(emulator, lambda client: fetch_results(client, ["theirs"], 1, tmp_path))
