"""A machine that lets reads lag, err and repeat, calls break and processes die, in any order.

`BatchRun` is run under it in ``tests/batch/test_weather.py``, what ``batch run`` does with one in
``tests/cli/batch/test_weather.py``, the engine in ``tests/engine/test_batch_weather.py``. When the
sky has cleared, every row has to be delivered, and no more was paid for than the retries allow.
"""

from __future__ import annotations

import shutil
from abc import abstractmethod
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.emulator import Emulator, Fault, Lag, Weather
from oumi_fireworks.emulator.state.job_timeline import ENDED
from tests.batch.faulty import CALLS
from tests.batch.support import quick_emulator
from tests.batch.test_faults import ONE_FAULT

ROWS = 3
GONE_AFTER, RESULTS_TIMEOUT = 1.0, 5.0
"""Seconds: more than any of these weathers lags."""

HTML = "<html><body>no healthy upstream</body></html>"
WRONG_READS: list[dict[str, Any]] = [
    {"status": 404},
    {"status": 404, "body": HTML},
    {"status": 405},
    {"status": 501, "body": HTML},
    {"status": 503},
]
READS = ("get-dataset", "get-job", "get-download-url", "download")

LAGS = st.builds(Lag, reads=st.integers(0, 2), probability=st.sampled_from([0.5, 1.0]))
MOMENTS = st.sampled_from([0.0, 0.0, 0.03])
WEATHERS = st.builds(
    Weather,
    jobs=LAGS,
    datasets=LAGS,
    lists=LAGS,
    output_missing=MOMENTS,
    files_missing=MOMENTS,
    files_partial=MOMENTS,
    files_growing=MOMENTS,
    files_shuffled=st.booleans(),
    ready=MOMENTS,
)


class UnderAnySky(RuleBasedStateMachine):
    """Three rows, of which some fail once or always. Abstract, as far as mypy sees.

    Attributes:
        emulator: The service; None before the first step.
        answers: What was delivered so far, by row.
        rounds: How many wishes there were: each allows one attempt, and its retries.
        settled: Ids of the jobs whose rows were delivered.
    """

    emulator: Emulator | None = None
    may_stop = False
    """Whether jobs may be stopped, which here is to remove them."""

    @initialize(
        marks=st.dictionaries(
            st.integers(0, ROWS - 1), st.sampled_from(["[[flaky]]", "[[fail]]", "[[drop]]"])
        ),
        retries=st.integers(0, 2),
        tidy=st.booleans(),
    )
    def begin(self, marks: dict[int, str], retries: int, tidy: bool) -> None:
        self.folder = Path(mkdtemp())
        self.marks, self.retries, self.tidy = marks, retries, tidy
        self.answers: dict[int, str] = {}
        self.rounds = 1
        self.settled: set[str] = set()
        self.emulator = quick_emulator()
        self.emulator.start()

    def mark_of(self, row: int) -> str:
        """What the emulator is to do with a row; empty for nothing."""
        return self.marks.get(row, "")

    @property
    def service(self) -> Emulator:
        assert self.emulator is not None
        return self.emulator

    @property
    @abstractmethod
    def manifest_path(self) -> Path:
        """Where the run that is tested keeps its manifest."""

    @abstractmethod
    def go(self) -> None:
        """Go the whole way, or as far as it goes."""

    @abstractmethod
    def go_and_die(self, seconds: float) -> None:
        """Go for so long, and die."""

    def deliver(self) -> None:
        """Note that the jobs so far are over: their rows were delivered, or reported as failed."""
        states = {job.id: job.state.removeprefix("JOB_STATE_") for job in self.service.jobs}
        assert set(states.values()) <= ENDED, "a run was let go while a job was at work"
        self.settled = {job.id for job in self.service.jobs}

    @rule(weather=WEATHERS)
    def the_weather_changes(self, weather: Weather) -> None:
        self.service.weather = weather

    @rule(call=st.sampled_from(READS), how=st.sampled_from(WRONG_READS), after=st.integers(0, 3))
    def a_read_errs(self, call: str, how: dict[str, Any], after: int) -> None:
        method, path = CALLS[call]
        self.service.faults.add(Fault(method, path, **how, after=after))

    @rule(broken=st.lists(ONE_FAULT, min_size=1, max_size=3))
    def calls_break(self, broken: list[Fault]) -> None:
        for each in broken:
            self.service.faults.add(each)

    @rule(status=st.sampled_from([400, 409]), after=st.integers(0, 2))
    def a_creation_is_refused(self, status: int, after: int) -> None:
        self.service.faults.add(Fault("POST", "/batchInferenceJobs$", status=status, after=after))

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.06, 0.1, 0.2]))
    def it_is_run_and_dies(self, seconds: float) -> None:
        self.go_and_die(seconds)

    @rule()
    def it_is_run(self) -> None:
        self.go()

    def most(self, mark: str) -> int:
        """How often a row with this mark may be run."""
        attempts = (1 + self.retries) * self.rounds
        return {"": 1, "[[flaky]]": min(attempts, 2)}.get(mark, attempts)

    def rows_allowed(self) -> int:
        """How many rows may be on the bill."""
        return sum(self.most(self.mark_of(row)) for row in range(ROWS))

    def is_own(self, row: int, text: str) -> bool:
        """Whether an answer is this row's."""
        return text.startswith(f"row {row} ")

    @property
    def owned(self) -> set[str]:
        """Ids of the jobs that somebody remembers, or that are over."""
        manifest = Manifest.load(self.manifest_path)
        attempts = manifest.attempts if manifest else ()
        return {job.job_id for attempt in attempts for job in attempt.jobs} | self.settled

    @property
    def jobs_to_keep(self) -> set[str]:
        """Ids of the jobs whose results nobody has delivered yet."""
        return {job.id for job in self.service.jobs} - self.settled

    @invariant()
    def no_more_is_paid_than_the_retries_allow(self) -> None:
        if self.emulator is None:
            return
        jobs = [job.id for job in self.emulator.jobs]
        assert len(jobs) == len(set(jobs))
        assert self.emulator.ledger.rows <= self.rows_allowed()

    @invariant()
    def no_job_is_without_an_owner(self) -> None:
        if self.emulator is None:
            return
        assert {job.id for job in self.emulator.jobs} <= self.owned

    @invariant()
    def nothing_that_was_paid_for_is_removed(self) -> None:
        if self.emulator is None:
            return
        removed = [job.id for job in self.emulator.jobs if job.state == "JOB_STATE_DELETED"]
        assert self.may_stop or not removed
        kept = {f"{job}-out" for job in self.jobs_to_keep}
        assert not [each.id for each in self.emulator.datasets if each.deleted and each.id in kept]

    @property
    def was_refused(self) -> bool:
        """Whether a job was refused beside others: its rows may have been run nowhere."""
        asked = self.service.requests_to("POST", "/batchInferenceJobs$")
        return any(request.status == 400 for request in asked)

    def go_to_the_end(self) -> None:
        """Go the whole way: the sky is clear."""
        for _ in range(2):
            self.go()

    def teardown(self) -> None:
        if self.emulator is None:
            return
        try:
            self.emulator.faults.clear()
            self.emulator.weather = Weather()
            self.go_to_the_end()
            sure = {"", "[[flaky]]"} if self.retries else {""}
            certain = {row for row in range(ROWS) if self.mark_of(row) in sure}
            if not self.was_refused:
                assert certain <= set(self.answers)
            assert not [row for row, text in self.answers.items() if not self.is_own(row, text)]
            self.no_more_is_paid_than_the_retries_allow()
            assert not self.manifest_path.exists()
        finally:
            self.emulator.stop()
            shutil.rmtree(self.folder)
