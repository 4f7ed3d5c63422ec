"""``batch cancel`` and ``batch clean``: what cannot be taken back is asked about first."""

from __future__ import annotations

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import Command, submit


@pytest.fixture
def running(at_emulator: Emulator) -> str:
    """A batch of two jobs, which run and will not end by themselves."""
    batch = submit(at_emulator, ["a", "b"], rows_a_job=1)
    for shard in range(2):
        at_emulator.set_job(f"{batch}-{shard}", "JOB_STATE_RUNNING")
    return batch


def states(emulator: Emulator) -> set[str]:
    emulator.clock.advance(60)  # a deletion takes a moment
    return {job.state for job in emulator.jobs}


def test_cancel_says_what_is_kept_and_stops_what_is_at_work(
    fireworks: Command, at_emulator: Emulator, running: str
) -> None:
    ended = submit(at_emulator, ["a"])
    at_emulator.set_job(ended, "JOB_STATE_COMPLETED")
    told = fireworks("batch", "cancel", ended, running, "--yes")
    assert told.code == 0
    assert told.out == ""
    assert f"{ended}: has ended already (completed)." in told.err
    assert f"{running}: running, no row counted yet, 0 of 2 rows finished." in told.err
    assert "is kept, billed, and can be fetched" in told.err
    assert f"{running}: cancelled." in told.err
    assert states(at_emulator) == {"JOB_STATE_COMPLETED", "JOB_STATE_DELETED"}


def test_cancel_asks(fireworks: Command, at_emulator: Emulator, running: str) -> None:
    nobody = fireworks("batch", "cancel", running)
    assert nobody.code == 2
    assert "--yes" in nobody.err
    assert fireworks("batch", "cancel", running, typed="n\n").code == 1
    assert fireworks("batch", "cancel", running, typed="").code == 130  # Ctrl-C, or Ctrl-D
    assert states(at_emulator) == {"JOB_STATE_RUNNING"}
    assert fireworks("batch", "cancel", running, typed="y\n").code == 0
    assert states(at_emulator) == {"JOB_STATE_DELETED"}


def test_cancel_of_no_batch_stops_nothing(
    fireworks: Command, at_emulator: Emulator, running: str
) -> None:
    assert fireworks("batch", "cancel", running, "Not_an_id", "--yes").code == 2
    assert fireworks("batch", "cancel", running, "oumi-nosuchbatch", "--yes").code == 1
    assert states(at_emulator) == {"JOB_STATE_RUNNING"}


def test_clean_lists_first_asks_and_spares_what_is_in_use(
    fireworks: Command, at_emulator: Emulator, running: str
) -> None:
    ended = submit(at_emulator, ["a"])
    at_emulator.set_job(ended, "JOB_STATE_COMPLETED")
    arguments = ["batch", "clean", "--older-than", "0"]
    dry = fireworks(*arguments, "--dry-run")
    assert dry.code == 0
    assert [line.split()[:2] for line in dry.out.splitlines()[1:]] == [
        [f"{ended}-in", "input"],
        [f"{ended}-out", "results"],
    ]
    assert "2 datasets, 1 of them with results." in dry.err
    assert fireworks(*arguments).code == 2
    assert fireworks(*arguments, typed="n\n").code == 1
    assert not at_emulator.requests_to("DELETE")
    assert "Removed 2 datasets." in fireworks(*arguments, typed="y\n").err
    left = {dataset.id for dataset in at_emulator.datasets if not dataset.deleted}
    assert left == {f"{running}-0-in", f"{running}-1-in"}
    nothing = fireworks(*arguments, "--yes")
    assert nothing.code == 0
    assert "There are no datasets to remove" in nothing.err


def test_clean_leaves_the_datasets_of_the_last_week_alone(
    fireworks: Command, at_emulator: Emulator
) -> None:
    ended = submit(at_emulator, ["a"])
    at_emulator.set_job(ended, "JOB_STATE_COMPLETED")
    assert "older than 7d" in fireworks("batch", "clean", "--yes").err
    assert not at_emulator.requests_to("DELETE")


def test_clean_tells_what_could_not_be_removed(fireworks: Command, at_emulator: Emulator) -> None:
    ended = submit(at_emulator, ["a"])
    at_emulator.set_job(ended, "JOB_STATE_COMPLETED")
    at_emulator.faults.add(Fault(method="DELETE", path="-in$", kind="status", status=403, times=9))
    told = fireworks("batch", "clean", "--older-than", "0", "--yes")
    assert told.code == 1
    assert f"Could not remove the dataset {ended}-in" in told.err
    assert "Removed 1 dataset." in told.err


@pytest.mark.parametrize("age", ["seven days", "7y", "7", "-1d", ""])
def test_an_age_that_is_none_is_wrong_use(
    fireworks: Command, at_emulator: Emulator, age: str
) -> None:
    ended = fireworks("batch", "clean", f"--older-than={age}")
    assert ended.code == 2
    assert "is not a duration" in ended.err
    assert not at_emulator.requests
