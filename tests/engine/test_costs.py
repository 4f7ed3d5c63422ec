"""What runs have cost, where users look for it."""

from __future__ import annotations

import logging

import pytest

from oumi_fireworks.emulator import Emulator
from tests.engine.conftest import EngineFactory, questions

PRICE = {"input": 1_000_000, "output": 1_000_000}
"""A dollar a token."""


def test_a_batch_says_what_it_has_cost(make_engine: EngineFactory, emulator: Emulator) -> None:
    engine = make_engine(price=PRICE, poll_interval=0.01)
    batch = engine.infer_batch(questions(3))
    info = engine.wait_for_batch(batch)
    assert info.metadata is not None
    billed = emulator.ledger.input_tokens + emulator.ledger.output_tokens
    assert info.metadata["cost"] == billed > 0
    listed = make_engine().get_batch_status(batch).metadata
    assert listed is not None
    assert 0 < listed["cost"] < 0.01
    unknown = make_engine("accounts/fireworks/models/toy-chat", poll_interval=0.01)
    other = unknown.wait_for_batch(unknown.infer_batch(questions(1))).metadata
    assert other is not None
    assert other["cost"] is None


def test_an_online_run_says_at_its_end_what_it_has_cost(
    make_engine: EngineFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="oumi_fireworks"):
        done = make_engine(price=PRICE).infer(questions(3))
    used = [each.metadata["usage"] for each in done]
    dollars = sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in used)
    assert f"output tokens; ${dollars:,.2f}" in caplog.text


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_the_metadata_of_an_answer_say_what_it_has_cost_where_that_is_asked_for(
    make_engine: EngineFactory, emulator: Emulator, mode: str
) -> None:
    asked = [*questions(2), *questions(1)]
    engine = make_engine(price=PRICE, mode=mode, poll_interval=0.01, cost_in_metadata=True)
    first, second, repeat = engine.infer(asked)
    for each in (first, second):
        usage = each.metadata["usage"]
        assert each.metadata["cost"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert repeat.metadata["cost"] == 0
    plain = make_engine(price=PRICE, mode=mode, poll_interval=0.01).infer(asked)
    assert not any("cost" in each.metadata for each in plain)


def test_the_results_of_a_batch_by_its_id_say_it_too(make_engine: EngineFactory) -> None:
    engine = make_engine(price=PRICE, poll_interval=0.01, cost_in_metadata=True)
    batch = engine.infer_batch(questions(2))
    engine.wait_for_batch(batch)
    partial = engine.get_batch_results_partial(batch, questions(2))
    for each in [
        *engine.get_batch_results(batch, questions(2)),
        *dict(partial.successful).values(),
    ]:
        usage = each.metadata["usage"]
        assert each.metadata["cost"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_an_answer_that_is_kept_though_it_does_not_hold_has_its_cost(
    make_engine: EngineFactory,
) -> None:
    engine = make_engine(price=PRICE, cost_in_metadata=True, accept={"json": True, "keep": True})
    (kept,) = engine.infer(questions(1))
    assert "rejected" in kept.metadata
    assert kept.metadata["cost"] > 0
