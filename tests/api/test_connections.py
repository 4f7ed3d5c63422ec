"""Proxies, certificates and servers that are not there: named at once, and without a secret."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.api.connections import proxy_for
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    APIError,
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
    UnreachableError,
)
from tests.api.support import QUICK, connection, with_client

KEY = "an-odd-key-4711-0815"


async def get_a_job(client: FireworksClient) -> object:
    return await client.jobs.get("some-job")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def unused_port() -> Iterator[int]:
    """A port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("proxy.example:3128", r"HTTPS_PROXY names a proxy that is no URL \(proxy.example:3128\)"),
        ("user:pa55@proxy.example:3128", "no URL .*Write it as http://host:port"),
        ("socks5://proxy.example:1080", "HTTPS_PROXY names a SOCKS proxy"),
        ("socks5h://user:pa55@proxy.example:1080", "only HTTP proxies"),
        ("ftp://proxy.example", "no URL"),
        ("http://", "no URL"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=said) as caught:
        proxy_for("https://api.fireworks.ai/v1")
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy"])
def test_the_proxy_for_all_schemes_counts_where_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = "https://api.fireworks.ai/v1"
    monkeypatch.setenv(name, "socks5://proxy.example:1080")
    with pytest.raises(ConfigurationError, match=f"{name} names a SOCKS proxy"):
        proxy_for(url)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert proxy_for(url) == "http://proxy.example:3128"
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv(name, "http://all.example:3128")
    assert proxy_for(url) == "http://all.example:3128"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_proxy_s_password_is_in_no_error_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_there: bool
) -> None:
    with Emulator() as refusing, unused_port() as port:
        at = refusing.url.rpartition(":")[2] if is_there else port
        monkeypatch.setenv("https_proxy", f"http://user:pa55word@127.0.0.1:{at}")
        to = Connection("https://api.fireworks.example", KEY, "acme", QUICK)
        with pytest.raises(ConnectionFailedError) as caught:
            with_client(to, get_a_job)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "pa55word" not in shown
    assert isinstance(caught.value, UnreachableError) is not is_there
    if not is_there:
        assert "the proxy cannot be reached" in str(caught.value)
        assert "https_proxy" in str(caught.value)


def test_a_url_where_nothing_listens_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with unused_port() as port:
        to = Connection(f"http://127.0.0.1:{port}", KEY, "acme", QUICK)
        with pytest.raises(UnreachableError, match=r"nothing answers there.*FIREWORKS_BASE_URL"):
            with_client(to, get_a_job)
    assert caplog.text.count("Trying again") == 2


def test_a_server_that_has_answered_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Emulator() as server:

        async def run(client: FireworksClient) -> None:
            await client.jobs.page()
            await asyncio.to_thread(server.stop)
            await get_a_job(client)

        with pytest.raises(ConnectionFailedError) as caught:
            with_client(server, run)
    assert not isinstance(caught.value, UnreachableError)
    assert caplog.text.count("Trying again") == QUICK.attempts - 1


@contextmanager
def https_server(folder: Path) -> Iterator[tuple[int, list[None]]]:
    """A server whose certificate nobody knows; yields its port and a mark for each visit."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "1", "-subj", "/CN=localhost",
            "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    visits: list[None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    visitor, _ = server.accept()
                except OSError:
                    return
                visits.append(None)
                # An SSLError is an OSError: the visitor does not trust us.
                with visitor, suppress(OSError):
                    context.wrap_socket(visitor, server_side=True).close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1], visits
        finally:
            server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_of_an_unknown_ca_is_told_and_never_tried_again(tmp_path: Path) -> None:
    with https_server(tmp_path) as (port, visits):
        to = Connection(f"https://localhost:{port}", KEY, "acme", QUICK)
        with pytest.raises(ConfigurationError, match=r"certificate.*SSL_CERT_FILE"):
            with_client(to, get_a_job)
    assert len(visits) == 1


@pytest.mark.parametrize("place", ["Location", "body", "status message"])
def test_a_key_that_the_service_repeats_reaches_nobody(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    key = emulator.api_key
    job = {"name": "accounts/emulator/batchInferenceJobs/some-job"}
    job_says = {**job, "status": {"message": f"the key {key} is bad"}}
    faults = {
        "Location": Fault(status=302, body="", headers={"Location": f"https://a.example/{key}"}),
        "body": Fault(status=500, body=f"<p>\n{key}\n</p>", times=None),
        "status message": Fault(kind="garbage", body=job_says),
    }
    emulator.faults.add(faults[place])
    caplog.set_level("DEBUG", logger="oumi_fireworks")
    try:
        found = with_client(connection(emulator), get_a_job)
    except FireworksError as error:
        shown = "".join(traceback.format_exception(error))
    else:
        shown = repr(found)
        assert "the key *** is bad" in shown
    assert key not in shown + caplog.text


def test_escapes_and_line_breaks_of_the_service_are_not_in_its_error(emulator: Emulator) -> None:
    message = "no\x1b[2J\noumi-fireworks: all answered\x9b"
    emulator.faults.add(Fault(status=400, body={"code": 3, "message": message}))
    with pytest.raises(APIError) as caught:
        with_client(emulator, get_a_job)
    assert "no[U+001B][2J oumi-fireworks: all answered[U+009B]" in str(caught.value)
