"""The emulator as an object: starting, stopping, looking in."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from oumi_fireworks.emulator import Emulator
from tests.emulator.service import Service, row


def test_it_tells_how_to_reach_it(emulator: Emulator) -> None:
    assert emulator.url.startswith("http://127.0.0.1:")
    assert emulator.env == {
        "FIREWORKS_BASE_URL": emulator.url,
        "FIREWORKS_API_KEY": emulator.api_key,
        "FIREWORKS_ACCOUNT_ID": emulator.account,
    }


def test_key_and_account_can_be_chosen() -> None:
    with Emulator(key="fw_mine", account="me") as emulator:
        assert (emulator.api_key, emulator.account) == ("fw_mine", "me")
        service = Service(emulator)
        assert service.get("").json()["name"] == "accounts/me"
        service.close()


@pytest.mark.parametrize(
    "wrong", [{"account": "../me"}, {"speed": -1.0}, {"speed": float("nan")}, {"upstream": "here"}]
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no account id|non-negative|is not a URL"):
        Emulator(**wrong)  # type: ignore[arg-type]


def test_one_that_listens_everywhere_is_called_where_it_is() -> None:
    with Emulator(host="0.0.0.0") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        assert httpx.get(emulator.url + "/v1/accounts", verify=False).status_code == 401


def test_many_come_and_go_and_leave_nothing() -> None:
    before = threading.active_count()
    for _ in range(15):
        with Emulator() as emulator:
            httpx.get(emulator.url, verify=False)
    assert threading.active_count() == before


def test_a_stopped_one_answers_no_more_and_stops_only_once() -> None:
    emulator = Emulator()
    emulator.start()
    emulator.stop()
    emulator.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(emulator.url, verify=False)


def test_it_starts_only_once(emulator: Emulator) -> None:
    with pytest.raises(RuntimeError, match="starts once"):
        emulator.start()


def test_an_address_in_use_is_an_error(emulator: Emulator) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"), Emulator(port=port):
        pass


def test_a_state_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    with Emulator(state=tmp_path), pytest.raises(OSError, match="keeps its state"):
        Emulator(state=tmp_path)
    with Emulator(state=tmp_path):
        pass


def test_it_can_be_stopped_in_the_middle_of_work() -> None:
    with Emulator() as emulator:
        service = Service(emulator)
        service.ready_dataset([row(number) for number in range(3000)])
        service.create_job().raise_for_status()
        service.close()


def test_requests_are_recorded(service: Service) -> None:
    service.get("/datasets", pageSize=3)
    service.create_dataset()
    listed, created = service.emulator.requests
    assert (listed.method, listed.path) == ("GET", "/v1/accounts/emulator/datasets")
    assert (listed.query, listed.status, listed.body) == ({"pageSize": "3"}, 200, None)
    assert created.headers["content-type"] == "application/json"
    assert created.body["datasetId"] == "input"
    assert listed.time <= created.time <= service.emulator.clock.now()
    assert service.emulator.requests_to("POST") == [created]
    assert service.emulator.requests_to(path="datasets$") == [listed, created]


def test_connections_are_counted(service: Service) -> None:
    assert service.emulator.connections == 0
    service.get("")
    service.get("")
    assert service.emulator.connections == 1
    service.storage.get(service.emulator.url)
    assert service.emulator.connections == 2


def test_jobs_can_be_looked_at(service: Service) -> None:
    service.finished_job([row(0), row(1)])
    (job,) = service.emulator.jobs
    assert (job.id, job.state, job.rows) == ("job", "JOB_STATE_COMPLETED", 2)
    assert (job.input, job.output) == ("input", "output")
    datasets = {each.id: each for each in service.emulator.datasets}
    assert datasets["output"].rows == 2
    assert datasets["output"].files == ("BIJOutputSet.jsonl", "error-data")
    assert datasets["output"].state == "READY"
    assert not datasets["input"].deleted
