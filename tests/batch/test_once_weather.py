"""Nothing is paid for twice: keys, repeats, the answer cache and deadlines, under any sky.

What ``test_budget_weather.py`` has (budgets, faults, deaths, resumption) is drawn together with a
key that two machines share, or a deadline after which the rest runs online; with rows that ask the
same, answers that do not hold, and further runs that share a cache. Each answer says how often its
question was answered, so no two answers are alike. ``make soak`` runs a thousand examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.rules import read_on_reject
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch import Answer, BatchResults, BatchRun, Dedupe, Failure, Request
from oumi_fireworks.batch.ids import stem_of_key
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.batch.requests import encode_body
from oumi_fireworks.batch.shards import ShardLimits
from oumi_fireworks.cache import AnswerCache, key_of
from oumi_fireworks.cache.upkeep import stats_of
from oumi_fireworks.emulator import Fault, Weather
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.prompts import outline_of_request
from tests.batch.late import online_sender
from tests.batch.sky import ROWS
from tests.batch.support import MODEL, body, texts
from tests.batch.test_budget_weather import WORDS, UnderABudget
from tests.batch.test_weather import Death

CHAT = "/chat/completions$"
POLICY = read_on_reject({"temperature": 0.2, "attempts": 2})
assert POLICY is not None
AGAIN = Again(POLICY, {"temperature": 0.0})

QUESTIONS = st.lists(st.integers(0, ROWS - 1), min_size=ROWS, max_size=ROWS)
BAD = {"[[bad 1]]": 2, "[[bad 9]]": 1 + AGAIN.most}
"""Answers that may be paid for where they are asked for again."""

WITHOUT_ANSWER: list[dict[str, Any]] = [
    {"status": 429},
    {"status": 500},
    {"status": 503},
    {"kind": "reset"},
]
WITH_LOST_ANSWER: list[dict[str, Any]] = [{"kind": "lost_answer"}, {"kind": "cut", "bytes": 10}]


class UnderAllOptions(UnderABudget):
    """Runs of three rows, one after the other, each of which asks one of three questions.

    Attributes:
        questions: What each row of this run asks.
        at_last: What those of the last run ask, which is begun when the sky has cleared.
        machine: Which machine is at it.
        generation: How many runs there were before.
        known: The answers, by question, that the cache had when this run began.
        shown: Each answer of this run that anybody has seen, by row.
        in_flight: Requests that were answered online, and whose answers may have been lost.
        before: Rows, answers and dollars of the runs before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.questions = self.at_last = list(range(ROWS))
        self.dedupe, self.has_cache, self.has_key, self.again = Dedupe.OFF, False, False, False
        self.deadline: float | None = None
        self.bad: dict[int, str] = {}
        self.machine, self.generation = "here", 0
        self.known: dict[int, str] = {}
        self.shown: dict[int, str] = {}
        self.in_flight = 0
        self.before = (0, 0, Decimal())

    @initialize(
        questions=QUESTIONS,
        dedupe=st.sampled_from(Dedupe),
        has_cache=st.booleans(),
        way=st.sampled_from(["key", "key", None, 0.0, 0.03, 0.06, 86_400.0]),
        at_last=QUESTIONS,
        bad=st.dictionaries(st.integers(0, ROWS - 1), st.sampled_from(sorted(BAD)), max_size=1),
        again=st.booleans(),
    )
    def set_options(
        self,
        questions: list[int],
        dedupe: Dedupe,
        has_cache: bool,
        way: str | float | None,
        at_last: list[int],
        bad: dict[int, str],
        again: bool,
    ) -> None:
        self.questions, self.dedupe, self.has_cache = questions, dedupe, has_cache
        self.has_key = way == "key"
        self.deadline = way if isinstance(way, float) else None
        self.bad, self.again, self.at_last = bad, again, at_last

    # What is run

    def rows(self) -> Iterator[Request]:
        for row, question in enumerate(self.questions):
            asked = self.request(question)
            yield Request(row, asked, outline_of_request(asked))

    def request(self, question: int) -> dict[str, Any]:
        mark = f"[[nth]] {'word ' * WORDS}{self.mark_of_question(question)}"
        return body(question, mark) | {"max_tokens": self.lengths[question], "temperature": 0}

    def mark_of_question(self, question: int) -> str:
        return self.bad.get(question) or self.marks.get(question, "")

    def mark_of(self, row: int) -> str:
        return self.mark_of_question(self.questions[row])

    def is_own(self, row: int, text: str) -> bool:
        return is_answer_to(self.questions[row], text)

    def holds(self, outcome: Answer | Failure) -> Rejection | None:
        """Refuse an answer to another question."""
        if isinstance(outcome, Failure) or self.is_own(outcome.index, text_of(outcome.completion)):
            return None
        return Rejection("no answer", "That was not asked.", 1)

    def further_options(self) -> dict[str, Any]:
        online = online_sender(self.service.url, self.service.api_key, prices=self.online_prices)
        further: dict[str, Any] = {
            "on_outcome": self.holds,
            "send_online": online,
            "dedupe": self.dedupe,
            "cache": self.cache_folder if self.has_cache else None,
            "again": AGAIN if self.again else None,
            "deadline": None if self.deadline is None else timedelta(seconds=self.deadline),
        }
        if self.has_key:  # what one machine removes, another one cannot fetch
            further |= {"key": self.key, "delete_datasets": False}
        if self.machine == "elsewhere":
            further |= {"limits": ShardLimits(max_rows=ROWS)}
        return further

    @property
    def key(self) -> str:
        return f"run {self.generation}"

    @property
    def cache_folder(self) -> Path:
        return self.folder / "cache"

    @property
    def online_prices(self) -> Prices:
        """Twice what a batch costs."""
        cached = self.prices.cached_input
        return Prices(
            2 * self.prices.input, 2 * self.prices.output, None if cached is None else 2 * cached
        )

    @property
    def place(self) -> Path:
        """Of this run on this machine."""
        return self.folder / f"{self.generation} {self.machine}"

    @property
    def run_folder(self) -> Path:
        return self.place.with_suffix(".run")

    @property
    def output(self) -> Path:
        return self.place.with_suffix(".json")

    # What happens

    def go_and_die(self, seconds: float) -> None:
        super().go_and_die(seconds)
        manifest = Manifest.load(self.manifest_path)
        self.in_flight += manifest is not None and manifest.is_overdue

    @precondition(lambda self: self.has_key)
    @rule(seconds=st.sampled_from([None, 0.01, 0.03, 0.06, 0.1]))
    def it_is_run_elsewhere(self, seconds: float | None) -> None:
        self.machine = "elsewhere"
        self.live(seconds=seconds)
        self.machine = "here"

    @precondition(lambda self: self.deadline is not None)
    @rule()
    def the_deadline_comes(self) -> None:
        self.deadline = 0.0

    @precondition(lambda self: self.deadline is not None)
    @rule(how=st.sampled_from(WITHOUT_ANSWER + WITH_LOST_ANSWER), after=st.integers(0, 2))
    def a_request_fails(self, how: dict[str, Any], after: int) -> None:
        self.service.faults.add(Fault("POST", CHAT, **how, after=after))
        self.in_flight += how in WITH_LOST_ANSWER

    @rule()
    def it_clears_up_and_is_run(self) -> None:
        self.service.faults.clear()
        self.service.weather = Weather()
        self.go()

    @rule(questions=QUESTIONS)
    def another_run_begins(self, questions: list[int]) -> None:
        """Go on, and begin another run if this one is done."""
        self.go()
        if not self.output.exists() or self.manifest_paths:
            return
        dollars = self.before[2] + self.bill()
        self.before = (self.rows_allowed(), self.answers_allowed(), dollars)
        self.known = {} if self.has_key else self.cached()
        self.highest, self.generation, self.questions = Decimal(), self.generation + 1, questions
        self.answers, self.shown = {}, {}

    @property
    def manifest_paths(self) -> list[Path]:
        """The manifests of all machines."""
        return list(self.folder.glob("*.run/run.json"))

    # What has to hold

    def sent(self) -> list[int]:
        """Which questions this run may send."""
        asked = self.questions if self.dedupe is Dedupe.OFF else sorted(set(self.questions))
        return [question for question in asked if question not in self.known]

    def most(self, mark: str) -> int:
        return self.answers_for(mark) if mark in BAD else super().most(mark)

    def answers_for(self, mark: str) -> int:
        """How many answers to a question with this mark may be paid for."""
        if mark in BAD:
            return BAD[mark] if self.again else 1
        return 0 if mark == "[[fail]]" else 1

    def rows_allowed(self) -> int:
        marks = map(self.mark_of_question, self.sent())
        return self.before[0] + sum(map(self.most, marks))

    def answers_allowed(self) -> int:
        marks = map(self.mark_of_question, self.sent())
        return self.before[1] + sum(map(self.answers_for, marks))

    @property
    def owned(self) -> set[str]:
        manifests = map(Manifest.load, self.manifest_paths)
        attempts = [each for manifest in manifests if manifest for each in manifest.attempts]
        return {job.job_id for attempt in attempts for job in attempt.jobs} | self.settled

    @property
    def may_stop(self) -> bool:  # type: ignore[override]
        return self.deadline is not None

    def bill(self) -> Decimal:
        online = self.service.ledger.online
        used = Usage(online.input_tokens, online.output_tokens, online.cached_tokens)
        return super().bill() + self.online_prices.cost(used) - self.before[2]

    @invariant()
    def no_answer_is_paid_for_twice(self) -> None:
        if self.emulator is None:
            return
        ledger = self.emulator.ledger
        in_batches = sum(job.rows - job.failed for job in ledger.jobs)
        assert in_batches + ledger.online.requests <= self.answers_allowed() + self.in_flight

    @invariant()
    def one_key_is_one_batch(self) -> None:
        if self.emulator is None or not self.has_key:
            return
        stems = {stem_of_key(f"run {number}") for number in range(self.generation + 1)}
        assert {re.sub(r"(-r\d+)?(-x\d+-\d+)?$", "", job.id) for job in self.emulator.jobs} <= stems

    @invariant()
    def the_cache_has_what_holds_and_nothing_else(self) -> None:
        if self.emulator is None or not self.cache_folder.exists():
            return
        cached = self.cached()
        assert not [q for q, text in cached.items() if not is_answer_to(q, text)]
        assert stats_of(self.cache_folder).answers == len(cached)
        for row in self.answers:
            question = self.questions[row]
            told = {self.answers[each] for each in self.answers if self.questions[each] == question}
            assert cached[question] in told

    def cached(self) -> dict[int, str]:
        """Return the answers in the cache by question."""
        if not self.cache_folder.exists():
            return {}
        found = {}
        with closing(AnswerCache(self.cache_folder)) as cache:
            for question in range(ROWS):
                body = encode_body(Request(0, self.request(question)))
                completion = cache.find(key_of(MODEL, body))
                if completion is not None:
                    found[question] = text_of(completion)
        return found

    def put(self, run: BatchRun, results: BatchResults, dies: Death | None) -> None:
        self.require_same_answers(results)
        super().put(run, results, dies)

    def keep(self, results: BatchResults) -> None:
        self.require_same_answers(results)
        super().keep(results)

    def require_same_answers(self, results: BatchResults) -> None:
        """Assert that who has seen an answer sees it again, whatever it comes from."""
        for row, text in texts(results.index).items():
            question = self.questions[row]
            assert self.shown.setdefault(row, text) == text
            assert self.known.get(question, text) == text
            if self.dedupe is not Dedupe.OFF:
                assert self.shown[self.questions.index(question)] == text

    def go_to_the_end(self) -> None:
        self.end_this_run()
        self.another_run_begins(self.at_last)
        self.end_this_run()

    def end_this_run(self) -> None:
        super().go_to_the_end()
        if self.has_key:
            with self.room_for_all():
                self.it_is_run_elsewhere(None)
                self.it_is_run_elsewhere(None)
        assert not self.manifest_paths
        self.no_more_is_paid_than_the_retries_allow()
        self.no_answer_is_paid_for_twice()
        self.the_cache_has_what_holds_and_nothing_else()


def is_answer_to(question: int, text: str) -> bool:
    return re.match(rf"\d+: row {question} ", text) is not None


def text_of(completion: Any) -> str:
    return str(completion["choices"][0]["message"]["content"])


def test_nothing_is_paid_for_twice_under_any_sky() -> None:
    run_state_machine_as_test(
        UnderAllOptions, settings=settings(max_examples=10, stateful_step_count=4)
    )


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_nothing_is_paid_for_twice_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        UnderAllOptions, settings=settings(max_examples=1000, stateful_step_count=14)
    )
