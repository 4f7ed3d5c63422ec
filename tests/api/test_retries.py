"""What is tried again, how often, and after how long."""

from __future__ import annotations

import time

import pytest

from oumi_fireworks.api import FireworksClient, RetryPolicy
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    APIError,
    ConnectionFailedError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tests.api.support import QUICK, connection, with_client


async def list_jobs(client: FireworksClient) -> list[str]:
    return [job.id for job in (await client.jobs.page()).items]


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status=status, times=3) for status in (408, 429, 500, 502, 503, 504, 520)),
        *(Fault(status=status, body="<html>", times=3) for status in (404, 405, 501)),
        Fault(kind="reset", times=3),
        Fault(kind="lost_answer", times=3),
        Fault(kind="truncated_json", times=3),
        Fault(kind="cut", bytes=5, times=3),
        Fault(kind="garbage", body="<html>a captive portal</html>", times=3),
        Fault(kind="garbage", body=["no", "object"], times=3),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_may_pass_is_tried_until_it_does(emulator: Emulator, fault: Fault) -> None:
    emulator.faults.add(fault)
    assert with_client(emulator, list_jobs) == []
    assert len(emulator.requests_to("GET", "batchInferenceJobs")) == 4


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 409, 412, 413, 422])
def test_what_is_refused_is_not_tried_again(emulator: Emulator, status: int) -> None:
    emulator.faults.add(Fault(status=status, times=None))
    with pytest.raises(APIError):
        with_client(emulator, list_jobs)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=503, times=None), ServerError),
        (Fault(status=429, times=None), RateLimitError),
        (Fault(kind="reset", times=None), ConnectionFailedError),
        (Fault(kind="garbage", body="<html>", times=None), MalformedAnswerError),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_patience_ends_and_the_last_error_is_told(
    emulator: Emulator, fault: Fault, kind: type[Exception]
) -> None:
    # With a POST, because aiohttp sends a GET once more by itself when the connection breaks.
    emulator.faults.add(fault)
    with pytest.raises(kind):
        with_client(emulator, lambda client: client.datasets.create("d", example_count=1))
    assert len(emulator.requests) == QUICK.attempts


def test_each_repetition_is_logged_once(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault(status=503, body="busy", times=2))
    with_client(emulator, list_jobs)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2
    assert all("Trying again" in line and "answered 503: busy" in line for line in said)


def test_what_is_not_repeated_is_not_said_to_be(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault(status=503, times=None))
    with pytest.raises(ServerError):
        with_client(connection(emulator, RetryPolicy(attempts=1)), list_jobs)
    assert "Trying again" not in caplog.text


def test_nobody_listening_is_a_failed_connection() -> None:
    with Emulator() as gone:
        to = connection(gone)
    with pytest.raises(ConnectionFailedError, match="GET /v1/accounts/emulator/batchInference"):
        with_client(to, list_jobs)


def test_the_wait_that_the_service_asks_for_is_kept(emulator: Emulator) -> None:
    patient = RetryPolicy(wait_initial=60, wait_max=60)  # its own waits would be noticed
    emulator.faults.add(Fault(status=429, headers={"Retry-After": "0.2"}))
    begun = time.monotonic()
    with_client(connection(emulator, patient), list_jobs)
    assert 0.2 <= time.monotonic() - begun < 30


def test_asking_for_no_wait_at_all_does_not_cause_a_burst(emulator: Emulator) -> None:
    policy = RetryPolicy(attempts=3, wait_initial=0.1, wait_max=0.1, wait_jitter=0)
    emulator.faults.add(Fault(status=429, headers={"Retry-After": "0"}, times=2))
    begun = time.monotonic()
    with_client(connection(emulator, policy), list_jobs)
    assert time.monotonic() - begun >= 0.2


def test_an_error_carries_the_wait(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=404, headers={"Retry-After": "7"}))
    with pytest.raises(NotFoundError) as caught:
        with_client(emulator, list_jobs)
    assert caught.value.retry_after == 7
