"""Rows that are not sent: repeats of another row, and those that the answer cache knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.batch import Answer, BatchResults, BatchRun, Dedupe, Failure, Outcome, Request
from oumi_fireworks.batch.folder import MARKER
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.completions import ANSWERED_BY
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import ManifestError, RunMismatchError, SpoolError
from oumi_fireworks.prompts import outline_of_request
from tests.api.support import with_client
from tests.batch.support import a_run, prepare, quick_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with quick_emulator() as emulator:
        yield emulator


def asking(*questions: str, **fields: Any) -> RowSource:
    """Rows that ask these, each answered with its own question."""

    def rows() -> Iterator[Request]:
        for index, question in enumerate(questions):
            content = f"{question} [[echo]]"
            body = {"messages": [{"role": "user", "content": content}], **fields}
            yield Request(index, body, outline_of_request(body))

    return rows


@dataclass(frozen=True)
class Ended:
    """A run that is over, and forgotten."""

    results: BatchResults
    outcomes: list[Outcome]

    @property
    def asked(self) -> list[str]:
        """The first word of each answer: what was asked."""
        contents = [
            each.completion["choices"][0]["message"]["content"]
            for each in self.outcomes
            if isinstance(each, Answer)
        ]
        return [content.partition(" ")[0] for content in contents]

    @property
    def sources(self) -> list[object]:
        """Where each answer is from; None where it was paid for, or there is none."""
        return [
            each.completion.get(ANSWERED_BY) if isinstance(each, Answer) else None
            for each in self.outcomes
        ]


def advance(emulator: Emulator, run: BatchRun) -> Ended:
    with run.lock():
        results = with_client(emulator, run.advance)
        ended = Ended(results, list(results.index.outcomes()))
        with_client(emulator, run.finish)
    return ended


@pytest.mark.parametrize(
    ("dedupe", "fields", "sent"),
    [
        (Dedupe.ON, {}, 2),
        (Dedupe.AUTO, {"temperature": 0}, 2),
        (Dedupe.AUTO, {"temperature": 0.7, "seed": 1}, 2),
        (Dedupe.AUTO, {"temperature": 0.7}, 5),
        (Dedupe.AUTO, {}, 5),
        (Dedupe.OFF, {"temperature": 0}, 5),
    ],
)
def test_rows_that_ask_the_same_are_sent_once_and_answered_everywhere(
    emulator: Emulator, tmp_path: Path, dedupe: Dedupe, fields: dict[str, Any], sent: int
) -> None:
    told: list[int] = []

    def on_outcome(outcome: Answer | Failure) -> None:
        told.append(outcome.index)

    rows = asking("a", "b", "a", "a", "b", **fields)
    run = a_run(tmp_path / "run", rows, on_outcome=on_outcome, dedupe=dedupe)
    results = advance(emulator, run)
    assert results.asked == ["a", "b", "a", "a", "b"]
    assert emulator.ledger.rows == sent
    assert results.results.unsent.repeats == 5 - sent
    assert results.results.index.counts.answered == 5
    assert sorted(told) == [0, 1, 2, 3, 4]
    assert results.sources.count("repeat") == 5 - sent


def test_a_row_that_fails_fails_for_its_repeats_and_is_run_again_once(
    emulator: Emulator, tmp_path: Path
) -> None:
    rows = asking("a [[fail]]", "b [[flaky]]", "a [[fail]]", "b [[flaky]]", "c")
    results = advance(emulator, a_run(tmp_path / "run", rows, dedupe=Dedupe.ON))
    outcomes = results.outcomes
    assert [type(each) for each in outcomes] == [Failure, Answer, Failure, Answer, Answer]
    assert [each.index for each in outcomes] == [0, 1, 2, 3, 4]
    counts = results.results.index.counts
    assert (counts.answered, counts.failed, counts.missing) == (3, 2, 0)
    assert emulator.ledger.rows == 3 + 2


def test_what_the_cache_knows_is_not_sent_by_another_run(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = advance(emulator, a_run(tmp_path / "1", asking("a", "b"), cache=cache))
    second = advance(emulator, a_run(tmp_path / "2", asking("c", "b", "d", "a"), cache=cache))
    assert (first.results.unsent.from_cache, second.results.unsent.from_cache) == (0, 2)
    assert second.asked == ["c", "b", "d", "a"]
    assert second.sources == [None, "cache", None, "cache"]
    assert emulator.ledger.rows == 4
    third = advance(emulator, a_run(tmp_path / "3", asking("a", "b", "c", "d"), cache=cache))
    assert third.asked == ["a", "b", "c", "d"]
    assert third.results.is_over
    assert emulator.ledger.rows == 4
    assert not (tmp_path / "3").exists()


def test_other_parameters_or_another_model_are_another_question(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    advance(emulator, a_run(tmp_path / "1", asking("a"), cache=cache))
    advance(emulator, a_run(tmp_path / "2", asking("a", max_tokens=7), cache=cache))
    assert emulator.ledger.rows == 2


def test_failed_answers_and_those_that_are_refused_are_not_kept(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    def refuse(outcome: Answer | Failure) -> str | None:
        return "of no use" if outcome.index == 1 else None

    rows = asking("a [[fail]]", "b", "c")
    run = a_run(tmp_path / "1", rows, on_outcome=refuse, cache=cache, row_retries=0)
    advance(emulator, run)
    again = advance(emulator, a_run(tmp_path / "2", rows, cache=cache, row_retries=0))
    assert again.sources == [None, None, "cache"]
    assert emulator.ledger.rows == 3 + 2


def test_an_answer_that_is_refused_now_is_asked_for_again(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    advance(emulator, a_run(tmp_path / "1", asking("a", "b"), cache=cache))

    def refuse(outcome: Answer | Failure) -> str | None:
        was_cached = isinstance(outcome, Answer) and ANSWERED_BY in outcome.completion
        return "of no use" if was_cached and outcome.index == 1 else None

    run = a_run(tmp_path / "2", asking("a", "b"), on_outcome=refuse, cache=cache)
    assert advance(emulator, run).sources == ["cache", None]
    assert emulator.ledger.rows == 3


@pytest.mark.parametrize("key", [None, "k"])
def test_a_run_that_goes_on_leaves_out_the_same_rows(
    emulator: Emulator, tmp_path: Path, key: str | None
) -> None:
    cache = tmp_path / "cache"
    advance(emulator, a_run(tmp_path / "1", asking("a", "b"), cache=cache))
    rows = asking("a", "c", "c", "b", "a", "d")
    options: dict[str, Any] = {"cache": cache, "dedupe": Dedupe.ON, "key": key}
    run = a_run(tmp_path / "2", rows, **options)
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    advance(emulator, a_run(tmp_path / "3", rows, **options | {"key": None}))  # fills the cache
    for path in cache.iterdir():
        path.unlink()
    results = advance(emulator, a_run(tmp_path / "2", rows, **options))
    assert results.asked == ["a", "c", "c", "b", "a", "d"]
    assert results.results.unsent.from_cache == (3 if key is None else 0)
    assert results.results.unsent.repeats == (1 if key is None else 2)


def test_a_disk_without_room_for_known_answers_is_told_before_anything_is_sent(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "2"
    advance(emulator, a_run(tmp_path / "1", asking("a"), cache=cache))
    before = len(emulator.requests)
    folder.mkdir()
    (folder / MARKER).touch()
    (folder / "results").write_text("in the way")
    run = a_run(folder, asking("b", "a"), cache=cache)
    with (
        run.lock(),
        pytest.raises(SpoolError, match=r"cached\.jsonl.*Nothing was submitted.*run_dir"),
    ):
        with_client(emulator, run.advance)
    assert len(emulator.requests) == before
    assert advance(emulator, run).sources == [None, "cache"]


def test_a_run_whose_known_rows_ask_something_else_now_is_not_gone_on_with(
    emulator: Emulator, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    advance(emulator, a_run(tmp_path / "1", asking("a"), cache=cache))
    run = a_run(tmp_path / "2", asking("a", "b"), cache=cache)
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    other = a_run(tmp_path / "2", asking("x", "b"), cache=cache)
    with other.lock(), pytest.raises(RunMismatchError, match="other content"):
        with_client(emulator, other.advance)
    next((tmp_path / "2").rglob("cached.jsonl")).write_bytes(b"{}\n")
    with run.lock(), pytest.raises(ManifestError, match="missing or damaged"):
        with_client(emulator, run.advance)
