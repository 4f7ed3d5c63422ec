"""What the tests of the pump share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.online import Completion, OnProgress, Pump, PumpReport, PumpSettings, Purse

CHAT = r"/chat/completions$"

ECHOES = [f"[[echo]] row {index}" for index in range(200)]


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


def asked(emulator: Emulator) -> list[str]:
    """The prompts in the order in which they were answered."""
    return [
        each.body["messages"][0]["content"]
        for each in emulator.requests_to("POST", CHAT)
        if each.body is not None
    ]


def gaps(emulator: Emulator) -> list[float]:
    """Seconds between one request and the next."""
    times = sorted(each.time for each in emulator.requests_to("POST", CHAT))
    return [late - early for early, late in itertools.pairwise(times)]


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
