"""Rows into files: the input's columns as they were, the answers beside them, in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oumi_fireworks.errors import ConfigurationError, WriteError
from oumi_fireworks.money import AnswerPrices, Prices
from oumi_fireworks.options.tables import OutputOptions
from oumi_fireworks.tables.answer_columns import COLUMNS
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.tables.sinks import open_sink
from tests.tables.table_support import opened, parquet

PRICES = Prices(Decimal(1), Decimal(2))
READ = {
    "parquet": pq.read_table,
    "arrow": feather.read_table,
}


def completion(text: str | None, **message: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "choices": [{"message": {"content": text, **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }


def written(
    files: list[Path],
    output: Path,
    answers: list[Mapping[str, Any] | str],
    fields: Mapping[str, Any] | None = None,
    input_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write the rows of files with these answers, a text being the message of a failure."""
    rows = opened(*files, **(input_options or {}))
    sink = open_sink(
        LocalOutput(output), OutputOptions(**options), rows, fields or {}, AnswerPrices(PRICES)
    )
    reader = ConversationReader(rows, skip_bad=True)
    for _ in reader.prepared(lambda *_: None):
        pass
    with sink.open() as writer:
        for item in reader.sent_rows():
            if isinstance(item, LeftOutRow):
                error = {"kind": "bad line", "message": item.problem.message, "code": None}
                writer.add(FinishedRow(item.row, "bad row", error=error))
                continue
            found = answers[item.index % len(answers)]
            if isinstance(found, str):
                error = {"kind": "failed", "message": found, "code": "500"}
                writer.add(FinishedRow(item.row, "failed", sent=item, error=error))
            else:
                writer.add(FinishedRow(item.row, "answered", sent=item, completion=found))
    return output


def test_a_table_keeps_its_columns_and_gets_the_answers(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"text": ["a", None, "b"], "n": [1, 2, None]})
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    answers: list[Any] = [completion("A", reasoning_content="R", tool_calls=calls), "no luck"]
    ask = {"prompt_column": "text"}
    out = written([file], tmp_path / "out.parquet", answers, input_options=ask)
    table = pq.read_table(out)
    assert table.schema.names == ["text", "n", *COLUMNS]
    assert table.select(["text", "n"]).equals(pq.read_table(file))
    first, second, third = table.to_pylist()
    assert (first["answer"], first["finish_reason"], first["reasoning"]) == ("A", "stop", "R")
    assert first["tool_calls"] == calls
    assert (first["prompt_tokens"], first["completion_tokens"], first["cached_tokens"]) == (
        10,
        5,
        0,
    )
    assert first["cost"] == 0.00002
    assert [row["outcome"] for row in (first, second, third)] == ["answered", "bad row", "failed"]
    assert second["error"] == "null in column 'text': there is nothing to ask"
    assert (third["answer"], third["cost"], third["error"]) == (None, None, "no luck")


@pytest.mark.parametrize("kind", ["csv", "tsv", "rows", "arrow", "parquet"])
def test_every_kind_of_table_has_the_same_columns(tmp_path: Path, kind: str) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ['a, "b"\n', "x"], "l": [[1], None]})
    out = written([file], tmp_path / "out", [completion("A\tB")], format=kind)
    if kind == "rows":
        rows = [json.loads(line) for line in out.read_bytes().splitlines()]
    elif kind in READ:
        rows = READ[kind](out).to_pylist()
    else:
        delimiter = "," if kind == "csv" else "\t"
        options = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        rows = pacsv.read_csv(out, parse_options=options).to_pylist()
        assert rows[0]["l"] == "[1]"
        rows[0]["l"] = [1]
    assert list(rows[0]) == ["prompt", "l", *COLUMNS]
    assert (rows[0]["prompt"], rows[0]["l"], rows[0]["answer"]) == ('a, "b"\n', [1], "A\tB")
    assert len(rows) == 2


def test_a_name_that_is_taken_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a"], "answer": ["gold"]})
    for kind in ("parquet", "csv", "rows"):
        with pytest.raises(ConfigurationError, match=r"a column 'answer' already.*--prefix model_"):
            written([file], tmp_path / "out", [], format=kind)
    out = written([file], tmp_path / "o.parquet", [completion("A")], prefix="model_")
    (row,) = pq.read_table(out).to_pylist()
    assert (row["answer"], row["model_answer"], row["model_outcome"]) == ("gold", "A", "answered")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("o.xlsx", {}, "such files are not written"),
        ("o.parquet.gz", {}, "Parquet files are not packed"),
        ("o.zst", {"format": "arrow"}, "Arrow files are not packed"),
    ],
)
def test_a_name_promises_nothing_that_the_file_is_not(
    tmp_path: Path, name: str, options: Mapping[str, Any], said: str
) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a"]})
    with pytest.raises(ConfigurationError, match=said):
        written([file], tmp_path / name, [], **options)
    assert not (tmp_path / name).exists()


@pytest.mark.skipif(
    int(pa.__version__.partition(".")[0]) < 25, reason="writes another time, and does not say so"
)
def test_a_value_that_the_format_cannot_hold_is_said_and_another_format_takes_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "in.arrow"
    far = pa.array([1 << 60, 0], pa.timestamp("s"))
    feather.write_feather(pa.table({"prompt": ["a", "b"], "at": far}), file)
    with pytest.raises(WriteError, match=r"o\.parquet cannot hold.*Nothing is lost.*arrow"):
        written([file], tmp_path / "o.parquet", [completion("A")])
    assert not (tmp_path / "o.parquet").exists()
    out = written([file], tmp_path / "o.arrow", [completion("A")])
    assert feather.read_table(out)["at"].combine_chunks() == far
    lines = pacsv.read_csv(written([file], tmp_path / "o.csv", [completion("A")]))
    assert lines["at"].to_pylist() == [f"{1 << 60} timestamp[s]", "1970-01-01T00:00:00"]


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "stars": {"type": ["integer", "null"]},
        "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "who": {"$ref": "#/$defs/Person"},
        "any": {},
    },
    "$defs": {"Person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
FIELDS = {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}


def test_the_fields_of_answers_become_typed_columns(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a", "b", "c", "d"]})
    good = {
        "label": "good",
        "stars": 5,
        "score": 1,
        "tags": ["x"],
        "who": {"name": "N"},
        "any": [1],
    }
    answers: list[Any] = [
        completion(json.dumps(good)),
        completion('{"label": "bad", "stars": "many"}'),
        completion("no JSON"),
        "failed",
    ]
    out = written([file], tmp_path / "o.parquet", answers, FIELDS, expand=True)
    table = pq.read_table(out)
    types = {name: str(table.schema.field(name).type) for name in SCHEMA["properties"]}
    assert types == {
        "label": "string", "stars": "int64", "score": "double", "any": "string",
        "tags": "list<element: string>", "who": "struct<name: string>",
    }  # fmt: skip
    first, second, third, fourth = table.to_pylist()
    assert {name: first[name] for name in good} == {**good, "score": 1.0, "any": "[1]"}
    assert (second["label"], second["stars"]) == ("bad", None)
    assert second["error"] == "not expanded: 'stars' is no int64"
    assert third["error"] == "not expanded: the answer is no JSON"
    assert (fourth["label"], fourth["error"]) == (None, "failed")


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({}, {"format": "parquet"}, "set generation.guided_decoding.json"),
        (FIELDS, {"format": "jsonl"}, "conversations have none"),
    ],
)
def test_expand_needs_a_schema_and_columns(
    tmp_path: Path, fields: Any, options: Any, message: str
) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a"]})
    with pytest.raises(ConfigurationError, match=message):
        written([file], tmp_path / "out", [], fields, expand=True, **options)


def test_lines_of_json_become_a_table(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": "a"}], "n": 1, "odd": 1, "big": 2**70, "e": {}},
        {"messages": [{"role": "user", "content": "b"}], "n": 1.5, "odd": "x", "late": True},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "nonsense\n")
    out = written([file], tmp_path / "o.parquet", [completion("A"), completion("B\ud800")])
    first, second = pq.read_table(out).to_pylist()
    assert first["messages"] == [{"content": "a", "role": "user"}]
    assert (first["n"], second["n"]) == (1.0, 1.5)
    assert (first["odd"], second["odd"]) == ("1", '"x"')
    assert (first["big"], first["e"], first["late"], second["late"]) == (
        str(2**70),
        "{}",
        None,
        True,
    )
    assert (first["answer"], second["answer"]) == ("A", "B?")


def test_results_as_openai_gives_them(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a", "b"], "nr": ["x", "y"]})
    answers: list[Any] = [completion("A"), "no luck"]
    options = {"id_column": "nr"}
    out = written([file], tmp_path / "o", answers, input_options=options, format="openai")
    first, second = (json.loads(line) for line in out.read_bytes().splitlines())
    assert (first["custom_id"], first["error"]) == ("x", None)
    assert first["response"] == {"status_code": 200, "request_id": "c", "body": answers[0]}
    assert (second["custom_id"], second["response"]) == ("y", None)
    assert second["error"] == {"code": "500", "message": "no luck"}


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow", "rows"])
def test_tables_of_next_to_nothing(tmp_path: Path, rows: int, kind: str) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": pa.array(["a"] * rows, pa.string())})
    out = written([file], tmp_path / "out", [completion("A")], format=kind)
    if kind in READ:
        assert READ[kind](out).num_rows == rows
    else:
        assert len(out.read_bytes().splitlines()) == rows + (kind == "csv")


def test_ten_thousand_row_groups(tmp_path: Path) -> None:
    numbers = list(range(10_000))
    file = parquet(tmp_path / "in.parquet", {"n": numbers}, row_group_size=1)
    ask = {"prompt": "{n}"}
    answers: list[Any] = [completion(f"A{number}") for number in numbers]
    out = written([file], tmp_path / "o.parquet", answers, input_options=ask)
    table = pq.ParquetFile(out)
    assert table.num_row_groups == 1
    assert table.read(["n", "answer"]).to_pydict() == {
        "n": numbers,
        "answer": [f"A{number}" for number in numbers],
    }


#
# Whatever is in a table comes out as it was
#

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
LEAF: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "bool": (pa.bool_(), st.booleans()),
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "text": (pa.string(), TEXT),
    "bytes": (pa.binary(), st.binary(max_size=4)),
    "date": (pa.date32(), st.dates()),
    "time": (pa.timestamp("us"), st.datetimes()),
    "zoned": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "decimal": (pa.decimal128(10, 2), st.decimals(-1000, 1000, places=2)),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), TEXT),
}


@st.composite
def columns(draw: st.DrawFn) -> dict[str, pa.Array]:
    """Some columns of any types, of the same length, with nulls."""
    rows = draw(st.integers(0, 5))
    found = {}
    for name in draw(st.lists(st.sampled_from(sorted(LEAF)), unique=True, max_size=4)):
        kind, values = LEAF[name]
        shape = draw(st.sampled_from(["plain", "list", "struct"]))
        values = st.none() | values
        if shape == "list" and name != "dictionary":
            kind, values = pa.list_(kind), st.none() | st.lists(values, max_size=2)
        elif shape == "struct" and name != "dictionary":
            kind = pa.struct([("x", kind), ("y", pa.int8())])
            values = st.none() | st.fixed_dictionaries({"x": values, "y": st.just(1)})
        found[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    found["prompt"] = pa.array(["p"] * rows, pa.string())
    return found


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(columns(), st.sampled_from(["parquet", "arrow"]), st.integers(1, 3))
def test_round_trip(
    tmp_path: Path, found: dict[str, pa.Array], kind: str, rows_a_group: int
) -> None:
    file = parquet(tmp_path / "in.parquet", found, row_group_size=rows_a_group)
    out = written([file], tmp_path / "out", [completion("A"), "failed"], format=kind)
    before, after = pq.read_table(file), READ[kind](out).select(list(found))
    assert after.to_pydict() == before.to_pydict()
    if kind == "parquet":
        assert after.schema.equals(before.schema)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), max_size=5))
def test_csv_out_is_csv_in(tmp_path: Path, rows: list[tuple[str | None, str | None]]) -> None:
    table = {
        "a": pa.array([each for each, _ in rows], pa.string()),
        "b": pa.array([each for _, each in rows], pa.string()),
        "prompt": pa.array(["p"] * len(rows), pa.string()),
    }
    file = parquet(tmp_path / "in.parquet", table)
    out = written([file], tmp_path / "out.csv", [completion("A")])
    again = written([out], tmp_path / "again.parquet", [completion("B")], prefix="second_")
    assert pq.read_table(again).select(["a", "b"]).to_pydict() == {
        name: table[name].to_pylist() for name in ("a", "b")
    }
