"""What Oumi's remote parameters and our options come to for the pump. Light, as ``wiring`` is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from oumi_fireworks.api import Connection, resolve_root
from oumi_fireworks.engine.config_fields import RemoteParams
from oumi_fireworks.online import Pump, PumpSettings
from oumi_fireworks.params import FireworksParams

_DEFAULT_WORKERS = RemoteParams().num_workers


class PaceSettings(Protocol):
    """What is read of Oumi's ``RemoteParams``."""

    num_workers: int
    use_adaptive_concurrency: bool
    max_retries: int
    retry_backoff_base: float
    retry_backoff_max: float
    connection_timeout: float
    requests_per_minute: int | None
    input_tokens_per_minute: int | None
    output_tokens_per_minute: int | None
    politeness_policy: float


def pump_settings(
    remote: PaceSettings, options: FireworksParams, url: str, headers: Mapping[str, str]
) -> PumpSettings:
    """Translate Oumi's remote parameters and our options.

    ``num_workers`` at its default leaves it to the pump how many requests are worth it.
    """
    return PumpSettings(
        url=url,
        headers=headers,
        workers=None if remote.num_workers == _DEFAULT_WORKERS else remote.num_workers,
        adaptive=remote.use_adaptive_concurrency,
        max_retries=remote.max_retries,
        backoff_base=remote.retry_backoff_base,
        backoff_max=remote.retry_backoff_max,
        timeout=remote.connection_timeout,
        requests_per_minute=remote.requests_per_minute,
        input_tokens_per_minute=remote.input_tokens_per_minute,
        output_tokens_per_minute=remote.output_tokens_per_minute,
        politeness=remote.politeness_policy,
        refusal_timeout=options.refusal_timeout,
        stream=options.stream,
    )


def new_pump(remote: RemoteParams, options: FireworksParams, connection: Connection) -> Pump:
    """Return a pump that sends to the inference API with the key of a connection."""
    url = resolve_root(remote.api_url).chat_url
    headers = {"Authorization": f"Bearer {connection.api_key}"}
    return Pump(pump_settings(remote, options, url, headers))
