"""A system message that rows share travels once, and no row is asked anything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Request,
    RunOptions,
    ShardLimits,
    Snapshot,
    fetch_results,
    retry_rows,
    submit_new,
    watch,
)
from oumi_fireworks.batch.inputs import JobInput, read_requests
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.batch.shards import Shard, write_shards
from oumi_fireworks.batch.shared_prompt import leading_prompt, with_prompt, without_prompt
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.prompts import outline_of_request
from tests.api.support import with_client
from tests.batch.support import EAGER, SPEC, prepare, quick_emulator, still_emulator

HOIST = ShardLimits(by_kind=True, hoist=True)
APART = ShardLimits(by_kind=True)
JOBS = "/batchInferenceJobs$"


def system(text: object) -> dict[str, Any]:
    return {"role": "system", "content": text}


def asked(index: int, leading: Sequence[dict[str, Any]], mark: str = "") -> Request:
    user = {"role": "user", "content": f"row {index} [[echo]]{mark}"}
    body = {"messages": [*leading, user], "temperature": 0}
    return Request(index, body, outline_of_request(body))


A, B = [system("Be brief. " * 30)], [system("Speak in verse. " * 20)]
NONE: list[dict[str, Any]] = []
TWO, EMPTY, PARTS = [*A, *B], [system("")], [system([{"type": "text", "text": "In parts."}])]
MIXTURES = {
    "all the same": [A] * 7,
    "all another": [[system(f"You are number {n}.")] for n in range(7)],
    "none": [NONE] * 7,
    "some without": [A, NONE, A, A, NONE, NONE, A],
    "the first without": [NONE, A, A, A, A, A, A],
    "two in turns": [A, B, A, B, A, B, A],
    "one after the other": [A, A, A, A, B, B, B],
    "everything": [A, TWO, NONE, EMPTY, B, PARTS, A],
}


def rows_of(mixture: str, mark: str = "") -> RowSource:
    def rows() -> Iterator[Request]:
        for index, leading in enumerate(MIXTURES[mixture]):
            yield asked(index, leading, mark if index % 3 == 0 else "")

    return rows


def write(rows: Sequence[Request], folder: Path | None, limits: ShardLimits) -> list[Shard]:
    return asyncio.run(write_shards(rows, folder, limits))


@pytest.mark.parametrize(
    ("messages", "more", "stays"),
    [
        ([*A, {"role": "user", "content": "x"}], {}, False),
        ([{"role": "user", "content": "x"}], {}, True),
        ([*A], {}, True),
        ([*TWO, {"role": "user", "content": "x"}], {}, True),
        ([*EMPTY, {"role": "user", "content": "x"}], {}, True),
        ([system(" \n"), {"role": "user", "content": "x"}], {}, True),
        ([*PARTS, {"role": "user", "content": "x"}], {}, True),
        ([{**A[0], "name": "boss"}, {"role": "user", "content": "x"}], {}, True),
        ([*A, {"role": "user", "content": "x"}], {"prompt_token_ids": [1]}, True),
        ([], {}, True),
        (None, {}, True),
    ],
)
def test_only_what_the_service_puts_back_may_be_taken_away(
    messages: list[dict[str, Any]] | None, more: dict[str, Any], stays: bool
) -> None:
    body = {"messages": messages, **more}
    prompt = leading_prompt(body)
    assert (prompt is None) is stays
    if prompt is not None:
        assert with_prompt(without_prompt(body), prompt) == body


_LEADING = st.sampled_from([A, B, NONE, TWO, EMPTY, PARTS, [system("short")]])


@given(
    mixture=st.lists(_LEADING, max_size=25),
    most=st.integers(1200, 3000),
    most_rows=st.none() | st.integers(1, 7),
)
def test_any_mixture_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory,
    mixture: list[list[dict[str, Any]]],
    most: int,
    most_rows: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    rows = [asked(index, leading) for index, leading in enumerate(mixture)]
    limits = ShardLimits(most, most_rows, by_kind=True, hoist=True)
    shards, measured = write(rows, folder, limits), write(rows, None, limits)
    assert [replace(shard, path=Path()) for shard in shards] == [
        replace(shard, path=Path()) for shard in measured
    ]
    assert [shard.path.name for shard in shards] == [f"shard-{n}.jsonl" for n in range(len(shards))]
    for shard in shards:
        assert shard.size == shard.path.stat().st_size <= most
        assert shard.rows <= (most_rows or len(rows))
        if shard.system_prompt is not None:
            for line in shard.path.read_bytes().splitlines():
                body = json.loads(line)["body"]
                assert with_prompt(body, shard.system_prompt)["messages"][0]["role"] == "system"
    files = [JobInput(shard.path, shard.system_prompt or "") for shard in shards]
    assert [(name.index, body) for name, body in read_requests(files)] == [
        (row.index, row.body) for row in rows
    ]


@pytest.mark.parametrize("mixture", MIXTURES)
def test_digests_and_plans_are_the_same_with_and_without(tmp_path: Path, mixture: str) -> None:
    rows = list(rows_of(mixture)())
    for most_rows in (None, 3):
        shared = write(rows, tmp_path, replace(HOIST, max_rows=most_rows))
        whole = write(rows, None, replace(APART, max_rows=most_rows))
        assert [(s.rows, s.digest, s.size + s.saved) for s in shared] == [
            (s.rows, s.digest, s.size) for s in whole
        ]
    if mixture == "all the same":
        assert write(rows, None, ShardLimits())[0].digest == write(rows, None, HOIST)[0].digest


def test_the_most_common_message_of_the_first_rows_travels() -> None:
    mixture = [B, A, A, *[A, A, B] * 100]
    [shard] = write([asked(n, leading) for n, leading in enumerate(mixture)], None, HOIST)
    assert shard.system_prompt == A[0]["content"]
    assert shard.shared_rows == mixture.count(A)


def read_by_the_model(results: BatchResults) -> list[str]:
    """Name what each row's answer was given to: the toy model's ids are digests of that."""
    assert results.index.counts.is_complete, str(results.index.counts)
    return [row.completion["id"] for row in results.index.outcomes() if isinstance(row, Answer)]


def names(rows: RowSource) -> list[str]:
    texts = (orjson.dumps(row.body["messages"]) for row in rows())
    return [f"chatcmpl-{blake2b(text, digest_size=8).hexdigest()}" for text in texts]


def a_run(folder: Path, rows: RowSource, limits: ShardLimits, retries: int = 1) -> BatchRun:
    options = RunOptions(limits=limits, wait_policy=EAGER, row_retries=retries)
    return BatchRun(folder, rows, SPEC, {}, options)


def advance(emulator: Emulator, run: BatchRun, on_progress: Any = None) -> BatchResults:
    with run.lock():
        return with_client(emulator, lambda client: run.advance(client, on_progress))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with quick_emulator() as emulator:
        yield emulator


@pytest.mark.parametrize("most_rows", [None, 2])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_every_row_is_asked_what_it_says_through_shards_and_retries(
    emulator: Emulator, tmp_path: Path, mixture: str, most_rows: int | None
) -> None:
    rows = rows_of(mixture, "[[flaky]]")
    limits = replace(HOIST, max_rows=most_rows)
    results = advance(emulator, a_run(tmp_path / "run", rows, limits))
    assert read_by_the_model(results) == names(rows)
    assert len(results.snapshots) == 2
    sent = [job.system_prompt for snapshot in results.snapshots for job in snapshot.jobs]
    assert any(sent) is (mixture != "none")


@pytest.mark.parametrize("mixture", ["all the same", "two in turns"])
def test_a_continuation_brings_the_message_again(tmp_path: Path, mixture: str) -> None:
    rows = rows_of(mixture, "[[flaky]]")

    with still_emulator() as emulator:

        def end(snapshot: Snapshot) -> None:
            for job in snapshot.jobs:
                is_first = not job.continued_from
                state = "EXPIRED" if is_first else "COMPLETED"
                if not job.phase.is_terminal:
                    emulator.set_job(job.id, f"JOB_STATE_{state}", rows=4 if is_first else None)

        results = advance(emulator, a_run(tmp_path / "run", rows, HOIST, retries=2), end)
        assert read_by_the_model(results) == names(rows)
        creates = [create.body for create in emulator.requests_to("POST", JOBS)]
        assert "continuedFromJobName" in creates[1]
        assert {create["systemPrompt"] for create in creates} == {A[0]["content"]}


@pytest.mark.parametrize("stage", ["planned", "submitted"])
@pytest.mark.parametrize(
    ("before", "after"), [(HOIST, ShardLimits()), (ShardLimits(), HOIST), (HOIST, HOIST)]
)
def test_a_run_goes_on_as_it_was_begun_whatever_the_option_says_now(
    emulator: Emulator, tmp_path: Path, stage: str, before: ShardLimits, after: ShardLimits
) -> None:
    rows, folder = rows_of("some without", "[[flaky]]"), tmp_path / "run"
    earlier = a_run(folder, rows, replace(before, max_rows=2))
    with earlier.lock():
        batch_id = with_client(emulator, lambda client: prepare(earlier, client))
    if stage == "planned":  # killed when all was made, and not yet written down
        manifest = json.loads(earlier.manifest_path.read_bytes())
        manifest["attempts"][-1]["stage"] = "planned"
        earlier.manifest_path.write_text(json.dumps(manifest))
    jobs = len(emulator.jobs)
    results = advance(emulator, a_run(folder, rows, replace(after, max_rows=2)))
    assert results.batch_id == batch_id
    assert read_by_the_model(results) == names(rows)
    further = emulator.jobs[jobs:]
    assert all("-r1" in job.id for job in further)


def test_the_manifest_of_a_run_begun_before_this_goes_on(
    emulator: Emulator, tmp_path: Path
) -> None:
    rows, folder = rows_of("some without", "[[flaky]]"), tmp_path / "run"
    earlier = a_run(folder, rows, ShardLimits(max_rows=2))
    with earlier.lock():
        batch_id = with_client(emulator, lambda client: prepare(earlier, client))
    manifest = json.loads(earlier.manifest_path.read_bytes())
    manifest["limits"] = {"max_bytes": 480_000_000, "max_rows": 2}
    for job in manifest["attempts"][0]["jobs"]:
        del job["system_prompt"]
    earlier.manifest_path.write_text(json.dumps(manifest))
    results = advance(emulator, a_run(folder, rows, replace(HOIST, max_rows=2)))
    assert results.batch_id == batch_id
    assert read_by_the_model(results) == names(rows)
    assert not any(job.system_prompt for each in results.snapshots for job in each.jobs)


@pytest.mark.parametrize("mixture", ["all the same", "some without", "everything"])
@pytest.mark.parametrize("hoist", [True, False])
def test_a_retry_from_any_machine_shares_too(
    emulator: Emulator, tmp_path: Path, mixture: str, hoist: bool
) -> None:
    rows = rows_of(mixture, "[[flaky]]")

    async def run(client: FireworksClient) -> BatchResults:
        batch = await submit_new(
            client, rows(), SPEC, folder=tmp_path / "s", limits=HOIST, concurrency=2
        )
        await watch(client, batch, EAGER)
        results = await fetch_results(client, [batch], 7, tmp_path / "r")
        again = [
            (
                await retry_rows(
                    client, results, rows(), SPEC,
                    attempt=1, folder=tmp_path / "a", concurrency=2, hoist=hoist,
                )
            )[0]
            for _ in range(2)
        ]  # fmt: skip
        assert again[0] == again[1]
        await watch(client, again[0], EAGER)
        return await fetch_results(client, [batch, again[0]], 7, tmp_path / "r2")

    results = with_client(emulator, run)
    assert read_by_the_model(results) == names(rows)
    assert any(job.system_prompt for job in results.snapshots[1].jobs) is hoist
