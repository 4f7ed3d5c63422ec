"""What the tests of the pump share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.online import Completion, OnProgress, Pump, PumpReport, PumpSettings, Purse

CHAT = r"/chat/completions$"


def request(text: str, **fields: Any) -> dict[str, Any]:
    """A chat completion request."""
    return {
        "model": "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def requests(texts: Iterable[str]) -> Iterable[tuple[int, dict[str, Any]]]:
    """Numbered requests, made one by one."""
    return ((index, request(text)) for index, text in enumerate(texts))


def text_of(outcome: Completion | FireworksError) -> str:
    """The text of an answer."""
    assert isinstance(outcome, dict), outcome
    return str(outcome["choices"][0]["message"]["content"])


@dataclass
class Harvest:
    """What a run brought in."""

    report: PumpReport | None = None
    outcomes: dict[int, Completion | FireworksError] = field(default_factory=dict)

    def take(self, index: int, outcome: Completion | FireworksError) -> None:
        assert index not in self.outcomes, f"two outcomes for row {index}"
        self.outcomes[index] = outcome

    def texts(self) -> list[str]:
        """The answers in the order of the rows."""
        return [text_of(self.outcomes[index]) for index in sorted(self.outcomes)]

    def errors(self) -> dict[int, FireworksError]:
        return {
            index: outcome
            for index, outcome in self.outcomes.items()
            if isinstance(outcome, FireworksError)
        }


def settings_for(emulator: Emulator, **settings: Any) -> PumpSettings:
    """Settings that lead to an emulator, with retries that do not take long."""
    return PumpSettings(
        **{
            "url": f"{emulator.url}/inference/v1/chat/completions",
            "headers": {"Authorization": f"Bearer {emulator.api_key}"},
            "workers": 4,
            "backoff_base": 0.001,
            "backoff_max": 0.01,
            "timeout": 30.0,
            **settings,
        }
    )


Drive = Callable[..., Harvest]


@pytest.fixture
def drive(emulator: Emulator) -> Drive:
    """Send texts through a pump of its own, and return what came of them."""

    def drive(
        texts: Iterable[str],
        *,
        harvest: Harvest | None = None,
        on_progress: OnProgress | None = None,
        total: int | None = None,
        purse: Purse | None = None,
        **settings: Any,
    ) -> Harvest:
        harvest = harvest or Harvest()

        async def run() -> None:
            pump = Pump(settings_for(emulator, **settings))
            try:
                harvest.report = await pump.run(
                    requests(texts),
                    harvest.take,
                    total=total,
                    on_progress=on_progress,
                    purse=purse,
                )
            finally:
                await pump.close()

        asyncio.run(run())
        return harvest

    return drive
