"""What an emulator is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from oumi_fireworks.emulator.state.job_timeline import Pace

ACCOUNT = "emulator"

SUSPEND_STATES = (
    "UNSUSPENDED",
    "FAILED_PAYMENTS",
    "CREDIT_DEPLETED",
    "MONTHLY_SPEND_LIMIT_EXCEEDED",
    "BLOCKED_BY_ABUSE_RULE",
)
"""What the service says of an account's standing: `Account.suspend_state` of `fireworks-ai`."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """An OpenAI-compatible server that answers instead of the toy model.

    Args:
        url: Its base URL, up to and including `/v1`.
        model: The model to ask it for; None passes on the name that the client gave.
        key: Its API key, if it wants one.
        concurrency: How many requests of batch jobs are under way at once.

    Raises:
        ValueError: If the URL is none.
    """

    url: str
    model: str | None = None
    key: str | None = None
    concurrency: int = 32

    def __post_init__(self) -> None:
        if not _is_http_url(self.url):
            raise ValueError(
                f"{self.url!r} is not a URL: give the base, such as http://127.0.0.1:8000/v1"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """The fixed settings of an emulator; `Emulator` explains them."""

    key: str
    account: str = ACCOUNT
    pace: Pace = field(default_factory=Pace)
    cancel_route: bool = False
    models: tuple[str, ...] = ()
    max_direct_upload: int = 150_000_000
    max_dataset_bytes: int = 80 << 30
    max_output_bytes: int = 8_000_000_000
    result_file_bytes: int = 1 << 40
    url_lifetime: float = 600.0
    upload_url_lifetime: float = 3600.0
    encryption_state: str = "ENCRYPTION_STATE_PLAINTEXT"
    zero_data_retention: bool = False
    max_unstreamed_tokens: int = 4096
    numbers_as_strings: bool = False
    upstream: Upstream | None = None


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # one that is out of range raises here
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
