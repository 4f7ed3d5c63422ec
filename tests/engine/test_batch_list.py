"""Batches listed page by page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import FireworksError
from tests.engine.conftest import EngineFactory, questions


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_paging_by_last_id_sees_every_job_once(
    make_engine: EngineFactory, at_emulator: Emulator, limit: int
) -> None:
    engine = make_engine()
    submitted = {engine.infer_batch(questions(1)) for _ in range(7)}
    pagers: list[Callable[[], FireworksInferenceEngine]] = [lambda: engine, make_engine]
    for pager in pagers:  # one engine, and a fresh one for each page
        seen: list[str] = []
        after = None
        while True:
            page = pager().list_batches(after=after, limit=limit)
            seen += [batch.id for batch in page.batches]
            assert page.first_id == page.batches[0].id
            after = page.last_id
            if not page.has_more:
                break
        assert sorted(seen) == sorted(submitted)


def test_paging_by_page_token(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    submitted = {engine.infer_batch(questions(1)) for _ in range(4)}
    first = engine.list_batches(limit=3)
    assert first.batches[-1].metadata is not None
    token = first.batches[-1].metadata["next_page_token"]
    second = engine.list_batches(after=token, limit=3)
    ids = [batch.id for batch in [*first.batches, *second.batches]]
    assert sorted(ids) == sorted(submitted)
    assert not second.has_more


@pytest.mark.parametrize("fresh", [False, True])
def test_an_empty_page_is_not_the_end(
    make_engine: EngineFactory, at_emulator: Emulator, fresh: bool
) -> None:
    def give(token: str, *ids: str) -> None:
        """Let the next list be answered with a page of these jobs."""
        jobs = [{"name": f"accounts/a/batchInferenceJobs/{id}"} for id in ids]
        body = {"batchInferenceJobs": jobs, "nextPageToken": token}
        at_emulator.faults.add(Fault("GET", "/batchInferenceJobs$", "garbage", body=body))

    engine = make_engine()
    give("more", "first")
    page = engine.list_batches(limit=1)
    if fresh:  # looks for the last id from the beginning
        engine = make_engine()
        give("more", "first")
    give("yet more")
    give("the last")
    give("", "second")
    page = engine.list_batches(after=page.last_id, limit=1)
    assert [batch.id for batch in page.batches] == ["second"]
    assert not page.has_more


def test_a_place_to_go_on_from_that_does_not_exist_is_named(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    with pytest.raises(FireworksError, match=r"no batch job 'oumi-nonesuch'.*invalid page token"):
        engine.list_batches(after="oumi-nonesuch")


def test_an_empty_list(engine: FireworksInferenceEngine) -> None:
    page = engine.list_batches()
    assert (page.batches, page.first_id, page.last_id, page.has_more) == ([], None, None, False)
