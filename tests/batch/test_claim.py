"""A key stands for one batch: from several machines, at once, after a crash, and no other rows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import Consistency, FireworksClient
from oumi_fireworks.batch import Dedupe, JobSpec, ShardLimits, submit_new
from oumi_fireworks.batch.claim import Claim
from oumi_fireworks.batch.cleanup import find_leftovers
from oumi_fireworks.batch.ids import BatchId, claim_dataset_id, stem_of_key
from oumi_fireworks.batch.plan import Split
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.emulator import Emulator, Fault, Lag, Weather
from oumi_fireworks.errors import BatchError, InvalidRequestError, KeyTakenError
from tests.api.support import QUICK, connection, with_client
from tests.batch.gate import Gate, Moment
from tests.batch.nursery import Nursery
from tests.batch.support import (
    MODEL,
    SPEC,
    a_run,
    quick_emulator,
    remove_job,
    require_own_answers,
    source,
    still_emulator,
)
from tests.batch.test_crashes import FLAKY, JOBS, ROWS, STRIDE, order_for

KEY = "dag/2026-11-27"
STEM = stem_of_key(KEY)


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Nursery, Nursery]]:
    with Nursery() as one, Nursery() as other:
        yield one, other


def keyed_order(emulator: Emulator, folder: Path, url: str | None = None) -> dict[str, Any]:
    return {**order_for(emulator, folder, url), "key": KEY}


async def submit(
    client: FireworksClient, folder: Path, rows: RowSource, *, spec: JobSpec = SPEC, shard: int = 2
) -> str:
    return await submit_new(
        client,
        rows(),
        spec,
        folder=folder,
        limits=ShardLimits(max_rows=shard),
        concurrency=2,
        key=KEY,
    )


def require_whole_output(folder: Path) -> None:
    """Assert that each row has its own answer, and that the run has forgotten itself."""
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(ROWS))
    assert not [line for line in lines if not line["answer"].startswith(f"row {line['row']} ")]
    assert sorted(path.name for path in folder.iterdir()) == ["in.jsonl", "out.jsonl"]


def require_one_batch(emulator: Emulator) -> None:
    """Assert that the rows ran once, but for the one that failed and was run again."""
    names = sorted(job.id for job in emulator.jobs)
    assert names == [f"{STEM}-r1", f"{STEM}-x2-0", f"{STEM}-x2-1"]
    assert len(names) == JOBS
    assert emulator.ledger.rows == ROWS + 1
    datasets = sorted(each.id for each in emulator.datasets if not each.id.endswith("-out"))
    assert datasets == sorted([f"{STEM}-key", *(f"{name}-in" for name in names)])


def test_ids_follow_from_the_key_and_from_nothing_else() -> None:
    assert stem_of_key("a") == stem_of_key("a") != stem_of_key("b")
    assert BatchId.parse(stem_of_key("\N{SNOWMAN} any / text\ud800")).ours


@pytest.mark.parametrize(
    "split",
    [
        Split(ShardLimits()),
        Split(ShardLimits(5, 7, 9, by_kind=True, hoist=True), Dedupe.AUTO),
        Split(ShardLimits(5, by_kind=True), Dedupe.ON),
    ],
    ids=str,
)
def test_a_claim_says_how_the_rows_are_split(split: Split) -> None:
    with still_emulator() as emulator:
        claim = Claim(3, "0" * 32, 2, split)

        async def there_and_back(client: FireworksClient) -> Claim | None:
            return Claim.read(
                await client.datasets.create(
                    claim_dataset_id(STEM), example_count=3, display_name=claim.display_name
                )
            )

        assert with_client(emulator, there_and_back) == claim


def test_two_processes_at_once_make_one_batch(
    machines: tuple[Nursery, Nursery], tmp_path: Path
) -> None:
    with quick_emulator() as emulator:
        folders = tmp_path / "one", tmp_path / "other"
        for machine, folder in zip(machines, folders, strict=True):
            machine.start(keyed_order(emulator, folder))
        assert [machine.wait() for machine in machines] == [(0, {}), (0, {})]
        for folder in folders:
            require_whole_output(folder)
        require_one_batch(emulator)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_a_request_the_same_key_goes_on_elsewhere(
    machines: tuple[Nursery, Nursery], tmp_path: Path, moment: Moment
) -> None:
    machine, number, has_acted = machines[0], 1, True
    while has_acted:
        here, elsewhere = tmp_path / f"{number}-here", tmp_path / f"{number}-elsewhere"
        with quick_emulator() as emulator:
            pid: Future[int] = Future()

            def kill(pid: Future[int] = pid) -> None:
                os.kill(pid.result(), signal.SIGKILL)

            with Gate(emulator.url, number, moment, kill) as gate:
                order = keyed_order(emulator, here, gate.url)
                pid.set_result(machine.start(order))
                machine.wait()
                has_acted = gate.has_acted
                assert machine.run(keyed_order(emulator, elsewhere)) == (0, {})
                assert machine.run(order) == (0, {})
            require_whole_output(here)
            require_whole_output(elsewhere)
            require_one_batch(emulator)
        number += 2 * STRIDE
    assert number > 30


def test_other_limits_elsewhere_change_nothing(
    machines: tuple[Nursery, Nursery], tmp_path: Path
) -> None:
    with quick_emulator() as emulator:
        for name, most in (("one", 2), ("other", 1)):
            order = {**keyed_order(emulator, tmp_path / name), "max_rows": most}
            assert machines[0].run(order) == (0, {})
            require_whole_output(tmp_path / name)
        require_one_batch(emulator)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (source(5), "has 4 rows, not 5"),
        (source(4, {1: " other"}), "other content or other parameters: their digest is "),
    ],
)
def test_other_rows_under_a_key_are_refused_before_anything_is_uploaded(
    tmp_path: Path, rows: RowSource, said: str
) -> None:
    with still_emulator() as emulator:
        batch = with_client(emulator, lambda client: submit(client, tmp_path / "a", source(4)))
        before = len(emulator.datasets)
        with pytest.raises(KeyTakenError, match=said) as refusal:
            with_client(emulator, lambda client: submit(client, tmp_path / "b", rows))
        assert batch in str(refusal.value)
        assert KEY in str(refusal.value)
        assert (len(emulator.datasets), len(emulator.jobs)) == (before, 2)


def test_another_model_under_a_key_is_refused(tmp_path: Path) -> None:
    other = JobSpec("accounts/fireworks/models/toy-think")
    with still_emulator() as emulator:
        with_client(emulator, lambda client: submit(client, tmp_path, source(4)))
        with pytest.raises(BatchError, match=f"its model is {MODEL}"):
            with_client(emulator, lambda client: submit(client, tmp_path, source(4), spec=other))
        assert len(emulator.jobs) == 2


def test_a_second_submission_gives_the_same_id_and_uploads_nothing(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def twice(client: FireworksClient) -> list[str]:
            first = await submit(client, tmp_path, source(5))
            for dataset in [f"{job.id}-in" for job in emulator.jobs]:
                emulator.set_job(dataset.removesuffix("-in"), state="JOB_STATE_COMPLETED")
                await client.datasets.delete(dataset)
            return [first, await submit(client, tmp_path, source(5), shard=1)]

        first, second = with_client(emulator, twice)
        assert first == second == f"{STEM}-x3"
        assert len(emulator.requests_to("POST", ":upload$")) == len(emulator.jobs) == 3


def test_reads_that_lag_make_no_second_batch(tmp_path: Path) -> None:
    lag = Lag(reads=2, probability=1.0)
    patient = Consistency(gone_after=1.0, results_timeout=5.0)
    with quick_emulator() as emulator:
        emulator.weather = Weather(jobs=lag, datasets=lag, lists=lag)
        to = connection(emulator, QUICK, patient)
        for name in ("one", "other"):
            run = a_run(tmp_path / name, source(3, {FLAKY: "[[flaky]]"}), key=KEY)
            with run.lock():
                results = with_client(to, run.advance)
            require_own_answers(results.index, 3)
        assert sorted(job.id for job in emulator.jobs) == [
            f"{STEM}-r1", f"{STEM}-x2-0", f"{STEM}-x2-1"
        ]  # fmt: skip


def test_a_folder_with_another_key_is_another_run(tmp_path: Path) -> None:
    with quick_emulator() as emulator:
        run = a_run(tmp_path / "run", source(2), key=KEY)
        with run.lock():
            with_client(emulator, run.advance)
        other = a_run(tmp_path / "run", source(2), key="another")
        with other.lock(), pytest.raises(BatchError, match=f'key was "{KEY}" and is now "another"'):
            with_client(emulator, other.advance)
        assert len(emulator.jobs) == 1


def test_a_job_that_is_refused_is_created_by_the_same_key_later(tmp_path: Path) -> None:
    with quick_emulator() as emulator:
        emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=400, after=1))
        for name in ("here", "elsewhere"):
            run = a_run(tmp_path / name, source(4), key=KEY)
            with run.lock():
                if name == "here":
                    with pytest.raises(InvalidRequestError):
                        with_client(emulator, run.advance)
                else:
                    require_own_answers(with_client(emulator, run.advance).index, 4)
        assert [job.id for job in emulator.jobs] == [f"{STEM}-x2-0", f"{STEM}-x2-1"]


def test_what_a_key_stands_for_is_removed_when_no_job_is_left(tmp_path: Path) -> None:
    with quick_emulator() as emulator:

        async def find(client: FireworksClient) -> list[str]:
            found = await find_leftovers(client, young=timedelta(0))
            return [leftover.dataset.id for leftover in found if leftover.is_claim]

        batch = with_client(emulator, lambda client: submit(client, tmp_path, source(1)))
        assert with_client(emulator, find) == []
        with_client(emulator, lambda client: remove_job(client, batch))
        assert with_client(emulator, find) == [f"{STEM}-key"]
