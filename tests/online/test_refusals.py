"""Refusals cost a row nothing: they are waited for, within bounds."""

from __future__ import annotations

import asyncio
import logging

import pytest

from oumi_fireworks.emulator import Emulator, Fault, RateLimit
from oumi_fireworks.errors import RateLimitError
from oumi_fireworks.online import OnlineProgress, Pump
from tests.online.conftest import (
    CHAT,
    ECHOES,
    Drive,
    Harvest,
    gaps,
    requests,
    settings_for,
)


def test_refusals_cost_no_row_and_no_retry(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, after=5, times=3))
    harvest = drive(ECHOES[:20], max_retries=0)
    assert harvest.texts() == ECHOES[:20]
    assert harvest.report is not None
    assert (harvest.report.refusals, harvest.report.retries) == (3, 0)


def test_a_storm_of_refusals_loses_no_row(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, probability=0.2, times=6))
    harvest = drive(ECHOES[:60], workers=16, max_retries=0)
    assert harvest.texts() == ECHOES[:60]


def test_retry_after_holds_everybody_but_probes(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, headers={"Retry-After": "60"}))
    harvest = drive(ECHOES[:20], workers=4)
    assert harvest.report is not None
    assert max(gaps(emulator)) >= 0.2
    assert harvest.report.seconds < 20


@pytest.mark.parametrize("header", ["inf", "86400", "-5", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_retry_after_of_nonsense_silences_nobody(
    drive: Drive, emulator: Emulator, header: str
) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, headers={"Retry-After": header}))
    emulator.faults.add(Fault(path=CHAT, status=503, headers={"Retry-After": header}))
    harvest = drive(ECHOES[:20], workers=4)
    assert harvest.texts() == ECHOES[:20]
    assert harvest.report is not None
    assert harvest.report.seconds < 20


def test_a_deployment_that_starts_costs_no_retry_and_is_said_once(
    drive: Drive, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="oumi_fireworks")
    body = {"error": {"message": "Deployment is scaling up", "code": "DEPLOYMENT_SCALING_UP"}}
    emulator.faults.add(Fault(path=CHAT, status=503, body=body, times=2))
    seen: list[OnlineProgress] = []
    harvest = drive(ECHOES[:10], workers=3, max_retries=0, on_progress=seen.append)
    assert harvest.texts() == ECHOES[:10]
    assert caplog.text.count("The deployment is starting") == 1
    causes = {each.waiting.words for each in seen if each.waiting is not None}
    assert "for the deployment to start" in causes


def test_load_shedding_costs_no_row_and_names_the_priority_tier_once(
    drive: Drive, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault(path=CHAT, status=503, body={"error": "overloaded"}, times=6))
    harvest = drive(ECHOES[:40], workers=8)
    assert harvest.texts() == ECHOES[:40]
    assert caplog.text.count("service_tier: priority") == 1


def test_a_limit_of_the_service_is_kept_by_what_it_states() -> None:
    limit = RateLimit(requests_per_minute=6000, window=0.1, retry_after=False)
    with Emulator(rate_limit=limit) as emulator:
        harvest = Harvest()

        async def run() -> None:
            pump = Pump(settings_for(emulator, workers=50))
            harvest.report = await pump.run(requests(ECHOES[:100]), harvest.take)
            await pump.close()

        asyncio.run(run())
    assert harvest.texts() == ECHOES[:100]
    assert harvest.report is not None
    assert harvest.report.refusals <= 20


def test_nothing_but_refusals_ends_the_run(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, times=None))
    with pytest.raises(RateLimitError, match=r"Waited for the rate limit.*refusal_timeout"):
        drive(ECHOES[:20], refusal_timeout=0.2)
