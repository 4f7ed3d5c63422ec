"""What became of every row: whatever the result files hold, nothing is lost and nothing crosses."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch import (
    Answer,
    Failure,
    Missing,
    Rejected,
    ResultIndex,
    RowCounts,
    RowState,
    UnreadableAnswer,
    results,
)
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.money import Usage
from tests.batch.support import texts


def answer(index: int, text: str | None = None) -> bytes:
    """A result line that says for which row it is."""
    content = f"row {index} answered" if text is None else text
    response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
    return orjson.dumps({"custom_id": str(RowId(index)), "response": response}) + b"\n"


def failure(index: int, message: str = "overloaded", code: int | None = 503) -> bytes:
    """An error line."""
    error = {"message": f"row {index} {message}", "code": code}
    return orjson.dumps({"custom_id": str(RowId(index)), "error": error}) + b"\n"


def index_of(
    folder: Path, rows: int, *files: bytes, on_outcome: OnOutcome | None = None
) -> ResultIndex:
    """Read files of these contents."""
    paths = []
    for number, content in enumerate(files):
        paths.append(folder / f"{number}.jsonl")
        paths[-1].write_bytes(content)
    return ResultIndex.of(paths, rows, on_outcome)


def require_one_outcome_each(index: ResultIndex) -> None:
    """Assert that every row has exactly one outcome, its own, and that all numbers agree."""
    outcomes = list(index.outcomes())
    assert [outcome.index for outcome in outcomes] == list(range(len(index)))
    counts = dict.fromkeys((Answer, Failure, Missing), 0)
    for outcome in outcomes:
        counts[type(outcome)] += 1
        kind = {Answer: RowState.ANSWERED, Failure: RowState.FAILED, Missing: RowState.MISSING}[
            type(outcome)
        ]
        assert index.state(outcome.index) is kind
        if isinstance(outcome, Answer):
            content = outcome.completion["choices"][0]["message"].get("content")
            assert not isinstance(content, str) or content.startswith(f"row {outcome.index} ")
    tally = index.counts
    assert list(counts.values()) == [tally.answered, tally.failed, tally.missing]
    assert sum(counts.values()) == len(index)
    unanswered = [o.index for o in outcomes if not isinstance(o, Answer)]
    assert list(index.unanswered()) == unanswered
    assert tally.is_complete is (not unanswered)


def test_rows_come_in_any_order_from_any_number_of_files(tmp_path: Path) -> None:
    lines = [answer(row) for row in range(1000)]
    random.Random(0).shuffle(lines)
    files = [b"".join(lines[start::7]) for start in range(7)]
    index = index_of(tmp_path, 1000, *files)
    require_one_outcome_each(index)
    assert texts(index) == {row: f"row {row} answered" for row in range(1000)}
    assert index.counts == RowCounts(answered=1000)


def test_more_files_than_may_be_open_at_once(tmp_path: Path) -> None:
    index = index_of(tmp_path, 300, *(answer(row) for row in range(300)))
    require_one_outcome_each(index)
    some = [outcome.index for outcome in index.outcomes([299, 0, 150, 0])]
    assert some == [299, 0, 150, 0]


def test_a_success_beats_a_failure_and_the_first_success_stands(tmp_path: Path) -> None:
    index = index_of(
        tmp_path,
        4,
        failure(0, "first") + failure(0, "second") + answer(1, "row 1 first") + failure(2),
        answer(1, "row 1 second") + answer(2, "row 2 late") + failure(1) + answer(2, "row 2 later"),
    )
    require_one_outcome_each(index)
    assert texts(index) == {1: "row 1 first", 2: "row 2 late"}
    [first] = index.outcomes([0])
    assert first == Failure(0, "row 0 first", "503")
    assert index.counts == RowCounts(answered=2, failed=1, missing=1, duplicates=4)


def test_what_is_of_no_use_is_counted(tmp_path: Path) -> None:
    content = b"".join(
        [
            answer(0),
            answer(7),  # not ours: there are 3 rows
            orjson.dumps({"custom_id": "somebody-else"}) + b"\n",
            b"null\n",
            answer(1)[:40] + b"\n",
            b"\x00\xff\xfe\n",
            b"\n",
            b"  \t \r\n",
            failure(2),
        ]
    )
    index = index_of(tmp_path, 3, content)
    require_one_outcome_each(index)
    assert index.counts == RowCounts(answered=1, failed=1, missing=1, aliens=3, broken=2)
    assert str(index.counts) == (
        "1 answered, 1 failed, 1 missing, 3 alien lines ignored, 2 broken lines ignored"
    )
    assert index.counts.rows == {"answered": 1, "rejected": 0, "failed": 1, "missing": 1}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_unicode_line_separators_do_not_split_a_row(tmp_path: Path, separator: str) -> None:
    text = f"row 0 one{separator}two{separator}"
    raw = answer(0, "row 0 PLACE").replace(b"PLACE", f"one{separator}two{separator}".encode())
    escaped = answer(1, "row 1 one" + separator)
    index = index_of(tmp_path, 2, raw + escaped)
    require_one_outcome_each(index)
    if separator in "\u2028\u2029\x85":  # the others are no JSON unless they are escaped
        assert texts(index)[0] == text
    assert texts(index)[1] == "row 1 one" + separator


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \r\n", b""])
def test_lines_end_in_any_way(tmp_path: Path, end: bytes) -> None:
    lines = [answer(row).rstrip(b"\n") for row in range(3)]
    content = (end or b"\n").join(lines) + end
    index = index_of(tmp_path, 3, content)
    require_one_outcome_each(index)
    assert index.counts == RowCounts(answered=3)


def test_a_last_line_that_was_cut_off_is_broken_and_the_rest_is_not(tmp_path: Path) -> None:
    index = index_of(tmp_path, 2, answer(0) + answer(1)[:-10])
    require_one_outcome_each(index)
    assert index.counts == RowCounts(answered=1, missing=1, broken=1)


def test_numbers_that_json_does_not_have_do_not_cost_an_answer(tmp_path: Path) -> None:
    line = answer(0).replace(b'"index":0', b'"index":0,"logprob":NaN,"other":-Infinity')
    index = index_of(tmp_path, 1, line)
    require_one_outcome_each(index)
    assert index.counts == RowCounts(answered=1)


def test_a_long_answer_is_read_and_an_endless_line_is_skipped_without_reading_it(
    tmp_path: Path,
) -> None:
    long = "row 1 " + "x" * (2 << 20)
    path = tmp_path / "0.jsonl"
    with path.open("wb") as file:
        file.write(answer(0) + answer(1, long))
        file.seek(257 << 20, 1)  # a hole: zeros without an end of line
        file.write(b"\n" + answer(2))
    index = ResultIndex.of([path], 3)
    assert index.counts == RowCounts(answered=3, broken=1)
    assert texts(index)[1] == long
    assert texts(index)[2] == "row 2 answered"


def test_no_files_and_empty_files_are_missing_rows(tmp_path: Path) -> None:
    for index in (ResultIndex.of([], 2), index_of(tmp_path, 2, b"", b"")):
        require_one_outcome_each(index)
        assert index.counts == RowCounts(missing=2)
        assert [repr(outcome) for outcome in index.outcomes()] == [
            "Missing(index=0)",
            "Missing(index=1)",
        ]


def test_an_index_takes_twelve_bytes_a_row() -> None:
    tracemalloc.start()
    try:
        index = ResultIndex(1_000_000)
        taken = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    here = taken.filter_traces([tracemalloc.Filter(True, results.__file__)])  # not other threads
    held = sum(each.size for each in here.statistics("filename"))
    assert len(index) == 1_000_000
    assert 12_000_000 <= held < 12_800_000  # an array keeps a sixteenth in reserve


def test_the_memory_that_reading_takes_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.jsonl"
        with path.open("wb") as file:
            file.writelines(answer(index, "x" * 10_000) for index in range(rows))
        tracemalloc.start()
        try:
            index = ResultIndex.of([path], rows)
            assert sum(isinstance(outcome, Answer) for outcome in index.outcomes()) == rows
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return most

    few, many = peak(400), peak(4_000)
    assert many < few + (1 << 20)  # of 36 MB more


def test_outcomes_can_be_taken_as_they_are_read(tmp_path: Path) -> None:
    told: list[Answer | Failure] = []
    path = tmp_path / "0.jsonl"
    path.write_bytes(failure(2) + answer(1) + answer(2) + answer(1) + failure(1) + b"junk\n")
    index = ResultIndex.of([path], 3, told.append)
    assert [(type(outcome), outcome.index) for outcome in told] == [
        (Failure, 2),
        (Answer, 1),
        (Answer, 2),  # better than the first
    ]
    assert index.counts == RowCounts(answered=2, missing=1, duplicates=2, broken=1)


def test_an_answer_that_is_of_no_use_makes_its_row_a_failed_one(tmp_path: Path) -> None:
    first, second = tmp_path / "0.jsonl", tmp_path / "1.jsonl"
    first.write_bytes(answer(0) + failure(1) + answer(1) + answer(2))
    second.write_bytes(failure(0) + answer(1, "better") + failure(2))

    def judge(outcome: Answer | Failure) -> str | None:
        is_better = isinstance(outcome, Answer) and "better" in str(outcome.completion)
        return None if is_better or not outcome.index else f"no use for {outcome.index}"

    index = ResultIndex.of([first, second], 3, judge)
    assert [type(outcome) for outcome in index.outcomes()] == [Answer, Answer, UnreadableAnswer]
    assert list(index.unanswered()) == [2]
    assert list(index.outcomes([2])) == [UnreadableAnswer(2, "no use for 2")]
    assert index.counts == RowCounts(answered=2, failed=1, duplicates=2)


def test_garbage_is_collected_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    path.write_bytes(answer(0))
    seen: list[bool] = []
    ResultIndex.of([path], 1, lambda _: seen.append(gc.isenabled()))
    assert seen == [False]
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        ResultIndex.of([path], 1, lambda _: str(1 / 0))
    assert gc.isenabled()


#
# Fuzzing
#

ROWS = 5

VALID = st.one_of(
    st.builds(answer, st.integers(0, ROWS + 1)),
    st.builds(failure, st.integers(0, ROWS + 1), st.text(), st.none() | st.integers(0, 600)),
    st.builds(
        lambda row, fields: orjson.dumps({"custom_id": str(RowId(row)), **fields}) + b"\n",
        st.integers(0, ROWS + 1),
        st.dictionaries(
            st.sampled_from(["response", "error", "message", "choices"]),
            st.recursive(
                st.none() | st.booleans() | st.text(),
                lambda inner: (
                    st.lists(inner)
                    | st.dictionaries(
                        st.sampled_from(["choices", "message", "error", "code"]), inner
                    )
                ),
                max_leaves=6,
            ),
        ),
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid line to which something has happened."""
    line = bytearray(draw(VALID))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        match draw(st.sampled_from(["cut", "insert", "replace", "repeat"])):
            case "cut":
                del line[at : at + draw(st.integers(1, 10))]
            case "insert":
                line[at:at] = draw(st.binary(max_size=5))
            case "replace":
                line[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "repeat":
                line[at:at] = line[at : at + 20]
    return bytes(line)


def require_sane(folder: Path, files: Iterable[bytes]) -> None:
    told: dict[int, Answer | Failure] = {}
    index = index_of(folder, ROWS, *files, on_outcome=lambda each: told.update({each.index: each}))
    outcomes = list(index.outcomes())
    assert [outcome.index for outcome in outcomes] == list(range(ROWS))
    assert told == {each.index: each for each in outcomes if not isinstance(each, Missing)}
    tally = index.counts
    assert tally.answered + tally.failed + tally.missing == ROWS
    by_type: dict[type, int] = {Answer: 0, Failure: 0, Missing: 0}
    for outcome in outcomes:
        by_type[type(outcome)] += 1
    assert list(by_type.values()) == [tally.answered, tally.failed, tally.missing]


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_arbitrary_bytes_never_raise(
    tmp_path_factory: pytest.TempPathFactory, files: Sequence[bytes]
) -> None:
    require_sane(tmp_path_factory.mktemp("results"), files)


@given(st.lists(st.lists(VALID | mutated() | st.binary(max_size=30), max_size=8), max_size=3))
def test_mutated_lines_never_raise(
    tmp_path_factory: pytest.TempPathFactory, files: Sequence[Sequence[bytes]]
) -> None:
    require_sane(tmp_path_factory.mktemp("results"), [b"".join(lines) for lines in files])


@given(st.data())
def test_whatever_stands_between_them_good_lines_are_found_and_never_cross(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = data.draw(st.permutations(range(ROWS)))
    noise = st.binary(max_size=40).map(lambda junk: junk.replace(b"request-", b"") + b"\n")
    content: list[Any] = []
    for row in rows:
        content += [data.draw(noise), answer(row, f"row {row} \u2028 own")]
    index = index_of(tmp_path_factory.mktemp("results"), ROWS, b"".join(content))
    require_one_outcome_each(index)
    assert texts(index) == {row: f"row {row} \u2028 own" for row in range(ROWS)}


def named(index: int, digest: int, text: str) -> bytes:
    """An answer whose id says which prompt it is for."""
    response = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    row = {"custom_id": str(RowId(index, digest)), "response": response}
    return orjson.dumps(row) + b"\n"


def test_answers_to_other_prompts_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    path.write_bytes(
        answer(1)  # its id does not say for which prompt, as those of this batch do
        + named(0, 10, "row 0 other")
        + named(0, 7, "row 0 own")
        + named(2, 8, "row 2 of 1")
        + failure(1)
        + named(1, 8, "row 1 own")
    )
    index = ResultIndex.of([path], 3, digests=[7, 8, 9])
    require_one_outcome_each(index)
    assert texts(index) == {0: "row 0 own", 1: "row 1 own"}
    assert (index.mismatches.lines, index.mismatches.first) == (2, 0)
    assert index.unnamed == 0
    assert index.counts == RowCounts(answered=2, missing=1, aliens=4)


def test_ids_without_digests_are_taken_and_counted(tmp_path: Path) -> None:
    first, again = tmp_path / "0.jsonl", tmp_path / "1.jsonl"
    first.write_bytes(answer(0) + failure(1))
    again.write_bytes(named(1, 8, "row 1 again"))
    index = ResultIndex.of([first, again], 2, digests=[7, 8])
    assert texts(index) == {0: "row 0 answered", 1: "row 1 again"}
    assert index.unnamed == 2


def judge(outcome: Answer | Failure) -> str | Rejection | None:
    """Judge an answer by its text: ``bad``, ``worse`` and ``unreadable`` are not taken."""
    if isinstance(outcome, Failure):
        return None
    text = outcome.completion["choices"][0]["message"]["content"]
    if "unreadable" in text:
        return "no conversation"
    worth = 1 if "worse" in text else 2
    return Rejection(text, f"It says {text}.", worth) if worth == 1 or "bad" in text else None


REJECTING: list[tuple[list[list[bytes]], str, int]] = [
    # attempts with their lines for row 0, what the row is at last, how often it was rejected
    ([[answer(0, "bad a")]], "bad a", 1),
    ([[answer(0, "bad a")], [answer(0, "bad b")]], "bad b", 2),
    ([[answer(0, "bad a")], [answer(0, "worse")]], "bad a", 2),
    ([[answer(0, "worse")], [answer(0, "bad a")]], "bad a", 2),
    ([[answer(0, "bad a")], [answer(0)]], "row 0 answered", 1),
    ([[answer(0)], [answer(0, "bad a")]], "row 0 answered", 0),
    ([[answer(0, "bad a"), answer(0, "bad b")]], "bad a", 1),  # once more in one attempt
    ([[answer(0, "bad a"), answer(0)]], "row 0 answered", 1),
    ([[failure(0)], [answer(0, "bad a")]], "bad a", 1),
    ([[answer(0, "bad a")], [failure(0)]], "bad a", 1),
    ([[answer(0, "unreadable")], [answer(0, "bad a")]], "bad a", 1),
    ([[answer(0, "bad a")], [answer(0, "unreadable")]], "bad a", 1),
    ([[failure(0)], [answer(0, "unreadable")]], "no conversation", 0),
]


@pytest.mark.parametrize(("attempts", "kept", "times"), REJECTING)
def test_an_answer_that_holds_beats_a_rejected_one_which_beats_a_failure(
    tmp_path: Path, attempts: list[list[bytes]], kept: str, times: int
) -> None:
    index = ResultIndex(1, on_outcome=judge)
    for number, lines in enumerate(attempts):
        index.begin_group()
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(lines))
        index.add(path)
    (outcome,) = index.outcomes()
    assert index.rejections.times(0) == times
    if isinstance(outcome, Rejected):
        assert (outcome.rejection.kind, outcome.times) == (kept, times)
        assert outcome.completion["choices"][0]["message"]["content"] == kept
    else:
        assert kept in str(outcome)
    assert index.state(0) is {
        Answer: RowState.ANSWERED, Rejected: RowState.REJECTED, UnreadableAnswer: RowState.FAILED,
    }[type(outcome)]  # fmt: skip
    is_rejected = isinstance(outcome, Rejected)
    assert index.counts.rejected == is_rejected
    assert list(index.rejected()) == [0] * is_rejected
    assert list(index.rejected(times - 1)) == []
    (first,) = index.first_answers([0])
    assert (first is None) == (times == 0)
    if first is not None:
        texts = [orjson.loads(line)["response"] for lines in attempts for line in lines
                 if b'"response"' in line and b"unreadable" not in line]  # fmt: skip
        assert first.completion in texts
        assert "answered" not in str(first.completion)


def test_rejected_answers_are_counted_by_kind_with_what_they_cost(tmp_path: Path) -> None:
    def line(row: int, kind: str) -> bytes:
        response = orjson.loads(answer(row, kind))["response"]
        details = {"cached_tokens": 2}
        response["usage"] = {"prompt_tokens": 10, "completion_tokens": 5,
                             "prompt_tokens_details": details}  # fmt: skip
        return orjson.dumps({"custom_id": str(RowId(row)), "response": response}) + b"\n"

    path = tmp_path / "0.jsonl"
    path.write_bytes(b"".join(line(row, f"bad: /items/{row} is none") for row in range(5)))
    index = ResultIndex.of([path], 6, judge)
    ((name, kind),) = index.rejections.kinds.items()
    assert name == "bad: /items/… is none"
    assert (kind.answers, kind.rows) == (5, [0, 1, 2])
    assert kind.usage == index.rejections.usage == Usage(prompt=50, cached=10, completion=25)
    assert str(index.counts) == "0 answered, 5 rejected, 0 failed, 1 missing"
