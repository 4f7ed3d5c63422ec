"""The steps of one block, over HTTP against the emulator, each as if on a machine of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.distributed import stages
from oumi_fireworks.distributed.settings import BlockSettings, load_settings
from oumi_fireworks.distributed.stages import Collected
from oumi_fireworks.distributed.waiter import AtWork, Waiter
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import BadLinesError, ConfigurationError, FireworksError
from oumi_fireworks.money import Charge, Usage

CONFIG = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy
  model_kwargs:
    fireworks: {poll_interval: 0.05, input: {prompt: "{text}"}, price: {input: 1, output: 2}}
generation: {max_new_tokens: 20}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def there(settings: BlockSettings) -> BlockSettings:
    """Return settings as they are on another machine."""
    copy = pickle.loads(pickle.dumps(settings))
    assert isinstance(copy, BlockSettings)
    return copy


def run(
    settings: BlockSettings, table: pa.Table, key: str = "a key"
) -> tuple[Collected, pa.Table, list[str]]:
    """Take a block all the way, each step done twice."""
    submitted = [stages.submit(there(settings), table, "block 0", key) for _ in range(2)]
    assert submitted[0] == submitted[1]
    batches = submitted[:1]
    while True:
        asyncio.run(wait(settings, batches[-1]))
        first = stages.collect(there(settings), table, "block 0", batches)
        second = stages.collect(there(settings), table, "block 0", batches)
        assert first[0] == second[0]
        done, out = first
        if done.again is None:
            assert out is not None
            assert out.equals(second[1])
            return done, out, [batch.batch_id for batch in batches]
        batches.append(done.again)


async def wait(settings: BlockSettings, batch: Attempt) -> None:
    waiter = Waiter(there(settings))
    assert await waiter.wait(batch) == batch.batch_id
    first = await waiter.at_work(0)
    assert (first.batches, first.processed, first.total) == (0, 0, 0)
    assert first.news[-1].is_terminal
    assert {snapshot.batch_id for snapshot in first.news} == {batch.batch_id}
    logging.getLogger("oumi_fireworks.batch").warning("a concern")
    assert await waiter.at_work(0) == AtWork(0, 0, 0, concerns=("a concern",))
    await waiter.close()


def test_a_block_comes_out_with_its_answers_and_is_paid_once_however_often_it_is_done(
    at_emulator: Emulator, config: Path
) -> None:
    table = pa.table({"n": range(50), "text": [f"[[reply answer {n}]]" for n in range(50)]})
    done, out, ids = run(load_settings(config), table)
    assert done == Collected(answered=50)
    assert out.select(["n", "text"]).equals(table)
    assert out["answer"].to_pylist() == [f"answer {n}" for n in range(50)]
    assert set(out["outcome"].to_pylist()) == {"answered"}
    assert all(cost > 0 for cost in out["cost"].to_pylist())
    assert [job.id for job in at_emulator.jobs] == ids
    assert at_emulator.ledger.rows == 50


def test_rows_that_failed_are_run_again_and_no_others(at_emulator: Emulator, config: Path) -> None:
    texts = ["[[flaky 1]] one", "two", "[[fail]] three", "four"]
    done, out, ids = run(load_settings(config), pa.table({"text": texts}))
    assert done == Collected(answered=3, failed=1)
    assert out["outcome"].to_pylist() == ["answered", "answered", "failed", "answered"]
    assert out["error"].to_pylist()[2]
    assert len(ids) == len(at_emulator.jobs) == 2
    assert at_emulator.ledger.rows == len(texts) + 2


def test_answers_that_do_not_hold_are_asked_for_again(at_emulator: Emulator, config: Path) -> None:
    config.write_text(
        CONFIG.replace(
            "price:", "accept: {finish_reason: [stop]}, on_reject: {max_new_tokens: x4}, price:"
        )
    )
    texts = ["[[words 40]]", "[[words 3]]"]
    done, out, ids = run(load_settings(config), pa.table({"text": texts}))
    assert done == Collected(answered=2)
    assert [len(answer.split()) for answer in out["answer"].to_pylist()] == [40, 3]
    assert len(ids) == len(at_emulator.jobs) == 2
    assert at_emulator.ledger.rows == 3


def test_rows_of_a_block_that_ask_the_same_are_sent_once_also_when_they_are_run_again(
    at_emulator: Emulator, config: Path
) -> None:
    with_options(config, "dedupe: on")
    texts = ["[[flaky 1]] one", "two", "[[flaky 1]] one", "[[fail]] three", "two", "two"]
    done, out, ids = run(load_settings(config), pa.table({"text": texts}))
    assert (done.answered, done.failed, len(ids)) == (5, 1, 2)
    assert at_emulator.ledger.rows == 3 + 2
    answers = out["answer"].to_pylist()
    assert answers[0] == answers[2]
    assert answers[1] == answers[4] == answers[5]
    with_options(config, "dedupe: off")
    again, same, _ = run(load_settings(config), pa.table({"text": texts}))
    assert again.answered == 5
    assert same["answer"].to_pylist() == answers
    assert at_emulator.ledger.rows == 3 + 2


def test_rows_that_cannot_be_sent_stop_it_before_anything_is_sent(
    at_emulator: Emulator, config: Path
) -> None:
    table = pa.table({"text": ["one", None, "three"]})
    with pytest.raises(BadLinesError, match=r"block 0.*row 2|block 0:2"):
        stages.look(load_settings(config), table, "block 0")
    assert not at_emulator.requests


def test_rows_that_cannot_be_sent_are_left_out_and_keep_their_place(
    at_emulator: Emulator, config: Path
) -> None:
    table = pa.table({"text": ["one", None, "three"]})
    settings = load_settings(config, skip_bad=True)
    assert stages.look(settings, table, "block 0").rows == 2
    done, out, _ = run(settings, table)
    assert done == Collected(answered=2, bad_rows=1)
    assert out["outcome"].to_pylist() == ["answered", "bad row", "answered"]
    assert out["text"].to_pylist() == table["text"].to_pylist()


def test_a_block_without_a_row_that_can_be_sent_is_no_batch(config: Path) -> None:
    table = pa.table({"text": pa.array([None, None], pa.string())})
    settings = load_settings(config, skip_bad=True)
    assert stages.look(settings, table, "block 0").rows == 0
    done, out = stages.leave_out(settings, table, "block 0")
    assert done == Collected(bad_rows=2)
    assert out["outcome"].to_pylist() == ["bad row", "bad row"]


def test_what_a_block_asks_depends_on_its_requests_and_its_model_alone(config: Path) -> None:
    settings = load_settings(config)

    def digest(settings: BlockSettings = settings, **columns: list[Any]) -> str:
        return stages.look(settings, pa.table(columns), "block 0").digest

    same = digest(text=["a", "b"])
    assert digest(text=["a", "b"], other=[1, 2]) == same
    assert digest(text=["b", "a"]) != same
    assert digest(text=["a", "c"]) != same
    config.write_text(CONFIG.replace("max_new_tokens: 20", "max_new_tokens: 21"))
    assert digest(load_settings(config), text=["a", "b"]) != same
    config.write_text(CONFIG.replace("models/toy", "models/other"))
    assert digest(load_settings(config), text=["a", "b"]) != same


def with_options(config: Path, *options: str) -> None:
    config.write_text(CONFIG.replace("price:", f"{', '.join(options)}, price:"))


def test_what_a_block_has_cost_is_what_its_answers_state_and_less_than_was_set_aside(
    at_emulator: Emulator, config: Path
) -> None:
    with_options(config, "max_cost: 1")
    settings = load_settings(config)
    table = pa.table({"text": ["[[flaky 1]] one", "two", "[[fail 400]] three", "four"]})
    looked = stages.look(settings, table, "block 0")
    done, out, ids = run(settings, table)
    assert (done.answered, done.failed, len(ids)) == (3, 1, 2)
    assert settings.budget is not None
    assert done.charge is not None
    cost = settings.budget.cost(done.charge)
    assert sum(filter(None, out["cost"].to_pylist())) <= float(cost)
    assert cost <= settings.budget.at_most(looked.most)
    ledger = at_emulator.ledger
    assert done.charge.used + done.charge.unknown != Usage()
    paid = Charge(Usage(ledger.input_tokens, ledger.output_tokens))
    assert settings.budget.cost(paid) <= cost
    assert Collected.from_json(json.loads(json.dumps(done.to_json()))) == done


def test_rows_are_run_again_only_from_what_was_set_aside_for_their_block(
    at_emulator: Emulator, config: Path
) -> None:
    with_options(config, "max_cost: 100", "accept: {finish_reason: [stop]}",
                 "on_reject: {max_new_tokens: 2000}")  # fmt: skip
    settings = load_settings(config)
    table = pa.table({"text": ["[[words 40]]"]})
    done, out, ids = run(settings, table)
    assert (done.answered, done.rejected, done.failed, len(ids)) == (0, 1, 0, 1)
    assert out["outcome"].to_pylist() == ["rejected"]
    more = pa.table({"text": ["[[words 40]]", *[f"[[words 3]] {n}" for n in range(300)]]})
    done, _, ids = run(settings, more, "another key")
    assert (done.answered, done.failed, len(ids)) == (301, 0, 2)
    assert at_emulator.ledger.rows == 1 + 301 + 1


def test_rows_that_a_budget_does_not_allow_come_out_and_say_so(
    at_emulator: Emulator, config: Path
) -> None:
    with_options(config, "max_cost: 1")
    settings = load_settings(config, skip_bad=True)
    done, out = stages.leave_over(settings, pa.table({"text": ["one", None, "three"]}), "block 0")
    assert done == Collected(bad_rows=1, over_budget=2)
    assert out["outcome"].to_pylist() == ["over budget", "bad row", "over budget"]
    assert not at_emulator.requests


def test_whether_a_block_has_begun_is_known_by_its_key_alone(
    at_emulator: Emulator, config: Path
) -> None:
    settings = load_settings(config)

    async def ask(*keys: str) -> list[bool]:
        waiter = Waiter(there(settings))
        answers = [await waiter.has_begun(key) for key in keys]
        await waiter.close()
        return answers

    stages.submit(settings, pa.table({"text": ["one"]}), "block 0", "a key")
    assert asyncio.run(ask("a key", "another key")) == [True, False]
    at_emulator.faults.add(Fault("POST", "batchInferenceJobs$", status=400))
    with pytest.raises(FireworksError):
        stages.submit(settings, pa.table({"text": ["two"]}), "block 1", "another key")
    assert asyncio.run(ask("another key")) == [False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("price: {input: 1, output: 2}", "max_cost: 5"), "price"),
        (("{text}", "{txt}"), "'txt'.*text"),
        (("engine: FIREWORKS", "engine: VLLM"), "VLLM"),
        (("poll_interval: 0.05", "key: mine"), "Each block is a batch with a key of its own"),
        (("poll_interval: 0.05", "cache: answers"), "of one machine"),
        (("poll_interval: 0.05", "deadline: 6h"), "After a deadline"),
        (("generation:", "remote_params: {api_key: fw_secret}\ngeneration:"), "travel"),
    ],
    ids=["price", "column", "engine", "key", "cache", "deadline", "secret"],
)
def test_what_cannot_work_is_said_before_anything_is_sent(
    config: Path, change: tuple[str, str], message: str
) -> None:
    config.write_text(CONFIG.replace(*change))
    with pytest.raises(ConfigurationError, match=message) as raised:
        stages.look(load_settings(config), pa.table({"text": ["a"]}), "block 0")
    assert "fw_secret" not in str(raised.value)


def test_no_key_is_in_what_travels(at_emulator: Emulator, config: Path) -> None:
    settings = load_settings(config)
    assert settings.connection().api_key == at_emulator.api_key
    assert at_emulator.api_key.encode() not in pickle.dumps(settings)
