"""Clients of others, as they are released, at the emulator's default speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import openai
import pytest
from oumi.core.configs import InferenceConfig, ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation, Message, Role
from oumi.inference import FireworksInferenceEngine as StockEngine

from oumi_fireworks.emulator import Emulator
from tests.emulator.service import MODEL


class StockAtEmulator(StockEngine):
    """Oumi's own Fireworks engine; only the host, which it has written in, is another one."""

    def _get_batch_api_base_url(self) -> str:
        root, account = os.environ["FIREWORKS_BASE_URL"], self._get_account_id()
        return f"{root}/v1/accounts/{account}"


@pytest.fixture
def stock(at_emulator: Emulator) -> StockAtEmulator:
    """Oumi's own engine, at the emulator."""
    return StockAtEmulator(
        ModelParams(model_name=MODEL),
        remote_params=RemoteParams(
            api_url=f"{at_emulator.url}/inference/v1/chat/completions", politeness_policy=0.0
        ),
    )


def conversations() -> list[Conversation]:
    """Three conversations with ids."""
    return [
        Conversation(
            conversation_id=f"c{number}",
            messages=[Message(role=Role.USER, content=f"[[reply answer {number}]]")],
        )
        for number in range(3)
    ]


def texts(answered: list[Conversation]) -> list[Any]:
    """The last message of each."""
    return [conversation.messages[-1].content for conversation in answered]


def test_oumi_s_own_engine_infers_online(stock: StockAtEmulator) -> None:
    answered = stock.infer(conversations(), InferenceConfig(model=ModelParams(model_name=MODEL)))
    assert texts(answered) == ["answer 0", "answer 1", "answer 2"]


def test_oumi_s_own_engine_runs_a_batch(emulator: Emulator, stock: StockAtEmulator) -> None:
    batch = stock.infer_batch(conversations())
    deadline = emulator.clock.now() + 60
    while not stock.get_batch_status(batch).is_terminal:
        assert emulator.clock.now() < deadline
    assert texts(stock.get_batch_results(batch, conversations())) == [
        "answer 0",
        "answer 1",
        "answer 2",
    ]


def test_openai_streams_a_long_answer_and_learns_its_usage(emulator: Emulator) -> None:
    with openai.OpenAI(base_url=f"{emulator.url}/inference/v1", api_key=emulator.api_key) as client:
        ask: Any = {"model": MODEL, "messages": [{"role": "user", "content": "[[words 5000]]"}]}
        with pytest.raises(openai.BadRequestError, match="must have stream=true"):
            client.chat.completions.create(**ask, max_tokens=8000)
        chunks = list(client.chat.completions.create(**ask, max_tokens=8000, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.split() == ["toy"] * 5000
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5000


LITELLM = """
import json, os, sys
import litellm
ask = {
    "model": "fireworks_ai/accounts/fireworks/models/toy-chat",
    "api_base": os.environ["FIREWORKS_BASE_URL"] + "/inference/v1",
    "api_key": os.environ["FIREWORKS_API_KEY"],
    "messages": [{"role": "user", "content": "[[reply hello]]"}],
}
plain = litellm.completion(**ask, max_tokens=10)
pieces = [part.choices[0].delta.content or "" for part in litellm.completion(**ask, stream=True)]
json.dump([plain.choices[0].message.content, "".join(pieces), plain.usage.total_tokens], sys.stdout)
"""


def test_litellm_is_answered_whole_and_in_a_stream(emulator: Emulator) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LITELLM],
        # Its table of prices would otherwise be fetched from the network.
        env={**os.environ, **emulator.env, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plain, streamed, tokens = json.loads(done.stdout.splitlines()[-1])
    assert (plain, streamed) == ("hello", "hello")
    assert tokens > 0
