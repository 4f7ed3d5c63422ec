"""Exactly once: whatever goes wrong with whichever call, one dataset, one file and one job a shard.

Each trouble strikes each call, one at a time; then troubles of all kinds at random.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from oumi_fireworks.api import Consistency, FireworksClient, RetryPolicy
from oumi_fireworks.batch import (
    BatchResults,
    ResultIndex,
    ShardLimits,
    fetch_results,
    submit_new,
    watch,
)
from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.errors import (
    AuthenticationError,
    FireworksError,
    InvalidRequestError,
    PartlySubmittedError,
)
from tests.api.support import connection, with_client
from tests.batch.faulty import (
    CALLS,
    SIGNED_SUBMISSION,
    SUBMISSION,
    TROUBLES,
    fault,
    faulty_emulator,
    require_exactly_once,
    require_nothing_left,
    strikes,
)
from tests.batch.support import (
    EAGER,
    SPEC,
    a_run,
    prepare,
    quick_emulator,
    require_own_answers,
    source,
)

ROWS = 3
JOBS = 2

PATIENT = Consistency(gone_after=20)

Way = Callable[[FireworksClient, Path], Awaitable[BatchResults]]


async def submit(client: FireworksClient, folder: Path) -> str:
    return await submit_new(
        client,
        source(ROWS)(),
        SPEC,
        folder=folder / "spool",
        limits=ShardLimits(max_rows=2),
        concurrency=2,
    )


async def by_id(client: FireworksClient, folder: Path) -> BatchResults:
    """Submit, wait and fetch, as three calls that share the id alone."""
    batch = await submit(client, folder)
    await watch(client, batch, EAGER)
    return await fetch_results(client, [batch], ROWS, folder / "results")


async def as_a_run(client: FireworksClient, folder: Path) -> BatchResults:
    """The whole way in one call."""
    return await a_run(folder / "run", source(ROWS)).advance(client)


@pytest.mark.parametrize("way", [by_id, as_a_run])
@pytest.mark.parametrize(
    ("call", "trouble"),
    [(call, trouble) for call in CALLS for trouble in TROUBLES if strikes(call, trouble)],
)
def test_one_trouble_with_one_call(tmp_path: Path, way: Way, call: str, trouble: str) -> None:
    with faulty_emulator(signed=call in SIGNED_SUBMISSION) as emulator:
        struck = fault(call, trouble)
        emulator.faults.add(struck)
        results = with_client(emulator, lambda client: way(client, tmp_path))
        assert emulator.faults.fired(struck) == 1
        require_exactly_once(emulator, results.index, ROWS, JOBS)
        if call not in SIGNED_SUBMISSION:
            assert [d.uploads for d in emulator.datasets if d.id.endswith("-in")] == [1] * JOBS


def test_a_file_that_is_still_being_digested_is_not_sent_again(tmp_path: Path) -> None:
    patient = RetryPolicy(attempts=5, wait_initial=0.001, wait_max=5, wait_jitter=0.001)
    with Emulator(speed=1, pace=Pace(uploading=0.3)) as emulator:
        emulator.faults.add(fault("upload", "lost-answer"))
        with_client(connection(emulator, patient, PATIENT), lambda client: submit(client, tmp_path))
        assert [dataset.uploads for dataset in emulator.datasets] == [1, 1]
        assert len(emulator.jobs) == JOBS


@pytest.mark.parametrize("signed", [False, True])
def test_a_file_that_is_digested_in_this_very_moment_is_not_sent_again(
    tmp_path: Path, signed: bool
) -> None:
    with faulty_emulator(signed=signed) as emulator:
        emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=403))
        with pytest.raises(AuthenticationError):
            with_client(emulator, lambda client: as_a_run(client, tmp_path))
        for dataset in emulator.datasets:  # seen a moment before it is ready
            name = f"accounts/{emulator.account}/datasets/{dataset.id}"
            before = {"name": name, "state": "UPLOADING", "exampleCount": str(dataset.rows)}
            emulator.faults.add(Fault("GET", f"{dataset.id}$", "garbage", body=before))
        results = with_client(emulator, lambda client: as_a_run(client, tmp_path))
        require_exactly_once(emulator, results.index, ROWS, JOBS)
        assert [dataset.uploads for dataset in emulator.datasets[:JOBS]] == [1] * JOBS


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("trouble", ["400", "403", "503", "lost-answer", "half-json"])
@pytest.mark.parametrize("call", [*SUBMISSION, *SIGNED_SUBMISSION])
def test_a_trouble_that_does_not_pass_leaves_nothing_behind(
    tmp_path: Path, call: str, trouble: str, second: bool
) -> None:
    method, path = CALLS[call]
    how = TROUBLES[trouble] if trouble in TROUBLES else {"status": int(trouble)}
    with faulty_emulator(signed=call in SIGNED_SUBMISSION, idle=True) as emulator:
        emulator.faults.add(Fault(method, path, **how, times=None, after=int(second)))
        try:
            with_client(emulator, lambda client: submit(client, tmp_path))
        except FireworksError:
            require_nothing_left(emulator)
        else:  # what was done is found, though nobody ever said so
            assert trouble in ("lost-answer", "half-json")
            assert len(emulator.jobs) == JOBS


@pytest.mark.parametrize("call", [*SUBMISSION, *SIGNED_SUBMISSION])
def test_a_submission_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, call: str) -> None:
    method, path = CALLS[call]
    with faulty_emulator(signed=call in SIGNED_SUBMISSION, idle=True) as emulator:
        emulator.faults.add(Fault(method, path, "stall", after=1, times=None))

        async def interrupted(client: FireworksClient) -> None:
            async with asyncio.timeout(0.3):
                await submit(client, tmp_path)

        with pytest.raises((TimeoutError, FireworksError)):
            with_client(emulator, interrupted)
        emulator.faults.clear()
        require_nothing_left(emulator)


def test_a_job_that_has_begun_when_the_rest_is_refused_is_kept_and_named(tmp_path: Path) -> None:
    with quick_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=400, after=1))
            # The first job has begun by the time that its sibling is refused and it is looked at.
            emulator.faults.add(Fault("GET", "/batchInferenceJobs/", kind="delay", delay=0.3))
            with pytest.raises(PartlySubmittedError, match="has begun and is kept") as caught:
                await submit(client, tmp_path)
            [job_id] = caught.value.job_ids
            assert isinstance(caught.value.__cause__, InvalidRequestError)
            await watch(client, job_id, EAGER)
            return await fetch_results(client, [job_id], 2, tmp_path / "results")

        require_own_answers(with_client(emulator, run).index, 2)
        left = [dataset.id[21:] for dataset in emulator.datasets if not dataset.deleted]
        assert sorted(left) == ["-x2-0-in", "-x2-0-out"]


@pytest.mark.parametrize("refusals", [1, 3])
def test_a_job_that_is_seen_late_is_removed_all_the_same(tmp_path: Path, refusals: int) -> None:
    """Its answer was lost, and then it is not to be seen, and not to be deleted, for a while."""
    with faulty_emulator(idle=True) as emulator:
        emulator.faults.add(Fault("POST", "/batchInferenceJobs$", "lost_answer"))
        emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=403, times=None))
        busy = {"code": 9, "message": "it is being deleted", "details": []}
        for method, how in (
            ("GET", {"status": 404}),
            ("DELETE", {"status": 404}),
            ("DELETE", {"status": 400, "body": busy}),
        ):
            emulator.faults.add(Fault(method, "/batchInferenceJobs/", times=refusals, **how))
        with pytest.raises(AuthenticationError):
            with_client(
                connection(emulator, consistency=Consistency(gone_after=3)),
                lambda client: submit(client, tmp_path),
            )
        require_nothing_left(emulator)


#
# At random
#

ONE_FAULT = (
    st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from(sorted(TROUBLES)))
    .filter(lambda pair: strikes(*pair))
    .flatmap(
        lambda pair: st.builds(
            lambda after, times: fault(*pair, after=after, times=times),
            st.integers(0, 3),
            st.integers(1, 2),
        )
    )
)


def come_through(faults: list[Fault], signed: bool) -> None:
    """Run again after each failure, until all faults are used up; then all is there once."""
    folder = Path(mkdtemp())
    with faulty_emulator(signed=signed) as emulator:
        for each in faults:
            emulator.faults.add(each)
        for _ in range(len(faults) * 2 + 1):
            try:
                results = with_client(emulator, lambda client: as_a_run(client, folder))
                break
            except FireworksError:
                continue  # run again, as its message says
        require_exactly_once(emulator, results.index, ROWS, JOBS)
    shutil.rmtree(folder)


SOME_FAULTS = given(faults=st.lists(ONE_FAULT, min_size=2, max_size=6), signed=st.booleans())


@settings(max_examples=8)
@SOME_FAULTS
def test_troubles_of_all_kinds_at_once(faults: list[Fault], signed: bool) -> None:
    come_through(faults, signed)


@pytest.mark.soak
@settings(max_examples=300)
@SOME_FAULTS
def test_troubles_of_all_kinds_at_once_for_long(faults: list[Fault], signed: bool) -> None:
    come_through(faults, signed)


class Faults(RuleBasedStateMachine):
    """A run that is begun again and again while things break, until nothing breaks any more."""

    emulator: Emulator
    folder: Path

    @initialize(signed=st.booleans())
    def begin(self, signed: bool) -> None:
        self.emulator = faulty_emulator(signed=signed)
        self.emulator.start()
        self.folder = Path(mkdtemp())
        self.index: ResultIndex | None = None

    @rule(broken=ONE_FAULT)
    def something_breaks(self, broken: Fault) -> None:
        self.emulator.faults.add(broken)

    @rule(call=st.sampled_from(sorted(CALLS)), status=st.sampled_from([401, 403, 503]))
    def something_breaks_for_long(self, call: str, status: int) -> None:
        method, path = CALLS[call]
        self.emulator.faults.add(Fault(method, path, status=status, times=20))

    @rule()
    def all_is_mended(self) -> None:
        self.emulator.faults.clear()

    @rule(what=st.sampled_from(["spool", "results"]))
    def files_are_lost(self, what: str) -> None:
        shutil.rmtree(self.folder / "run" / what, ignore_errors=True)

    @rule()
    def it_is_submitted(self) -> None:
        run = a_run(self.folder / "run", source(ROWS))
        with contextlib.suppress(FireworksError):
            with_client(self.emulator, lambda client: prepare(run, client))

    @rule()
    def it_is_run(self) -> None:
        with contextlib.suppress(FireworksError):
            results = with_client(self.emulator, lambda client: as_a_run(client, self.folder))
            self.index = results.index

    @invariant()
    def nothing_exists_twice(self) -> None:
        if not hasattr(self, "emulator"):
            return
        jobs = [job.id for job in self.emulator.jobs]
        assert len(jobs) == len(set(jobs)) <= JOBS
        inputs = [d.id for d in self.emulator.datasets if d.id.endswith("-in")]
        assert len(inputs) == len(set(inputs)) <= JOBS
        assert not [dataset.id for dataset in self.emulator.datasets if dataset.deleted]

    def teardown(self) -> None:
        if not hasattr(self, "emulator"):
            return
        try:
            self.emulator.faults.clear()
            results = with_client(self.emulator, lambda client: as_a_run(client, self.folder))
            require_exactly_once(self.emulator, results.index, ROWS, JOBS)
        finally:
            self.emulator.stop()
            shutil.rmtree(self.folder)


def test_any_sequence_of_faults() -> None:
    run_state_machine_as_test(Faults, settings=settings(max_examples=6, stateful_step_count=8))


@pytest.mark.soak
def test_any_sequence_of_faults_for_long() -> None:
    run_state_machine_as_test(Faults, settings=settings(max_examples=200, stateful_step_count=12))
