"""The pump over HTTP, against the emulator and what it can do to a client."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from oumi_fireworks.emulator import Emulator, Fault, Latency, RateLimit
from oumi_fireworks.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    ServerError,
    SuspendedError,
)
from oumi_fireworks.money import Usage
from oumi_fireworks.online import Completion, OnlineProgress, Pump, PumpReport
from tests.online.conftest import (
    CHAT,
    Drive,
    Harvest,
    request,
    requests,
    settings_for,
    text_of,
)

ECHOES = [f"[[echo]] row {index}" for index in range(200)]


def asked(emulator: Emulator) -> list[str]:
    """The prompts in the order in which they were answered."""
    return [
        each.body["messages"][0]["content"]
        for each in emulator.requests_to("POST", CHAT)
        if each.body is not None
    ]


def gaps(emulator: Emulator) -> list[float]:
    """Seconds between one request and the next."""
    times = sorted(each.time for each in emulator.requests_to("POST", CHAT))
    return [late - early for early, late in itertools.pairwise(times)]


# The good days.


@pytest.mark.parametrize("workers", [1, 16, None])
def test_each_row_gets_its_own_answer(drive: Drive, workers: int | None) -> None:
    harvest = drive(ECHOES, workers=workers)
    assert harvest.texts() == ECHOES
    assert harvest.report is not None
    assert (harvest.report.done, harvest.report.failed) == (len(ECHOES), 0)


def test_nothing_to_do_is_done_at_once(drive: Drive, emulator: Emulator) -> None:
    assert drive([]).outcomes == {}
    assert emulator.requests == []


def test_one_worker_goes_in_order(drive: Drive, emulator: Emulator) -> None:
    drive(ECHOES[:30], workers=1)
    assert asked(emulator) == ECHOES[:30]


def test_no_row_is_left_behind_while_others_go(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, after=10, times=1))
    emulator.faults.add(Fault(path=CHAT, status=503, after=20, times=5))
    harvest = drive(ECHOES[:100], workers=8)
    assert harvest.texts() == ECHOES[:100]
    finished = list(harvest.outcomes)
    late = [position - index for position, index in enumerate(finished)]
    assert max(late) <= 30


def test_rows_are_taken_as_they_are_sent(drive: Drive) -> None:
    harvest = Harvest()
    most_ahead = 0

    def texts() -> Iterator[str]:
        nonlocal most_ahead
        for index, text in enumerate(ECHOES):
            most_ahead = max(most_ahead, index - len(harvest.outcomes))
            yield text

    drive(texts(), harvest=harvest, workers=5)
    assert most_ahead <= 5


def test_no_more_requests_at_once_than_workers(drive: Drive, emulator: Emulator) -> None:
    emulator.latency = Latency(median=0.002)
    drive(ECHOES, workers=3)
    assert emulator.connections <= 3


def test_progress_is_reported_to_the_end(drive: Drive, emulator: Emulator) -> None:
    seen: list[OnlineProgress] = []
    drive([*ECHOES[:20], "[[fail 400]]"], total=21, on_progress=seen.append)
    assert seen[0].used == Usage()
    assert seen[-1].used.prompt > 0 < seen[-1].used.completion
    assert (seen[0].finished, seen[0].total) == (0, 21)
    assert (seen[-1].done, seen[-1].failed, seen[-1].under_way) == (20, 1, 0)
    assert seen[-1].per_second > 0


def test_own_choice_of_workers_is_said_once(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="oumi_fireworks")

    async def run() -> None:
        pump = Pump(settings_for(emulator, workers=None))
        for _ in range(2):
            await pump.run(requests(ECHOES[:3]), Harvest().take)
        await pump.close()

    asyncio.run(run())
    assert caplog.text.count("how many requests at once are worth it") == 1


def test_large_bodies_arrive_whole(drive: Drive) -> None:
    text = "[[echo]] " + "ä€𝄞 " * 60_000
    (answer,) = drive([text]).texts()
    assert answer == text[: 2048 * 4]  # where the emulator ends an answer without a bound


# Rows that fail.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (404, NotFoundError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
def test_a_wrong_row_fails_at_once_and_the_others_go_on(
    drive: Drive, emulator: Emulator, status: int, kind: type[FireworksError]
) -> None:
    wrong = f"[[fail {status}]]"
    harvest = drive([ECHOES[0], wrong, ECHOES[1]])
    (error,) = harvest.errors().values()
    assert isinstance(error, kind)
    assert f"answered {status}: the prompt asked for a failure" in str(error)
    assert asked(emulator).count(wrong) == 1
    assert len(harvest.outcomes) == 3


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520])
def test_a_service_in_trouble_is_asked_again(drive: Drive, emulator: Emulator, status: int) -> None:
    emulator.faults.add(Fault(path=CHAT, status=status, times=2))
    harvest = drive(ECHOES[:5])
    assert harvest.texts() == ECHOES[:5]
    assert harvest.report is not None
    assert harvest.report.retries == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=CHAT, kind="reset"),
        Fault(path=CHAT, kind="lost_answer"),
        Fault(path=CHAT, kind="cut", bytes=20),
        Fault(path=CHAT, kind="truncated_json"),
        Fault(path=CHAT, kind="garbage", body="<html>busy</html>"),
        Fault(path=CHAT, kind="garbage", body={"error": {"message": "overloaded"}}),
        Fault(path=CHAT, kind="garbage", body={"id": "x", "choices": []}),
        Fault(path=CHAT, kind="garbage", body={"choices": [{"index": 0}]}),
        Fault(path=CHAT, kind="garbage", body=[]),
    ],
    ids=lambda fault: f"{fault.kind} {fault.body or ''}".strip(),
)
def test_an_answer_that_did_not_arrive_is_asked_for_again(
    drive: Drive, emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault)
    harvest = drive(ECHOES[:5])
    assert harvest.texts() == ECHOES[:5]
    assert harvest.report is not None
    assert harvest.report.retries == 1


def test_an_answer_that_never_ends_times_out(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, kind="stall", times=2))
    harvest = drive(ECHOES[:5], timeout=0.3, max_retries=1, workers=1)
    assert list(harvest.errors()) == [0]
    assert isinstance(harvest.outcomes[0], ConnectionFailedError)
    assert "timed out" in str(harvest.outcomes[0])


def test_a_row_gives_up_when_its_own_retries_are_spent(drive: Drive, emulator: Emulator) -> None:
    harvest = drive([ECHOES[0], "[[fail 503]]", ECHOES[1]], max_retries=2)
    (error,) = harvest.errors().values()
    assert isinstance(error, ServerError)
    assert error.status_code == 503
    assert str(error).endswith("Tried 3 times.")
    assert asked(emulator).count("[[fail 503]]") == 3


def test_an_error_with_a_status_of_success_keeps_the_services_words(
    drive: Drive, emulator: Emulator
) -> None:
    emulator.faults.add(
        Fault(path=CHAT, kind="garbage", body={"error": {"message": "the model has crashed"}})
    )
    (error,) = drive(["x"], max_retries=0).errors().values()
    assert isinstance(error, MalformedAnswerError)
    assert "the model has crashed" in str(error)


def test_a_body_that_is_no_json_fails_alone(emulator: Emulator) -> None:
    harvest = Harvest()

    async def run() -> None:
        pump = Pump(settings_for(emulator))
        await pump.run([(0, request("x", seed={1, 2})), (1, request("[[echo]] y"))], harvest.take)
        await pump.close()

    asyncio.run(run())
    assert isinstance(harvest.outcomes[0], InvalidRequestError)
    assert text_of(harvest.outcomes[1]) == "[[echo]] y"


# Refusals.


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


# What stops the pump.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (402, PaymentRequiredError),
        (403, AuthenticationError),
        (412, SuspendedError),
    ],
)
def test_what_would_fail_every_row_stops_the_pump(
    drive: Drive, emulator: Emulator, status: int, kind: type[FireworksError]
) -> None:
    emulator.faults.add(Fault(path=CHAT, status=status, after=10, times=None))
    harvest = Harvest()
    with pytest.raises(kind):
        drive(ECHOES, harvest=harvest, workers=4)
    assert len(asked(emulator)) <= 10 + 4
    assert not harvest.errors()


def test_a_wrong_key_is_told_and_not_shown(drive: Drive) -> None:
    with pytest.raises(AuthenticationError, match="FIREWORKS_API_KEY") as caught:
        drive(ECHOES, headers={"Authorization": "Bearer fw_wrong"})
    assert "fw_wrong" not in str(caught.value)


def test_a_key_that_the_service_repeats_is_blanked_out(drive: Drive, emulator: Emulator) -> None:
    key = emulator.api_key
    for kind, body in (
        ("status", {"error": {"message": f"{key} may not"}}),
        ("garbage", {"error": {"message": f"{key} may not"}}),
        ("garbage", f"{key} may not"),
    ):
        emulator.faults.add(Fault(path=CHAT, kind=kind, status=400, body=body))  # type: ignore[arg-type]
        (error,) = drive(["x"], max_retries=0).errors().values()
        assert key not in str(error)
        assert "*** may not" in str(error)


def test_a_key_is_not_in_the_settings_text(emulator: Emulator) -> None:
    assert emulator.api_key not in repr(settings_for(emulator))


def test_the_key_does_not_follow_a_redirection(drive: Drive, emulator: Emulator) -> None:
    with Emulator() as elsewhere:
        target = f"{elsewhere.url}/inference/v1/chat/completions"
        emulator.faults.add(Fault(path=CHAT, status=307, headers={"Location": target}, times=None))
        with pytest.raises(ConfigurationError, match="redirects to"):
            drive(ECHOES[:3])
        assert elsewhere.requests == []


def test_what_the_caller_raises_ends_the_run(drive: Drive, emulator: Emulator) -> None:
    class EnoughError(Exception):
        pass

    class Picky(Harvest):
        def take(self, index: int, outcome: Completion | FireworksError) -> None:
            super().take(index, outcome)
            if len(self.outcomes) == 10:
                raise EnoughError

    harvest = Picky()
    with pytest.raises(EnoughError):
        drive(ECHOES, harvest=harvest, workers=4)
    assert 10 <= len(harvest.outcomes) <= 10 + 4
    assert len(asked(emulator)) <= 10 + 4


# Ends and new beginnings.


def test_cancelled_in_the_middle_it_can_run_again(emulator: Emulator) -> None:
    async def run() -> Harvest:
        pump = Pump(settings_for(emulator, workers=4))
        harvest = Harvest()
        ten = asyncio.Event()

        def take(index: int, outcome: Completion | FireworksError) -> None:
            harvest.take(index, outcome)
            if len(harvest.outcomes) == 10:
                ten.set()

        emulator.latency = Latency(median=0.01)
        task = asyncio.create_task(pump.run(requests(ECHOES), take))
        await ten.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(harvest.outcomes) < len(ECHOES)
        rest = [pair for pair in requests(ECHOES) if pair[0] not in harvest.outcomes]
        await pump.run(rest, harvest.take)
        await pump.close()
        return harvest

    assert asyncio.run(run()).texts() == ECHOES


def test_a_server_that_dies_and_comes_back_costs_no_row() -> None:
    first = Emulator()
    first.start()
    port = int(first.url.rpartition(":")[2])
    dead = threading.Event()
    successors: list[Emulator] = []

    def come_back() -> None:
        dead.wait()
        # Between the two is a moment that somebody meets: the first to come is hung up on.
        with socket.create_server(("127.0.0.1", port)) as nobody:
            nobody.settimeout(30)
            nobody.accept()[0].close()
        successors.append(Emulator(port=port, key=first.api_key))
        successors[0].start()

    class Killer(Harvest):
        def take(self, index: int, outcome: Completion | FireworksError) -> None:
            super().take(index, outcome)
            if len(self.outcomes) == 50:
                first.stop()
                dead.set()

    harvest = Killer()

    async def run() -> None:
        pump = Pump(settings_for(first, backoff_base=0.05, backoff_max=0.5, max_retries=20))
        harvest.report = await pump.run(requests(ECHOES), harvest.take)
        await pump.close()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        asyncio.run(run())
    finally:
        first.stop()
        dead.set()
        thread.join()
        successors[0].stop()
    assert harvest.texts() == ECHOES
    assert harvest.report is not None
    assert harvest.report.retries > 0


def test_runs_that_overlap_share_the_pace(emulator: Emulator) -> None:
    async def run() -> None:
        pump = Pump(settings_for(emulator, workers=2))
        left, right = Harvest(), Harvest()
        await asyncio.gather(
            pump.run(requests(ECHOES[:50]), left.take),
            pump.run(requests(ECHOES[50:100]), right.take),
        )
        await pump.close()
        assert left.texts() + right.texts() == ECHOES[:100]

    asyncio.run(run())
    assert emulator.connections <= 2


def test_ceilings_outlast_a_run(emulator: Emulator) -> None:
    async def run() -> None:
        pump = Pump(settings_for(emulator, requests_per_minute=3))
        await pump.run(requests(ECHOES[:3]), Harvest().take)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pump.run(requests(ECHOES[:3]), Harvest().take)
        await pump.close()

    asyncio.run(run())
    assert len(asked(emulator)) == 3


def test_a_polite_worker_rests_between_requests(drive: Drive, emulator: Emulator) -> None:
    drive(ECHOES[:4], workers=1, politeness=0.1)
    assert min(gaps(emulator)) >= 0.09


def test_a_polite_worker_does_not_rest_after_its_last_request(drive: Drive) -> None:
    harvest = drive(ECHOES[:2], workers=2, politeness=60.0)
    assert harvest.report is not None
    assert harvest.report.seconds < 10


def test_a_caller_may_have_another_request_for_a_row(emulator: Emulator) -> None:
    """Until it has none the row is not finished."""
    said: dict[int, list[str]] = {0: [], 1: []}

    def take(index: int, outcome: Completion | FireworksError) -> dict[str, object] | None:
        assert not isinstance(outcome, FireworksError)
        said[index].append(text_of(outcome))
        turn = len(said[index])
        return request(f"[[echo]] {index} again {turn}") if turn <= 2 * index else None

    async def run() -> PumpReport:
        pump = Pump(settings_for(emulator))
        try:
            bodies = [(index, request(f"[[echo]] {index}")) for index in said]
            return await pump.run(bodies, take, total=2)
        finally:
            await pump.close()

    report = asyncio.run(run())
    assert said == {
        0: ["[[echo]] 0"],
        1: ["[[echo]] 1", "[[echo]] 1 again 1", "[[echo]] 1 again 2"],
    }
    assert (report.done, report.failed) == (2, 0)


def test_another_request_that_cannot_be_sent_is_an_outcome_too(emulator: Emulator) -> None:
    outcomes: list[Completion | FireworksError] = []

    def take(index: int, outcome: Completion | FireworksError) -> dict[str, object] | None:
        outcomes.append(outcome)
        return {"messages": {object()}} if len(outcomes) == 1 else None

    async def run() -> PumpReport:
        pump = Pump(settings_for(emulator))
        try:
            return await pump.run([(0, request("[[echo]]"))], take)
        finally:
            await pump.close()

    report = asyncio.run(run())
    assert isinstance(outcomes[1], InvalidRequestError)
    assert (report.done, report.failed) == (0, 1)
