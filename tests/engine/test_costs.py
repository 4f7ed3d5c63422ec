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
