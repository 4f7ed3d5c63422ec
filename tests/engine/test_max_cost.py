"""``max_cost`` in ``infer``: what fits is answered, the rest fails alone, and more goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.engine.failures import OverBudgetRow
from oumi_fireworks.errors import ConfigurationError, IncompleteBatchError, OverBudgetError
from tests.engine.conftest import MODEL, EngineFactory, ask

CHAT = "/inference/v1/chat/completions$"
ROWS = 8
PRICE = {"input": 1_000_000, "output": 1_000_000}
"""A dollar a token. A row of ours takes some 600, and at its worst some 3,000."""


def rows() -> list[Conversation]:
    return [ask(f"[[echo]] {'word ' * 300}{index}") for index in range(ROWS)]


def config(tmp_path: Path) -> InferenceConfig:
    output = str(tmp_path / "out.jsonl")
    return InferenceConfig(model=ModelParams(model_name=MODEL), output_path=output)


def tokens(conversations: list[Conversation]) -> int:
    usages: list[Any] = [each.metadata["usage"] for each in conversations]
    return sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)


def test_infer_partial_gives_what_fits(make_engine: EngineFactory, emulator: Emulator) -> None:
    result = make_engine(price=PRICE, max_cost=5000).infer_partial(rows())
    answered = [conversation for _, conversation in result.successful]
    assert 0 < len(answered) < ROWS
    assert tokens(answered) <= 5000
    assert len(emulator.requests_to("POST", CHAT)) == len(answered)
    failures = list(result.failures.values())
    assert {type(each) for each in failures} == {OverBudgetRow}
    assert "not sent: it may cost $" in failures[0].error_message


def test_infer_raises_with_what_there_is_and_a_higher_bound_goes_on(
    make_engine: EngineFactory, emulator: Emulator, tmp_path: Path
) -> None:
    with pytest.raises(OverBudgetError, match="not sent: it may cost") as caught:
        make_engine(price=PRICE, max_cost=5000).infer(rows(), config(tmp_path))
    answered = [conversation for _, conversation in caught.value.partial.successful]
    assert 0 < len(answered) < ROWS
    before = len(emulator.requests_to("POST", CHAT))
    with pytest.raises(OverBudgetError):  # what was spent is remembered
        make_engine(price=PRICE, max_cost=5000).infer(rows(), config(tmp_path))
    assert len(emulator.requests_to("POST", CHAT)) == before
    done = make_engine(price=PRICE, max_cost=100_000).infer(rows(), config(tmp_path))
    assert len(done) == len(emulator.requests_to("POST", CHAT)) == ROWS
    assert not list(tmp_path.rglob("*.spent"))


def test_a_batch_raises_with_what_there_is_and_a_higher_bound_goes_on(
    make_engine: EngineFactory, emulator: Emulator, tmp_path: Path
) -> None:
    options = {"mode": "batch", "poll_interval": 0.01, "price": PRICE, "max_shard_rows": 1}
    with pytest.raises(IncompleteBatchError, match="max_cost did not allow it") as caught:
        make_engine(**options, max_cost=5000).infer(rows(), config(tmp_path))
    answered = [conversation for _, conversation in caught.value.partial.successful]
    assert 0 < len(answered) < ROWS
    ledger = emulator.ledger
    assert ledger.input_tokens + ledger.output_tokens == tokens(answered) <= 5000
    result = make_engine(**options, max_cost=5000).infer_partial(rows(), config(tmp_path))
    assert {type(each) for each in result.failures.values()} == {OverBudgetRow}
    assert len(make_engine(**options, max_cost=100_000).infer(rows(), config(tmp_path))) == ROWS
    assert emulator.ledger.rows == ROWS


@pytest.mark.parametrize(
    "options",
    [
        {"max_cost": 1, "extra_body": {"service_tier": "priority"}},
        {"max_cost": 1, "model": "accounts/fireworks/models/toy-chat"},
    ],
)
def test_without_a_known_price_a_bound_is_refused(
    make_engine: EngineFactory, emulator: Emulator, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="no known price"):
        make_engine(**options).infer(rows())
    assert not emulator.requests_to("POST", CHAT)
