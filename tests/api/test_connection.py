"""Which server, which key, which account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oumi_fireworks.api import Connection, FireworksClient, configured_account
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import AuthenticationError, ConfigurationError
from tests.api.support import connection, with_client


async def account_of(client: FireworksClient) -> str:
    return client.account


def accounts(*names: str, next_token: str = "") -> dict[str, Any]:
    listed = [{"name": f"accounts/{name}", "state": "READY"} for name in names]
    return {"accounts": listed, "nextPageToken": next_token, "totalSize": len(listed)}


def test_the_environment_says_everything(emulator: Emulator) -> None:
    found = Connection.from_environment(environ=emulator.env)
    assert found == replace(connection(emulator), retry=found.retry, consistency=found.consistency)
    assert with_client(found, account_of) == "emulator"
    assert emulator.requests == []


def test_what_is_given_goes_before_the_environment() -> None:
    environ = {
        "FIREWORKS_API_KEY": "from-environment",
        "FIREWORKS_ACCOUNT_ID": "from-environment",
        "FIREWORKS_BASE_URL": "https://environment.example",
        "OTHER_KEY": " other\n",
    }
    given = Connection.from_environment(
        api_url="https://given.example/inference/v1",
        api_key="given",
        account="accounts/given",
        environ=environ,
    )
    assert (given.root_url, given.api_key, given.account) == (
        "https://given.example",
        "given",
        "given",
    )
    other = Connection.from_environment(key_variable="OTHER_KEY", environ=environ)
    assert other.api_key == "other"


@pytest.mark.parametrize("environ", [{}, {"MY_KEY": ""}, {"MY_KEY": " \n"}])
def test_a_missing_key_names_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="environment variable MY_KEY"):
        Connection.from_environment(key_variable="MY_KEY", environ=environ)


@pytest.mark.parametrize("key", ["fw_a\nb", "fw_a b", "fw_ä", "fw_a\x00b"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="FIREWORKS_API_KEY") as caught:
        Connection.from_environment(environ={"FIREWORKS_API_KEY": key})
    assert "fw_" not in str(caught.value)


@pytest.mark.parametrize("around", ["{}\n", " {}\t", "\r\n{}\r\n"])
def test_blanks_around_a_key_are_left_out(around: str) -> None:
    environ = {"FIREWORKS_API_KEY": around.format("fw_key"), "FIREWORKS_ACCOUNT_ID": "a"}
    assert Connection.from_environment(environ=environ).api_key == "fw_key"


@pytest.mark.parametrize("around", ["'{}'", '"{}"', '"{}', "{}`", "\u201c{}\u201d", ' "{}"\n'])
def test_quotes_around_a_key_are_named_without_showing_it(around: str) -> None:
    environ = {"FIREWORKS_API_KEY": around.format("s3cret-s3cret")}
    with pytest.raises(ConfigurationError, match=r"FIREWORKS_API_KEY\) has quotes") as caught:
        Connection.from_environment(environ=environ)
    assert "s3cret" not in str(caught.value)


def test_http_to_another_machine_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="plain http"):
        Connection.from_environment(api_url="http://far.example", api_key="k", environ={})
    by_hand = Connection("http://far.example", "k", "a")
    with pytest.raises(ConfigurationError, match="plain http"):
        with_client(by_hand, account_of)


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        (None, None, None),
        ("", " ", None),
        ("acme", "other", "acme"),
        (None, "other", "other"),
        (None, "accounts/other/", "other"),
    ],
)
def test_the_account_is_the_option_then_the_variable(
    option: str | None, variable: str | None, expected: str | None
) -> None:
    environ = {} if variable is None else {"FIREWORKS_ACCOUNT_ID": variable}
    assert configured_account(option, environ) == expected


def test_the_only_account_is_found_by_asking(emulator: Emulator) -> None:
    assert with_client(replace(connection(emulator), account=None), account_of) == "emulator"
    assert len(emulator.requests_to("GET", "^/v1/accounts$")) == 1


def test_several_accounts_are_named_for_a_choice(emulator: Emulator) -> None:
    pages = [accounts("beta", next_token="more"), accounts("alpha")]
    for page in pages:
        emulator.faults.add(Fault(path="^/v1/accounts$", kind="garbage", body=page))
    with pytest.raises(ConfigurationError, match=r"alpha, beta.*FIREWORKS_ACCOUNT_ID"):
        with_client(replace(connection(emulator), account=None), account_of)
    assert [each.query for each in emulator.requests] == [{}, {"pageToken": "more"}]


@pytest.mark.parametrize("body", [accounts(), {}, {"accounts": None}, {"accounts": "none"}])
def test_no_account_is_an_error_that_says_what_to_set(emulator: Emulator, body: object) -> None:
    emulator.faults.add(Fault(path="^/v1/accounts$", kind="garbage", body=body))
    with pytest.raises(ConfigurationError, match="FIREWORKS_ACCOUNT_ID"):
        with_client(replace(connection(emulator), account=None), account_of)


def test_a_bad_key_is_not_mistaken_for_a_missing_account(emulator: Emulator) -> None:
    with pytest.raises(AuthenticationError):
        with_client(replace(connection(emulator), account=None, api_key="bad"), account_of)


@pytest.mark.parametrize("account", ["a/datasets", "..", "a?b", "a%2Fb", "my account", "a#b"])
def test_an_account_cannot_lead_elsewhere(emulator: Emulator, account: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not the id of an account.*should look like"):
        with_client(replace(connection(emulator), account=account), account_of)
    assert emulator.requests == []


def test_a_client_works_only_inside_its_context(emulator: Emulator) -> None:
    client = FireworksClient(connection(emulator))
    with pytest.raises(RuntimeError, match="async with"):
        _ = client.storage.transport.session
