"""The steps of one block, over HTTP against the emulator, each as if on a machine of its own."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.distributed import stages
from oumi_fireworks.distributed.settings import BlockSettings, load_settings
from oumi_fireworks.distributed.waiter import AtWork, Waiter
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import BadLinesError, ConfigurationError

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
) -> tuple[stages.Collected, pa.Table, list[str]]:
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
    assert await waiter.at_work(0) == AtWork(0, 0, 0)
    await waiter.close()


def test_a_block_comes_out_with_its_answers_and_is_paid_once_however_often_it_is_done(
    at_emulator: Emulator, config: Path
) -> None:
    table = pa.table({"n": range(50), "text": [f"[[reply answer {n}]]" for n in range(50)]})
    done, out, ids = run(load_settings(config), table)
    assert done == stages.Collected(answered=50)
    assert out.select(["n", "text"]).equals(table)
    assert out["answer"].to_pylist() == [f"answer {n}" for n in range(50)]
    assert set(out["outcome"].to_pylist()) == {"answered"}
    assert all(cost > 0 for cost in out["cost"].to_pylist())
    assert [job.id for job in at_emulator.jobs] == ids
    assert at_emulator.ledger.rows == 50


def test_rows_that_failed_are_run_again_and_no_others(at_emulator: Emulator, config: Path) -> None:
    texts = ["[[flaky 1]] one", "two", "[[fail]] three", "four"]
    done, out, ids = run(load_settings(config), pa.table({"text": texts}))
    assert done == stages.Collected(answered=3, failed=1)
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
    assert done == stages.Collected(answered=2)
    assert [len(answer.split()) for answer in out["answer"].to_pylist()] == [40, 3]
    assert len(ids) == len(at_emulator.jobs) == 2
    assert at_emulator.ledger.rows == 3


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
    assert done == stages.Collected(answered=2, bad_rows=1)
    assert out["outcome"].to_pylist() == ["answered", "bad row", "answered"]
    assert out["text"].to_pylist() == table["text"].to_pylist()


def test_a_block_without_a_row_that_can_be_sent_is_no_batch(config: Path) -> None:
    table = pa.table({"text": pa.array([None, None], pa.string())})
    settings = load_settings(config, skip_bad=True)
    assert stages.look(settings, table, "block 0").rows == 0
    done, out = stages.leave_out(settings, table, "block 0")
    assert done == stages.Collected(bad_rows=2)
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{text}", "{txt}"), "'txt'.*text"),
        (("engine: FIREWORKS", "engine: VLLM"), "VLLM"),
        (("poll_interval: 0.05", "key: mine"), "Each block is a batch with a key of its own"),
        (("poll_interval: 0.05", "cache: answers"), "on one machine"),
        (("poll_interval: 0.05", "deadline: 6h"), "A deadline holds for the runs of one machine"),
        (("generation:", "remote_params: {api_key: fw_secret}\ngeneration:"), "travel"),
    ],
    ids=["column", "engine", "key", "cache", "deadline", "secret"],
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
