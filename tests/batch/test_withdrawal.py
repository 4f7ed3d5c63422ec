"""Withdrawing a submission takes nothing away that was paid for."""

from __future__ import annotations

from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import JobSpec, ShardLimits, submit_new
from oumi_fireworks.batch.ids import output_dataset_id
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.withdrawal import withdraw
from oumi_fireworks.emulator import Fault, Weather
from oumi_fireworks.emulator.faults.weather import Lag
from tests.api.support import with_client
from tests.batch.faulty import faulty_emulator
from tests.batch.support import MODEL, source


def test_an_output_that_is_not_to_be_seen_is_not_removed(tmp_path: Path) -> None:
    """The job began in this very moment, and its output shows late."""
    with faulty_emulator(idle=True) as emulator:

        async def run(client: FireworksClient) -> None:
            job_id = await submit_new(
                client,
                source(2)(),
                JobSpec(MODEL),
                folder=tmp_path,
                limits=ShardLimits(),
                concurrency=1,
            )
            emulator.weather = Weather(jobs=Lag(reads=1))
            await client.jobs.get(job_id)  # what the next look will show
            emulator.set_job(job_id, "JOB_STATE_RUNNING", rows=2)
            output = output_dataset_id(job_id)
            gone = {"code": 5, "message": "resource not found", "details": []}
            unseen = Fault("GET", f"{output}$", status=404, body=gone)
            emulator.faults.add(unseen)
            job = PlannedJob(job_id=job_id, rows=2, size=0, digest="")
            await withdraw(client, [job], [job_id])
            emulator.weather = Weather()
            emulator.clock.advance(60)
            assert emulator.faults.fired(unseen) == 1
            [kept] = [each for each in emulator.datasets if each.id == output]
            assert not kept.deleted

        with_client(emulator, run)
