"""Absence is believed slowly: one wrong 404 changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oumi_fireworks.api import Consistency, FireworksClient, Job, Phase
from oumi_fireworks.batch import Snapshot, cancel, take_snapshot, watch
from oumi_fireworks.batch.absence import Absence
from oumi_fireworks.batch.snapshot import GONE, BatchView, later_of
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import ConfigurationError, NotFoundError
from tests.api.support import connection, with_client
from tests.batch.support import EAGER, still_emulator, submit_two_jobs

PATIENT = Consistency(gone_after=30)


@pytest.mark.parametrize(
    ("seconds", "believed"),
    [
        ([0], False),
        ([0, 70], False),  # two looks prove nothing, however far apart
        ([0, 1, 2, 59], False),
        ([0, 1, 60], True),
        ([0, 30, 60], True),
        ([0, 30, None, 60, 90], False),  # it was seen in between
        ([0, 30, None, 60, 90, 120], True),
    ],
)
def test_what_is_absent_for_long_enough_is_gone(
    seconds: list[float | None], believed: bool
) -> None:
    absence, said = Absence(60.0), False
    for at in seconds:
        if at is None:
            absence.present()
        else:
            said = absence.absent(at)
    assert said is believed


def test_a_job_that_is_not_to_be_seen_for_a_while_is_waited_for(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit_two_jobs(client, tmp_path)
        emulator.faults.add(Fault("GET", "/batchInferenceJobs/", status=404, times=8))
        return await watch(client, batch, EAGER)

    assert with_client(connection(emulator, consistency=PATIENT), run).phase is Phase.COMPLETED


@pytest.mark.parametrize("times", [1, 4])
def test_a_status_asked_for_in_that_moment_tells_the_truth(tmp_path: Path, times: int) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> Snapshot:
            batch = await submit_two_jobs(client, tmp_path)
            for job in emulator.jobs:
                emulator.set_job(job.id, state="JOB_STATE_RUNNING")
            emulator.faults.add(Fault("GET", "/batchInferenceJobs/", status=404, times=times))
            return await take_snapshot(client, batch)

        patient = Consistency(gone_after=3)
        snapshot = with_client(connection(emulator, consistency=patient), run)
        assert [job.state for job in snapshot.jobs] == ["JOB_STATE_RUNNING"] * 2


def test_an_id_that_this_package_does_not_give_is_not_waited_for_as_long(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    defaults = Consistency()
    assert defaults.absent_after(is_ours=True) == 60
    assert defaults.absent_after(is_ours=False) == 5
    assert Consistency(gone_after=1).absent_after(is_ours=False) == 1
    hasty = Consistency(gone_after=3600, foreign_absent_after=0.02)

    async def run(client: FireworksClient) -> None:
        with pytest.raises(NotFoundError, match="There is no batch nope on this account"):
            await take_snapshot(client, "nope")
        with pytest.raises(NotFoundError, match="There is no batch nope on this account"):
            await watch(client, "nope", EAGER)
        with pytest.raises(NotFoundError, match="There is no batch nope on this account"):
            await cancel(client, "nope")

    with_client(connection(emulator, consistency=hasty), run)
    assert (
        "Fireworks does not show nope. What was made a moment ago may take a while" in caplog.text
    )


def test_a_job_of_another_tool_that_was_seen_is_believed_to_be_gone_as_slowly_as_ours(
    tmp_path: Path,
) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit_two_jobs(client, tmp_path)
        job = (await take_snapshot(client, batch)).jobs[0]
        fields = {
            "model": job.model,
            "inputDatasetId": job.input_dataset,
            "outputDatasetId": client.datasets.name("theirs-out"),
        }
        await client.jobs.create("theirs", fields)
        view = BatchView(client, "theirs")
        await view.look()
        emulator.faults.add(Fault("GET", "/batchInferenceJobs/theirs", status=404, times=8))
        for _ in range(8):
            snapshot = await view.look()
            assert not view.is_settled
            assert snapshot.jobs[0].state != GONE
        return await view.look()

    with still_emulator() as emulator:
        hasty = replace(PATIENT, foreign_absent_after=0)
        snapshot = with_client(connection(emulator, consistency=hasty), run)
    assert snapshot.jobs[0].id == "theirs"


@pytest.mark.parametrize("route", [True, False], ids=["with-route", "without-route"])
@pytest.mark.parametrize("call", ["GET", "DELETE", "POST"])
def test_what_is_cancelled_in_that_moment_does_stop(tmp_path: Path, route: bool, call: str) -> None:
    with still_emulator(cancel_route=route) as emulator:

        async def run(client: FireworksClient) -> Snapshot:
            batch = await submit_two_jobs(client, tmp_path)
            emulator.clock.advance(400)
            emulator.faults.add(Fault(call, "/batchInferenceJobs/", status=404, times=2))
            return await cancel(client, batch)

        patient = Consistency(gone_after=3)
        snapshot = with_client(connection(emulator, consistency=patient), run)
        assert {job.phase for job in snapshot.jobs} <= {Phase.CANCELLING, Phase.CANCELLED}
        emulator.clock.advance(60)
        assert not [job.id for job in emulator.jobs if job.state == "JOB_STATE_RUNNING"]


def test_a_look_that_is_late_does_not_begin_an_ended_job_anew(tmp_path: Path) -> None:
    ended = Job("a", "", "JOB_STATE_COMPLETED")
    assert later_of(ended, replace(ended, state="JOB_STATE_RUNNING")) is ended
    assert later_of(replace(ended, state="JOB_STATE_RUNNING"), ended) is ended


def test_a_batch_without_a_trace_is_said_not_to_exist_in_the_end(emulator: Emulator) -> None:
    with pytest.raises(NotFoundError, match="no batch oumi-aaaaaaaaaaaaaaaa on this account"):
        with_client(emulator, lambda client: take_snapshot(client, "oumi-aaaaaaaaaaaaaaaa"))
    assert len(emulator.requests_to("GET", "/batchInferenceJobs/")) >= 3


def test_the_environment_may_say_how_slowly(tmp_path: Path) -> None:
    environ = {"OUMI_FIREWORKS_GONE_AFTER": "5", "OUMI_FIREWORKS_RESULTS_TIMEOUT": "7.5"}
    assert Consistency.from_environment(environ=environ) == Consistency(5, 7.5)
    assert Consistency.from_environment(gone_after=1, environ=environ) == Consistency(1, 7.5)
    assert Consistency.from_environment(environ={}) == Consistency(60, 600)
    for bad in ("-1", "soon", "nan", "inf"):
        with pytest.raises(ConfigurationError, match="OUMI_FIREWORKS_GONE_AFTER"):
            Consistency.from_environment(environ={"OUMI_FIREWORKS_GONE_AFTER": bad})
