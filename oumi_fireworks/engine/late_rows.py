"""How the rows run online that a batch has not finished by its deadline. Light, as ``wiring`` is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oumi_fireworks.api import Connection, resolve_root
from oumi_fireworks.batch.late import OnRow, SendOnline
from oumi_fireworks.engine.config_fields import RemoteParams
from oumi_fireworks.engine.pump_wiring import pump_settings
from oumi_fireworks.online import Pump
from oumi_fireworks.params import FireworksParams


def sender(pump: Pump) -> SendOnline:
    """Return what sends the late rows of a batch through a pump."""

    async def send(requests: Iterable[tuple[int, Mapping[str, Any]]], on_row: OnRow) -> None:
        await pump.run(requests, on_row)

    return send


def own_sender(
    remote: RemoteParams, options: FireworksParams, connection: Connection
) -> SendOnline:
    """Return what sends the late rows of a batch through a pump of its own."""

    async def send(requests: Iterable[tuple[int, Mapping[str, Any]]], on_row: OnRow) -> None:
        url = resolve_root(remote.api_url).chat_url
        headers = {"Authorization": f"Bearer {connection.api_key}"}
        pump = Pump(pump_settings(remote, options, url, headers))
        try:
            await pump.run(requests, on_row)
        finally:
            await pump.close()

    return send
