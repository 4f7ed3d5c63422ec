"""Accounts that cannot do what is asked: each told in a sentence that says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.api.refusals import error_from_answer
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    SuspendedError,
)
from tests.api.support import connection, with_client

ACCOUNTS = "GET /v1/accounts"
CHAT = "POST http://127.0.0.1/inference/v1/chat/completions"
ZERO = "datasets are disabled for Zero Data Retention accounts"

REASONS = {
    "FAILED_PAYMENTS": "payment has failed",
    "CREDIT_DEPLETED": "credits are used up",
    "MONTHLY_SPEND_LIMIT_EXCEEDED": "limit for this month",
    "BLOCKED_BY_ABUSE_RULE": "write to Fireworks' support",
}


async def first_account(client: FireworksClient) -> str:
    return client.account


@pytest.mark.parametrize(("reason", "step"), REASONS.items())
def test_a_suspended_account_says_why_and_what_to_do(
    emulator: Emulator, reason: str, step: str
) -> None:
    account = {"name": "accounts/acme", "suspendState": reason}
    body = {"accounts": [account], "nextPageToken": "", "totalSize": 1}
    emulator.faults.add(Fault("GET", "/v1/accounts$", "garbage", body=body))
    unnamed = replace(connection(emulator), account=None)
    with pytest.raises(SuspendedError, match=rf"acme is suspended \({reason}\).*{step}"):
        with_client(unnamed, first_account)
    error = error_from_answer(ACCOUNTS, 412, {"code": 9, "message": f"suspended: {reason}"})
    assert isinstance(error, SuspendedError)
    assert step in str(error)


@pytest.mark.parametrize("state", ["UNSUSPENDED", "", None])
def test_an_account_that_is_not_suspended_is_used(emulator: Emulator, state: str | None) -> None:
    account = {"name": "accounts/acme", "suspendState": state}
    body = {"accounts": [account]}
    emulator.faults.add(Fault("GET", "/v1/accounts$", "garbage", body=body))
    assert with_client(replace(connection(emulator), account=None), first_account) == "acme"


@pytest.mark.parametrize(
    ("where", "message", "kind"),
    [
        (CHAT, "account is suspended", SuspendedError),
        (CHAT, "", SuspendedError),
        (CHAT, "LoRA adapter failed to load", InvalidRequestError),
        (ACCOUNTS, "failed to load the account", SuspendedError),
    ],
)
def test_a_412_of_a_model_is_no_suspension(where: str, message: str, kind: type[APIError]) -> None:
    error = error_from_answer(where, 412, {"error": {"message": message}})
    assert type(error) is kind
    assert ("suspended" in str(error)) is (kind is SuspendedError)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidRequestError), (403, AuthenticationError)]
)
def test_an_account_that_keeps_no_data_is_told_to_go_online(
    status: int, kind: type[APIError]
) -> None:
    error = error_from_answer("POST /v1/accounts/a/datasets", status, {"code": 9, "message": ZERO})
    assert type(error) is kind
    assert str(error).endswith("so they have no batch jobs: use online inference.")
    assert "Check the key" not in str(error)


@pytest.mark.parametrize(
    ("state", "is_taken"),
    [
        ("ENCRYPTION_STATE_CMEK", False),
        ("ENCRYPTION_STATE_PLAINTEXT", True),
        ("ENCRYPTION_STATE_UNSPECIFIED", True),
        (None, True),
    ],
)
def test_datasets_under_a_key_of_the_customer_s_get_no_plain_file(
    emulator: Emulator, state: str | None, is_taken: bool
) -> None:
    body = {"name": "accounts/emulator/datasets/d", "encryptionState": state}
    emulator.faults.add(Fault("POST", "/datasets$", "garbage", body=body))

    async def run(client: FireworksClient) -> bool:
        return (await client.datasets.create("d", example_count=1)).is_plain

    if is_taken:
        assert with_client(emulator, run)
    else:
        with pytest.raises(ConfigurationError, match=f"key of its own.*{state}.*Nothing was upl"):
            with_client(emulator, run)
