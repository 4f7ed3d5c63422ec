"""What survives the end of the process, kind or not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.emulator.state.records import Tally
from oumi_fireworks.emulator.work.spool import Spool
from tests.emulator.service import Service, jsonl, row

ROWS = [row(number, f"question {number}") for number in range(40)]
IDS = sorted(each["custom_id"] for each in ROWS)

CHILD = """
import os, signal, sys
from oumi_fireworks.emulator import Emulator
def die(event, arguments):  # as it puts the record of a published job into its place
    if event == "os.rename" and b'"published":true' in open(arguments[0], "rb").read():
        os.kill(os.getpid(), signal.SIGKILL)
if "dies" in sys.argv:
    sys.addaudithook(die)
emulator = Emulator(state=sys.argv[1], speed=0, key="fw_known", result_file_bytes=5000)
emulator.start()
print(emulator.url, flush=True)
sys.stdin.read()
"""


class Child:
    """An emulator in a process of its own, which can be killed, or dies as it publishes."""

    def __init__(self, state: Path, *how: Literal["dies"]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(state), *how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def ids_in(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(each["custom_id"] for each in rows)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        done = service.finished_job(ROWS)
        service.create_dataset("other", 5)
        datasets = service.get("/datasets").json()
        service.close()
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        assert service.job() == done
        assert service.get("/datasets").json() == datasets
        assert ids_in(service.results()) == IDS
        service.close()


def test_a_job_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_job()
        emulator.clock.advance(330 + 60)
        before = service.job()
        assert before["state"] == "JOB_STATE_RUNNING"
        service.close()
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        assert service.job() == before
        emulator.clock.advance(600)
        assert service.state() == "COMPLETED"
        assert ids_in(service.results()) == IDS
        service.close()


def test_a_state_is_never_gone_back_to_by_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path, speed=0, max_output_bytes=2000) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_job()
        emulator.clock.advance(330 + 120 + 1)
        assert service.state() == "WRITING_RESULTS"
        service.close()
    with Emulator(state=tmp_path, speed=0, max_output_bytes=2000) as emulator:
        service = Service(emulator)
        assert service.state() == "WRITING_RESULTS"
        emulator.clock.advance(30)
        assert service.state() == "EARLY_STOPPED"
        assert 0 < len(service.results()) < len(ROWS)
        service.close()


def test_signed_urls_and_page_tokens_stay_good(tmp_path: Path) -> None:
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_dataset("other")
        url = service.urls("input")["dataset/input/input.jsonl"].partition("/storage")[2]
        token = service.get("/datasets", pageSize=1).json()["nextPageToken"]
        service.close()
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        assert service.fetch(f"{emulator.url}/storage{url}").status_code == 200
        page = service.get("/datasets", pageSize=1, pageToken=token).json()
        assert page["datasets"][0]["name"].endswith("/other")
        service.close()


def submit_to(child: Child) -> Service:
    """Submit a job of all rows; return the client, whose clock is the child's."""
    with Emulator(speed=0, key="fw_known") as stand_in:  # for its key and account
        service = Service(stand_in)
    service.http.base_url = child.url
    service.create_dataset(count=len(ROWS)).raise_for_status()
    service.upload(jsonl(ROWS)).raise_for_status()
    advance(service, 5)
    service.create_job().raise_for_status()
    return service


def advance(service: Service, seconds: float) -> None:
    service.http.post("/emulator/clock", json={"advance": seconds}).raise_for_status()


def state_after(service: Service, seconds: float) -> str:
    advance(service, seconds)
    return service.state()


def test_a_killed_process_loses_nothing_that_it_answered_for(tmp_path: Path) -> None:
    child = Child(tmp_path)
    service = submit_to(child)
    child.kill()

    child = Child(tmp_path)
    service.http.base_url = child.url
    assert service.create_job().status_code == 409
    assert state_after(service, 400) == "RUNNING"
    child.kill()

    child = Child(tmp_path)
    service.http.base_url = child.url
    assert state_after(service, 600) == "COMPLETED"
    assert ids_in(service.results()) == IDS
    child.kill()
    service.close()


def test_a_process_killed_while_it_publishes_loses_no_row(tmp_path: Path) -> None:
    child = Child(tmp_path, "dies")
    service = submit_to(child)
    with pytest.raises(httpx.TransportError):
        state_after(service, 600)
    service.close()
    child.process.communicate()
    assert child.process.returncode == -signal.SIGKILL
    assert list((tmp_path / "jobs" / "job").glob("results-*"))
    # With nobody to ask, what was done cannot be done again.
    nobody = "http://127.0.0.1:9/v1"
    with Emulator(state=tmp_path, speed=0, result_file_bytes=5000, upstream=nobody) as emulator:
        service = Service(emulator)
        assert service.state() == "COMPLETED"
        assert ids_in(service.results()) == IDS
        assert len(service.files()) > 2
        service.close()
    assert [path.name for path in (tmp_path / "jobs" / "job").glob("results-*")] == []


def test_a_half_received_upload_leaves_nothing(tmp_path: Path) -> None:
    with Emulator(state=tmp_path, speed=0) as emulator:
        service = Service(emulator)
        service.create_dataset()
        service.close()
    (tmp_path / "datasets" / "input" / "files" / ".upload-123").write_bytes(b"half")
    with Emulator(state=tmp_path, speed=0) as emulator:
        assert emulator.datasets[0].files == ()
    assert list((tmp_path / "datasets" / "input" / "files").iterdir()) == []


@pytest.mark.parametrize("record", ["emulator.json", "datasets/x/dataset.json", "jobs/x/job.json"])
@pytest.mark.parametrize("content", ["", "half {", "[]", '{"id": "x"}'])
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, record: str, content: str) -> None:
    (tmp_path / record).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / record).write_text(content)
    with pytest.raises(OSError, match=f"{record} is not what this version") as refused:
        Emulator(state=tmp_path)
    (tmp_path / record).unlink()
    Emulator(state=tmp_path)  # the refused one has no claim to the folder
    assert refused.value.__cause__ is not None


ONE = Tally(1, 0, 1, 10, 20, 0)


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    """A folder with three blocks of a row each."""
    spool = Spool(tmp_path, 1000)
    for number in range(3):
        assert spool.commit(f"row {number}\n".encode(), f"error {number}\n".encode(), ONE)
    spool.close()
    return tmp_path


def test_a_spool_is_taken_up_where_it_was_left(spooled: Path) -> None:
    spool = Spool(spooled, 1000)
    assert spool.blocks == 3
    assert spool.last.tally == Tally(3, 0, 3, 30, 60, 0)
    spool.commit(b"row 3\n", b"", ONE)
    tally, (results,) = spool.finish(None)
    assert tally.processed == 4
    assert results.read_bytes() == b"row 0\nrow 1\nrow 2\nrow 3\n"


@pytest.mark.parametrize("size", [1, 87, 88, 89, 176, 200, 264])
def test_a_torn_journal_costs_no_more_than_its_last_block(spooled: Path, size: int) -> None:
    journal = spooled / "journal"
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size - size)
    spool = Spool(spooled, 1000)
    kept = spool.blocks
    assert kept == (3 * 88 - size) // 88
    _, (results,) = spool.finish(None)
    assert results.read_bytes() == b"".join(b"row %d\n" % number for number in range(kept))
    assert (spooled / "error-data").read_bytes().count(b"\n") == kept


def test_what_was_written_beyond_the_journal_is_dropped(spooled: Path) -> None:
    with (spooled / "results-0").open("ab") as file:
        file.write(b"torn")
    _, (results,) = Spool(spooled, 1000).finish(None)
    assert results.read_bytes() == b"row 0\nrow 1\nrow 2\n"


def test_a_journal_without_its_files_is_not_believed(spooled: Path) -> None:
    (spooled / "results-0").unlink()
    spool = Spool(spooled, 1000)
    assert spool.blocks == 0
    spool.close()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 99])
def test_a_spool_is_cut_at_a_number_of_rows(spooled: Path, rows: int) -> None:
    tally, (results,) = Spool(spooled, 1000).finish(rows)
    kept = min(rows, 3)
    assert tally.processed == kept
    assert results.read_bytes().count(b"\n") == kept
    assert (spooled / "error-data").read_bytes().count(b"\n") == kept


def test_a_cut_takes_later_parts_away(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10)
    for number in range(4):
        spool.commit(b"row %d row\n" % number, b"", ONE)
    assert [spool.rows_in(part) for part in range(4)] == [1, 1, 1, 1]
    _, parts = spool.finish(2)
    assert [part.read_bytes() for part in parts] == [b"row 0 row\n", b"row 1 row\n"]
    assert not (tmp_path / "results-2").exists()


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10)
    spool.close()
    assert not spool.commit(b"x\n", b"", ONE)
