"""Tables in memory: what is given is what comes back, with the answers beside its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from oumi.core.configs import GenerationParams, ModelParams
from oumi.core.configs.params.guided_decoding_params import GuidedDecodingParams

from oumi_fireworks import ConfigurationError, FireworksInferenceEngine, OptionError
from oumi_fireworks.tables.answer_columns import COLUMNS
from tests.engine.conftest import MODEL, EngineFactory

ROWS = {"text": ["good", None, "bad"], "stars": [5, 3, 1]}
PRICE = {"input": 1, "output": 1}


@pytest.fixture
def engine(make_engine: EngineFactory) -> FireworksInferenceEngine:
    return make_engine(price=PRICE)


def records(table: Any) -> list[dict[str, Any]]:
    if isinstance(table, pd.DataFrame):
        found: list[dict[str, Any]] = table.to_dict("records")
        return found
    return list(table.to_dicts() if isinstance(table, pl.DataFrame) else table.to_pylist())


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda rows: pa.RecordBatch.from_pydict(rows),
    ],
    ids=["pandas", "polars", "table", "batch"],
)
def test_what_is_given_is_what_comes_back(
    engine: FireworksInferenceEngine, make: Callable[[Any], Any]
) -> None:
    given = make(ROWS)
    answered = engine.infer_table(given, prompt_column="text", system="Be brief.")
    assert type(answered) is type(given)
    rows = records(answered)
    assert list(rows[0]) == [*ROWS, *COLUMNS]
    assert [row["outcome"] for row in rows] == ["answered", "bad row", "answered"]
    assert rows[1]["error"] == "null in column 'text': there is nothing to ask"
    assert rows[0]["answer"]
    assert rows[0]["finish_reason"] == "stop"
    assert rows[0]["cost"] == (rows[0]["prompt_tokens"] + rows[0]["completion_tokens"]) / 1e6
    assert list(given.columns if hasattr(given, "iloc") else given.schema) != list(rows[0])


def test_pandas_keeps_its_index_and_its_types(engine: FireworksInferenceEngine) -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "kind": pd.Categorical(["b", "c"])}, index=[7, 3])
    frame["odd"] = [1, "two"]
    answered = engine.infer_table(frame, prompt="{a}")
    assert list(answered.index) == [7, 3]
    pd.testing.assert_frame_equal(answered[["a", "kind", "odd"]], frame)
    assert str(answered["prompt_tokens"].dtype) == "Int64"
    with pytest.raises(TypeError, match="The column 'odd' has values of several types"):
        engine.infer_table(frame, prompt="{odd}")


def test_a_table_goes_through_the_batch_api(
    emulator: Any, engine: FireworksInferenceEngine, tmp_path: Any
) -> None:
    batch = FireworksInferenceEngine(
        ModelParams(model_name=MODEL), mode="batch", poll_interval=0.05, run_dir=str(tmp_path)
    )
    answered = batch.infer_table(pa.table(ROWS), prompt="{stars}")
    assert answered["outcome"].to_pylist() == ["answered"] * 3
    assert len(emulator.ledger.jobs) == 1


@pytest.mark.usefixtures("engine")
def test_the_cost_is_that_of_how_the_rows_were_run() -> None:
    def cost(**options: Any) -> float | None:
        asking = FireworksInferenceEngine(ModelParams(model_name=MODEL), **options)
        found: float | None = asking.infer_table(pa.table(ROWS), prompt="{stars}")["cost"][
            0
        ].as_py()
        return found

    online = cost()
    assert online
    assert cost(mode="batch", batch_min_rows=10) == online
    assert cost(extra_body={"service_tier": "priority"}) is None


def test_options_of_the_engine_say_what_to_ask(engine: FireworksInferenceEngine) -> None:
    configured = FireworksInferenceEngine(
        ModelParams(model_name=MODEL), input={"prompt": "{stars}"}, output={"prefix": "m_"}
    )
    answered = configured.infer_table(pa.table(ROWS))
    assert answered["m_outcome"].to_pylist() == ["answered"] * 3
    again = configured.infer_table(answered, prompt_column="text", prefix="n_")
    assert again["n_outcome"].to_pylist() == ["answered", "bad row", "answered"]


def test_fields_of_answers_become_columns(engine: FireworksInferenceEngine) -> None:
    schema = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
    guided = GenerationParams(guided_decoding=GuidedDecodingParams(json=schema))
    shaped = FireworksInferenceEngine(ModelParams(model_name=MODEL), generation_params=guided)
    answered = shaped.infer_table(pa.table(ROWS), prompt="{stars}", expand=True)
    assert all(isinstance(label, str) for label in answered["label"].to_pylist())


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (pa.table(ROWS), {"prompt": "{txt}"}, ConfigurationError, "Did you mean 'text'"),
        (pa.table(ROWS), {"promt": "x"}, OptionError, "Did you mean 'prompt'"),
        (pa.table({"prompt": ["a"], "answer": ["b"]}), {}, ConfigurationError, "--prefix"),
        ([{"prompt": "a"}], {}, TypeError, "takes a table of pandas, polars or pyarrow"),
        (pl.LazyFrame(ROWS), {}, TypeError, r"Call collect\(\) on it first"),
        (pl.DataFrame({"prompt": pl.Series([object()], dtype=pl.Object)}), {}, TypeError,
         "'prompt' holds Python objects"),
        (pl.DataFrame({"prompt": pl.Series([1 << 100], dtype=pl.Int128)}), {}, TypeError,
         r"'prompt' \(Int128\)"),
        (pa.table([["a"], ["b"]], names=["prompt", "prompt"]), {}, ConfigurationError,
         "two columns that are called 'prompt'"),
        (pd.DataFrame([["a", "b"]], columns=["prompt", "prompt"]), {}, ConfigurationError,
         "two columns that are called 'prompt'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said_before_anything_is_sent(
    engine: FireworksInferenceEngine,
    emulator: Any,
    table: Any,
    options: Any,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        engine.infer_table(table, **options)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_table_without_rows(engine: FireworksInferenceEngine, make: Callable[[Any], Any]) -> None:
    given = make({"prompt": pa.array([], pa.string())} if make is pa.table else {"prompt": []})
    assert records(engine.infer_table(given)) == []


def test_a_rejected_answer_stands_beside_the_reason(engine: FireworksInferenceEngine) -> None:
    strict = FireworksInferenceEngine(
        ModelParams(model_name=MODEL), accept={"json": True}, price=PRICE
    )
    (row,) = records(strict.infer_table(pa.table({"prompt": ["a"]})))
    assert row["outcome"] == "rejected"
    assert row["answer"]
    assert row["cost"]
    assert "JSON" in row["error"]
