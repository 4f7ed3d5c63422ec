"""The accounts that a key may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oumi_fireworks.api.pages import Page, every
from oumi_fireworks.api.refusals import suspension_in
from oumi_fireworks.api.transport import Transport
from oumi_fireworks.api.values import id_of, int_at, objects_at, text_at
from oumi_fireworks.errors import ConfigurationError, SuspendedError

ACCOUNT_VARIABLE = "FIREWORKS_ACCOUNT_ID"


@dataclass(frozen=True)
class Account:
    """A Fireworks account.

    Attributes:
        id: Such as ``acme``.
        name: Resource name, ``accounts/acme``.
        display_name: For people.
        state: Such as ``READY``.
        suspension: Why it is suspended, such as ``FAILED_PAYMENTS``; empty if it is not.
    """

    id: str
    name: str
    display_name: str = ""
    state: str = ""
    suspension: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Account:
        """Read the service's JSON."""
        name = text_at(raw, "name")
        suspension = text_at(raw, "suspendState")
        return cls(
            id=id_of(name),
            name=name,
            display_name=text_at(raw, "displayName"),
            state=text_at(raw, "state"),
            suspension="" if suspension == "UNSUSPENDED" else suspension,
        )


@dataclass(frozen=True)
class Accounts:
    """``/v1/accounts``."""

    transport: Transport

    async def page(self, token: str = "") -> Page[Account]:
        """Fetch one page."""
        params = {"pageToken": token} if token else None
        answer = await self.transport.request("GET", "/v1/accounts", params=params)
        return Page(
            items=[Account.parse(raw) for raw in objects_at(answer, "accounts")],
            next_token=text_at(answer, "nextPageToken"),
            total=int_at(answer, "totalSize"),
        )

    async def list(self) -> list[Account]:
        """Fetch all of them."""
        return [account async for account in every(self.page)]

    async def only(self) -> Account:
        """Return the account when the key has exactly one.

        Raises:
            ConfigurationError: If it has none, or several: the message names the choices.
            SuspendedError: If it is suspended.
        """
        accounts = await self.list()
        if len(accounts) == 1:
            [account] = accounts
            if account.suspension:
                why = suspension_in(account.suspension)
                raise SuspendedError(
                    f"The Fireworks account {account.id} is suspended ({account.suspension}). {why}"
                )
            return account
        if not accounts:
            raise ConfigurationError(
                f"This key lists no account. Set {ACCOUNT_VARIABLE} to the account's id."
            )
        names = ", ".join(sorted(account.id for account in accounts))
        raise ConfigurationError(
            f"This key may use several accounts: {names}. Choose one with {ACCOUNT_VARIABLE} "
            "or the account_id option."
        )


def configured_account(
    option: str | None = None, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the account's id from the option or the environment, or None.

    ``accounts/acme`` is accepted for ``acme``.
    """
    chosen = option or environ.get(ACCOUNT_VARIABLE) or ""
    return chosen.strip().removeprefix("accounts/").strip("/") or None
