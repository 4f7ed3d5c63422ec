"""What sends the late rows of a batch online, to an emulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oumi_fireworks.batch.late import OnRow, SendOnline
from oumi_fireworks.online import Pump, PumpSettings


def online_sender(root_url: str, api_key: str, name: str = "first") -> SendOnline:
    """Return what sends rows to the emulator at this URL, one after the other.

    Args:
        root_url: The URL.
        api_key: The key.
        name: Who says to be sending, in the header ``X-Sender``.
    """

    async def send(requests: Iterable[tuple[int, Mapping[str, Any]]], on_row: OnRow) -> None:
        headers = {"Authorization": f"Bearer {api_key}", "X-Sender": name}
        url = f"{root_url}/inference/v1/chat/completions"
        settings = PumpSettings(
            url=url, headers=headers, workers=1, backoff_base=0.01, backoff_max=0.02
        )
        pump = Pump(settings)
        try:
            await pump.run(requests, on_row)
        finally:
            await pump.close()

    return send
