"""``infer`` under ``max_cost``, killed as it writes down what it has spent: nothing is forgotten.

``tests/cli/batch/test_max_cost_crashes.py`` does the same to ``batch run``, and more.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import InferenceConfig, ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import OverBudgetError
from tests.batch.mortal import die_at, forked
from tests.engine.conftest import MODEL, ask

ROWS, IN_FLIGHT = 4, 2
PRICE = {"input": 1_000_000, "output": 1_000_000}
CAPS = (3400, 100_000)
"""Dollars, each a token. A row takes some 600, and 2,500 at its worst: the first allows two."""


def engine(emulator: Emulator, cap: int) -> FireworksInferenceEngine:
    options: dict[str, Any] = {"price": PRICE, "max_cost": cap}
    remote = RemoteParams(api_url=emulator.url, api_key=emulator.api_key, num_workers=IN_FLIGHT)
    return FireworksInferenceEngine(ModelParams(model_name=MODEL), remote_params=remote, **options)


def infer(emulator: Emulator, cap: int, folder: Path) -> list[Conversation]:
    rows = [ask(f"row {row} [[echo]] {'word ' * 230}") for row in range(ROWS)]
    config = InferenceConfig(
        model=ModelParams(model_name=MODEL), output_path=str(folder / "out.jsonl")
    )
    return engine(emulator, cap).infer(rows, config)


def reach_the_cap(emulator: Emulator, folder: Path) -> None:
    with pytest.raises(OverBudgetError):
        infer(emulator, CAPS[0], folder)
    require_within(emulator, CAPS[0])


def require_within(emulator: Emulator, cap: int) -> None:
    online = emulator.ledger.online
    assert online.input_tokens + online.output_tokens <= cap


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("killed", [0, 1], ids=["until it is reached", "from the raise on"])
@pytest.mark.parametrize(
    "stride", [pytest.param(1, marks=pytest.mark.soak, id="each"), pytest.param(3, id="some")]
)
def test_killed_as_it_writes_down_what_it_has_spent(
    tmp_path: Path, stride: int, killed: int, moment: str
) -> None:
    kills, number = 0, 1
    while True:
        folder = tmp_path / f"{number}"
        folder.mkdir()
        with Emulator() as emulator:

            def be_killed(
                emulator: Emulator = emulator, folder: Path = folder, number: int = number
            ) -> None:
                die_at("purse.py", "_note", number, moment)
                infer(emulator, CAPS[killed], folder)

            if killed:
                reach_the_cap(emulator, folder)
            status = forked(be_killed)
            require_within(emulator, CAPS[killed])
            if status != -signal.SIGKILL:
                break
            kills += 1
            if not killed:
                reach_the_cap(emulator, folder)
            answers = [str(each.messages[-1].content) for each in infer(emulator, CAPS[1], folder)]
            assert [text.split()[1] for text in answers] == list("0123")
            assert ROWS <= emulator.ledger.online.requests <= ROWS + IN_FLIGHT
        number += stride
    assert status == 1 - killed  # it ended by itself: the cap is reached, or all is done
    assert kills == -(-4 // stride)  # two rows, each of which sets aside and settles
