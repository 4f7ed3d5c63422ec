"""The client: one account on one Fireworks server."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from oumi_fireworks.api.accounts import ACCOUNT_VARIABLE, Accounts, configured_account
from oumi_fireworks.api.consistency import Consistency
from oumi_fireworks.api.datasets import Datasets
from oumi_fireworks.api.jobs import Jobs
from oumi_fireworks.api.models import Models
from oumi_fireworks.api.retries import RetryPolicy
from oumi_fireworks.api.root import resolve_root
from oumi_fireworks.api.storage import Storage
from oumi_fireworks.api.transport import Transport
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.safe_text import keep_secret

KEY_VARIABLE = "FIREWORKS_API_KEY"

_QUOTES = frozenset("'\"`\u2018\u2019\u201c\u201d")
_KEY = re.compile(r"[!-~]+")
"""What an HTTP header can hold without quoting."""
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""No more than what a URL's path can hold."""


@dataclass(frozen=True)
class Connection:
    """All that it takes to reach an account; made without a network.

    Attributes:
        root_url: Scheme and host of the control plane.
        api_key: The key. Not shown by ``repr``.
        account: The account's id, or None to ask the service which one the key has.
        retry: How calls are repeated.
        consistency: How slowly the absence of something is believed.
    """

    root_url: str
    api_key: str
    account: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    consistency: Consistency = field(default_factory=Consistency)

    def __post_init__(self) -> None:
        keep_secret(self.api_key)

    def __repr__(self) -> str:
        return f"Connection(root_url={self.root_url!r}, account={self.account!r})"

    @classmethod
    def from_environment(
        cls,
        *,
        api_url: str | None = None,
        api_key: str | None = None,
        account: str | None = None,
        key_variable: str = KEY_VARIABLE,
        gone_after: float | None = None,
        results_timeout: float | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Connection:
        """Fill in from the environment what was not given.

        Raises:
            ConfigurationError: If there is no key or it cannot be one, or the URL may not carry it.
        """
        return cls(
            root_url=resolve_root(api_url, environ).url,
            api_key=configured_key(api_key, key_variable, environ),
            account=configured_account(account, environ),
            consistency=Consistency.from_environment(
                gone_after=gone_after, results_timeout=results_timeout, environ=environ
            ),
        )


def configured_key(
    option: str | None = None,
    variable: str = KEY_VARIABLE,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Return the key from the option or the environment, without blanks around it.

    Raises:
        ConfigurationError: If there is none, or it has a character that keys do not have.
    """
    key = (option or environ.get(variable) or "").strip()
    keep_secret(key)
    if not key:
        raise ConfigurationError(
            f"No Fireworks API key. Set the environment variable {variable}; keys are "
            "made at https://app.fireworks.ai/settings/users/api-keys"
        )
    source = "the api_key option" if option else variable
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        raise ConfigurationError(
            f"The Fireworks API key (from {source}) has quotes around it. A shell takes them "
            "away, a file of variables (--env-file) does not: leave them out."
        )
    if not _KEY.fullmatch(key):
        raise ConfigurationError(
            f"The Fireworks API key (from {source}) "
            "has a blank or another character in it that keys do not have. Paste it anew."
        )
    return key


class FireworksClient:
    """Fireworks' control plane, for use inside ``async with`` on one event loop.

    Example::

        async with FireworksClient(Connection.from_environment()) as client:
            job = await client.jobs.get("oumi-...")

    Attributes:
        account: The account's id.
        accounts: The accounts that the key may use.
        datasets: The account's datasets.
        jobs: The account's batch inference jobs.
        models: Models that the inference plane offers.
        storage: Signed uploads and downloads.
    """

    account: str
    datasets: Datasets
    jobs: Jobs

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._transport = Transport(connection.root_url, connection.api_key, retry=connection.retry)
        self.accounts = Accounts(self._transport)
        self.models = Models(self._transport)
        self.storage = Storage(self._transport)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        try:
            self.account = self.connection.account or (await self.accounts.only()).id
            if not _ACCOUNT.fullmatch(self.account):
                raise ConfigurationError(
                    f"{self.account!r} is not the id of an account. It should look like acme, with "
                    f"nothing but letters, digits and hyphens; see {ACCOUNT_VARIABLE} and the "
                    "account_id option."
                )
        except BaseException:
            await self._transport.__aexit__(None, None, None)
            raise
        self.datasets = Datasets(self._transport, self.account)
        self.jobs = Jobs(self._transport, self.account)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)
