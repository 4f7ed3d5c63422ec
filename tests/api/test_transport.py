"""One exchange: what goes out, what comes back, and where the key may travel."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.api import FireworksClient, RetryPolicy, Transport
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import APIError, ConnectionFailedError, MalformedAnswerError
from tests.api.support import connection, with_client


async def get_a_job(client: FireworksClient) -> object:
    return await client.jobs.get("some-job")


def test_a_redirect_is_not_followed(emulator: Emulator) -> None:
    with Emulator() as elsewhere:
        to = {"Location": f"{elsewhere.url}/v1/accounts"}
        for status in (301, 302, 303, 307, 308):
            emulator.faults.add(Fault(path="some-job", status=status, headers=to, body=""))
            with pytest.raises(APIError, match=f"answered {status}") as caught:
                with_client(emulator, get_a_job)
            assert caught.value.status == status
        assert elsewhere.connections == 0
    assert len(emulator.requests) == 5


def test_a_proxy_never_sees_what_is_for_this_machine(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with_client(emulator, lambda client: client.jobs.page())
        assert proxy.connections == 0
    assert len(emulator.requests) == 1


def test_a_netrc_file_does_not_replace_the_key(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with_client(emulator, lambda client: client.jobs.page())
    assert emulator.requests[0].headers["authorization"] == f"Bearer {emulator.api_key}"


def test_a_silent_server_is_given_up(emulator: Emulator) -> None:
    emulator.faults.add(Fault(kind="stall"))
    once = RetryPolicy(attempts=1)

    async def run() -> None:
        async with Transport(emulator.url, emulator.api_key, once, timeout=0.1) as transport:
            await transport.request("GET", "/v1/accounts")

    with pytest.raises(ConnectionFailedError, match="GET /v1/accounts: timed out"):
        asyncio.run(run())


def test_an_answer_without_an_object_says_so(emulator: Emulator) -> None:
    emulator.faults.add(Fault(kind="garbage", body="<html>", times=None))
    with pytest.raises(MalformedAnswerError, match="some-job answered 200 without a JSON object"):
        with_client(connection(emulator, RetryPolicy(attempts=1)), get_a_job)


def test_an_empty_answer_is_an_empty_object(emulator: Emulator) -> None:
    emulator.faults.add(Fault(kind="garbage", body=""))
    assert with_client(emulator, lambda client: client.models.list()) == []


def test_a_cancelled_call_is_not_tried_again(emulator: Emulator) -> None:
    emulator.faults.add(Fault(kind="stall", times=None))

    async def run() -> None:
        async with FireworksClient(connection(emulator)) as client:
            async with asyncio.timeout(0.1):
                await client.jobs.get("some-job")

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert emulator.connections == 1
