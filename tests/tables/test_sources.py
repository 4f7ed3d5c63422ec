"""Rows from files of columns: which conversation each becomes, or why none."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from oumi_fireworks.errors import BadLinesError, ConfigurationError, InputError, OptionError
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.conversations import ConversationReader
from tests.tables.table_support import asked, opened, parquet, prompts, reader

TEXTS = {"text": ["good", "bad"], "stars": [5, 1]}


def csv(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_prompt_has_the_values_of_columns_in_it(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", TEXTS)
    assert asked(file, prompt="{{{text}}} has {stars}", system="Be brief.") == [
        [("system", "Be brief."), ("user", "{good} has 5")],
        [("system", "Be brief."), ("user", "{bad} has 1")],
    ]


def test_a_system_message_is_a_text_a_file_or_a_column(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a", "b"], "style": ["kind", None]})
    (tmp_path / "rubric.md").write_text("Rubric {not a field}\n")
    assert asked(file, system="style") == [
        [("system", "kind"), ("user", "a")],
        [("user", "b")],
    ]
    rubric = f"@{tmp_path / 'rubric.md'}"
    assert asked(file, system=rubric)[0][0] == ("system", "Rubric {not a field}")
    with pytest.raises(ConfigurationError, match=r"nowhere\.md cannot be read: No such file"):
        asked(file, system="@nowhere.md")


@pytest.mark.parametrize("kind", ["parquet", "feather", "stream", "csv", "csv.gz", "tsv", "jsonl"])
def test_the_kind_of_a_file_is_told_by_what_is_in_it_or_by_its_name(
    tmp_path: Path, kind: str
) -> None:
    table, path = pa.table(TEXTS), tmp_path / f"in.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "feather":
        feather.write_feather(table, path)
    elif kind == "stream":
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        delimiter = "\t" if kind == "tsv" else ","
        lines = [
            table.schema.names,
            *([row["text"], str(row["stars"])] for row in table.to_pylist()),
        ]
        content = "".join(f"{delimiter.join(line)}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(content) if kind == "csv.gz" else content)
    assert prompts(path, prompt="{text}: {stars}") == ["good: 5", "bad: 1"]


DAY = datetime.datetime(2026, 1, 2, 3, 4, 5)
NANO = pa.timestamp("ns")


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([True]), "true"),
        (pa.array([7], pa.uint8()), "7"),
        (pa.array([1.5]), "1.5"),
        (pa.array([2.0]), "2.0"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([2.0], pa.float32()), "2.0"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([decimal.Decimal("1.50")]), "1.50"),
        (pa.array([DAY]), "2026-01-02T03:04:05"),
        (pa.array([DAY], pa.timestamp("s", "Europe/Berlin")), "2026-01-02T04:04:05+01:00"),
        (pa.array([1_234_567_890_123_456_789], NANO), "2009-02-13T23:31:30.123456789"),
        (pa.array([DAY.date()]), "2026-01-02"),
        (pa.array([DAY.time()]), "03:04:05"),
        (pa.array([datetime.timedelta(minutes=1)]), "60.0"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array(["a"], pa.large_string()), "a"),
        (pa.array(["a"], pa.string_view()), "a"),
        (pa.array([b"caf\xc3\xa9"]), "café"),
        (pa.array([[1, None]]), "[1,null]"),
        (pa.array([{"a": DAY.date(), "b": [b"\xff"]}]), '{"a":"2026-01-02","b":["/w=="]}'),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), '{"k":1}'),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_each_type_has_a_text(tmp_path: Path, array: pa.Array, text: str) -> None:
    path = tmp_path / "in.arrow"
    table = pa.table({"value": array})
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    assert prompts(path, prompt="{value}") == [text]


def test_a_null_is_an_empty_text_unless_nothing_else_is_asked(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"a": ["x", None, None], "b": [None, "y", None]})
    assert prompts(file, prompt="{a}/{b}") == [
        "x/",
        "/y",
        "in.parquet, row 3: null in column 'a', column 'b': there is nothing to ask",
    ]
    assert prompts(file, prompt_column="a")[1] == (
        "in.parquet, row 2: null in column 'a': there is nothing to ask"
    )


def test_bytes_that_are_no_text_are_named_with_file_and_row(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"a": [b"good", b"\xff"]})
    assert prompts(file, prompt="{a}") == [
        "good",
        "in.parquet, row 2: it holds bytes that are no text",
    ]
    with pytest.raises(BadLinesError, match=r"1 row cannot be sent:\n  in\.parquet, row 2: it hol"):
        list(ConversationReader(opened(file, prompt="{a}")).prepared(lambda *_: None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "{txt}"}, "There is no column 'txt'. Did you mean 'text'? The columns are"),
        ({"prompt_column": "Text"}, "There is no column 'Text'. Did you mean 'text'?"),
        ({"prompt": "{text}", "id_column": "nr"}, "There is no column 'nr'. The columns are: text"),
        ({"prompt": "no field"}, "The prompt has no {column}"),
        ({"prompt": 'as {"label": 1}, {text}'}, "There is no column '\"label\": 1'"),
        ({"prompt": "{text} }"}, "a brace that begins or ends no column: '}'"),
        ({"prompt": "{}"}, "a brace that begins or ends no column: '{}'"),
        ({}, "Say what to ask: --prompt"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    file = parquet(tmp_path / "in.parquet", TEXTS)
    with pytest.raises(ConfigurationError) as error:
        opened(file, **options).rows()
    assert message in str(error.value)


def test_a_row_has_one_prompt() -> None:
    with pytest.raises(OptionError, match="prompt and messages_column contradict each other"):
        InputOptions(prompt="{a}", messages_column="b")


MESSAGES = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def test_messages_are_a_list_or_json(tmp_path: Path) -> None:
    lists = parquet(tmp_path / "l.parquet", {"messages": [MESSAGES, None]})
    texts = parquet(tmp_path / "t.parquet", {"talk": [json.dumps(MESSAGES), "[{}]"]})
    expected = [("user", "a"), ("assistant", "b")]
    assert asked(lists) == [
        expected,
        "l.parquet, row 2: column 'messages' holds no list of messages, but null",
    ]
    assert asked(texts, messages_column="talk", system="S") == [
        [("system", "S"), *expected],
        "t.parquet, row 2: message 0, role: Field required",
    ]


def test_pictures_are_paths_addresses_or_bytes(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "in.parquet",
        {
            "prompt": ["a", "b", "c", "d"],
            "path": ["cat.png", "https://example.com/a.png", None, "x"],
            "feature": [{"bytes": b"P6", "path": None}, {"bytes": None, "path": "p"}, None, None],
            "several": [[b"1", b"2"], [], None, [b"3"]],
        },
    )

    def pictures(column: str) -> list[list[tuple[str, Any]]]:
        found = []
        for row in opened(file, image_column=column).rows():
            content = row.conversation().messages[-1].content
            items = content if isinstance(content, list) else []
            found.append([(each.type.value, each.binary or each.content) for each in items])
        return found

    assert pictures("path") == [
        [("image_path", "cat.png"), ("text", "a")],
        [("image_url", "https://example.com/a.png"), ("text", "b")],
        [],
        [("image_path", "x"), ("text", "d")],
    ]
    assert pictures("feature")[:2] == [
        [("image_binary", b"P6"), ("text", "a")],
        [("image_path", "p"), ("text", "b")],
    ]
    assert pictures("several")[0] == [("image_binary", b"1"), ("image_binary", b"2"), ("text", "a")]


def test_ids_come_from_their_column_and_occur_once(tmp_path: Path) -> None:
    file = parquet(tmp_path / "in.parquet", {"prompt": ["a", "b", "c"], "nr": [1, 1, None]})
    read = reader(file, id_column="nr")
    assert [str(problem) for problem in read.problems()] == [
        "in.parquet, row 2: the conversation_id '1' occurs before"
    ]
    assert read.rows == 2


def test_alpaca_and_prompt_fields_need_no_options(tmp_path: Path) -> None:
    alpaca = tmp_path / "alpaca.jsonl"
    alpaca.write_text('{"instruction": "Add", "input": "1 2", "output": "3"}\n'
                      '{"instruction": "Hi", "input": "", "output": ""}\n')  # fmt: skip
    assert prompts(alpaca) == ["Add\n\n1 2", "Hi"]
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"prompt": "a"}\nnonsense\n[1]\n{"other": 1}\n')
    assert prompts(plain) == [
        "a",
        "plain.jsonl:2: not JSON (Expecting value: line 1 column 1 (char 0))",
        "plain.jsonl:3: not a JSON object",
        "plain.jsonl:4: null in column 'prompt': there is nothing to ask",
    ]


def test_files_of_one_input_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    one = parquet(tmp_path / "1.parquet", {"a": ["x"], "b": pa.nulls(1)})
    two = parquet(tmp_path / "2.parquet", {"b": [2], "a": ["y"]})
    assert prompts(one, two, prompt="{a}{b}") == ["x", "y2"]
    other = parquet(tmp_path / "3.parquet", {"a": ["x"], "B": [1]})
    with pytest.raises(InputError, match=r"3\.parquet has a column 'B', and 1\.parquet has not"):
        opened(one, other, prompt="{a}").rows()
    typed = parquet(tmp_path / "4.parquet", {"a": [1], "b": [1]})
    with pytest.raises(InputError, match=r"'a' is int64 in 4\.parquet and string in 2\.parquet"):
        opened(two, typed, prompt="{a}").rows()
    with pytest.raises(InputError, match="an input is of one kind"):
        opened(one, csv(tmp_path / "5.csv", "a\nb\n"), prompt="{a}").rows()


def test_hostile_csv(tmp_path: Path) -> None:
    file = csv(
        tmp_path / "in.csv",
        b'\xef\xbb\xbfid;text\r\n1;"two\nlines; ""quoted"""\r\n2\r\n3;x;y\r\n4;""\r\n5;\r\n'
        b"6;\xff\r\n"
        b'7;=cmd()\r\n8;\xe2\x80\xa8\r\n"open;9\r\n',
    )
    assert prompts(file, prompt="{id}: {text}") == [
        '1: two\nlines; "quoted"',
        "in.csv, row 2: it has 1 field, and the header has 2",
        "in.csv, row 3: it has 3 fields, and the header has 2",
        "4: ",
        "5: ",
        "in.csv, row 6: column 'text' is not UTF-8",
        "7: =cmd()",
        "8: \u2028",
        "in.csv, row 9: it has 1 field, and the header has 2",
    ]
    assert prompts(file, prompt_column="text")[3:5] == [
        "in.csv, row 4: no text in column 'text': there is nothing to ask",
        "in.csv, row 5: null in column 'text': there is nothing to ask",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "in.csv is empty: it has no header"),
        (b"a,a\n1,2\n", "in.csv has two columns that are called 'a'"),
        (b"\xffa\n1\n", "in.csv is not UTF-8"),
    ],
)
def test_a_csv_file_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        opened(csv(tmp_path / "in.csv", content), prompt="{a}").rows()


@pytest.mark.parametrize("content", ["a,b\n", "a,b"])
def test_a_csv_file_without_rows(tmp_path: Path, content: str) -> None:
    assert prompts(csv(tmp_path / "in.csv", content), prompt="{a}") == []


def test_a_csv_row_may_be_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    content = "a,b\n" + "1,2\n3\n" * 1_000 + "1,2\n" * 300_000 + f"1,{long}\n2,y\n"
    found = prompts(csv(tmp_path / "in.csv", content), prompt="{b}")
    assert len(found) == 302_002
    assert found[-2:] == [long, "y"]
    assert found[1::2][0].startswith("in.csv, row 2: it has 1 field")


def test_broken_files_are_named(tmp_path: Path) -> None:
    for name, content in (("a.parquet", b"PAR1 no"), ("b.arrow", b"ARROW1\0\0 no")):
        path = csv(tmp_path / name, content)
        with pytest.raises(InputError, match=f"Cannot read {name}: "):
            opened(path, prompt="{a}").rows()


def test_a_table_of_any_shape_keeps_its_order(tmp_path: Path) -> None:
    numbers = list(range(3000))
    file = parquet(tmp_path / "in.parquet", {"n": numbers}, row_group_size=7)
    assert prompts(file, prompt="{n}") == [str(number) for number in numbers]
    assert (
        prompts(parquet(tmp_path / "0.parquet", {"n": pa.array([], pa.int64())}), prompt="{n}")
        == []
    )
    assert prompts(parquet(tmp_path / "1.parquet", {"n": [1]}), prompt="{n}") == ["1"]


def test_what_belongs_to_a_conversation_stays_with_its_messages(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    line = {"messages": MESSAGES[:1], "conversation_id": "x", "metadata": {"n": 1}, "tools": [tool]}
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(line) + "\n")
    texts = {name: [json.dumps(line[name])] for name in ("messages", "metadata", "tools")}
    table = parquet(tmp_path / "in.parquet", {**texts, "conversation_id": ["x"], "label": ["l"]})
    for file in (path, table):
        (row,) = opened(file, system="S").rows()
        found = row.conversation()
        assert [each.content for each in found.messages] == ["S", "a"]
        assert (found.conversation_id, found.metadata) == ("x", {"n": 1})
        assert found.tools is not None
        assert found.tools[0].function.name == "f"


FAR = 1 << 60  # seconds: some 36 billion years


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([FAR], pa.timestamp("s")), f"{FAR} timestamp[s]"),
        (pa.array([1], pa.timestamp("us", "Mars/Base")), "1970-01-01T00:00:00.000001Z"),
        (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
        (pa.array([1000], pa.time64("ns")), "00:00:00.000001"),
        (pa.array([1 << 30], pa.date32()), f"{1 << 30} date32[day]"),
        (pa.array([FAR], pa.duration("s")), str(FAR)),
        (pa.array([[FAR, 0]], pa.list_(pa.timestamp("s"))),
         f'["{FAR} timestamp[s]","1970-01-01T00:00:00"]'),
        (pa.array([{"a": FAR, "b": None}], pa.struct({"a": pa.date64(), "b": pa.int8()})),
         f'{{"a":"{FAR} date64[ms]","b":null}}'),
        (pa.array([[("k", FAR)]], pa.map_(pa.string(), pa.timestamp("s"))),
         f'{{"k":"{FAR} timestamp[s]"}}'),
        (pa.array([FAR], pa.timestamp("s")).dictionary_encode(), f"{FAR} timestamp[s]"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_a_time_that_python_cannot_hold_is_text_and_its_neighbours_are_as_ever(
    tmp_path: Path, array: pa.Array, text: str
) -> None:
    usual = pa.array(["2026-01-02"]).cast(pa.date32())
    table = pa.table({"value": array, "day": usual})
    path = tmp_path / "in.arrow"
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    assert prompts(path, prompt="{value} {day}") == [f"{text} 2026-01-02"]


def test_a_header_ends_where_its_line_does(tmp_path: Path) -> None:
    file = csv(tmp_path / "in.csv", "a\u2028b,text\n1,x\n")
    assert prompts(file, prompt="{a\u2028b} {text}") == ["1 x"]


def test_a_prompt_that_has_come_out_blank_asks_nothing(tmp_path: Path) -> None:
    file = csv(tmp_path / "in.csv", 'a,b\n"",x\n" ",""\n')
    assert prompts(file, prompt="{a} {b}") == [
        " x",
        "in.csv, row 2: no text in column 'a': there is nothing to ask",
    ]


@pytest.mark.parametrize("end", ["\n", "", "\r\n", "\n\n"])
def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_of_the_file(
    tmp_path: Path, end: str
) -> None:
    open_quote = csv(tmp_path / "open.csv", f'a,b\n1,x\n2,"y\n3,z{end}')
    with pytest.raises(InputError, match=r"open\.csv, row 2: a quote is not closed"):
        prompts(open_quote, prompt="{b}")
    for closed in ('"y\nz"', '"y\n"', '"y\n\n"', '"y""\n"""', '"y\n" '):
        file = csv(tmp_path / "closed.csv", f"a,b\n1,{closed}{end}")
        assert len(prompts(file, prompt="{b}")) == 1
