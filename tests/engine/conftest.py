"""An engine on an emulator. Importing oumi takes seconds, so it happens here, once."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator

MODEL = "accounts/fireworks/models/llama-v3p1-8b-instruct"

CHAT = "/inference/v1/chat/completions$"

EngineFactory = Callable[..., FireworksInferenceEngine]


def ask(text: str, **fields: Any) -> Conversation:
    """A conversation of one question."""
    return Conversation(messages=[Message(role=Role.USER, content=text)], **fields)


def questions(count: int) -> list[Conversation]:
    """Conversations that can be told apart by their answers: the toy model repeats the question."""
    return [ask(f"What is number {index}?") for index in range(count)]


def read(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def sent(emulator: Emulator) -> int:
    """How many rows have been sent, in either mode."""
    uploaded = sum(each.rows for each in emulator.datasets if each.id.endswith("-in"))
    return uploaded + len(emulator.requests_to("POST", CHAT))


@contextmanager
def pressing() -> Iterator[Callable[[object], None]]:
    """Give a function that presses Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.get_ident()
    try:
        yield lambda _occasion: signal.pthread_kill(main, signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupted() -> Iterator[Callable[[object], None]]:
    """Expect a Ctrl-C, which the function given presses."""
    with pressing() as press, pytest.raises(KeyboardInterrupt):
        yield press


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_engine(at_emulator: Emulator) -> EngineFactory:
    """Makes engines on the emulator; keyword arguments are options."""

    def make(
        model: str = MODEL, remote: RemoteParams | None = None, **options: Any
    ) -> FireworksInferenceEngine:
        return FireworksInferenceEngine(
            ModelParams(model_name=model), remote_params=remote, **options
        )

    return make


@pytest.fixture
def engine(make_engine: EngineFactory) -> FireworksInferenceEngine:
    """An engine with no options."""
    return make_engine()


@pytest.fixture(params=["online", "batch"])
def make(request: pytest.FixtureRequest, make_engine: EngineFactory) -> EngineFactory:
    """Makes engines in each mode, in turn."""

    def make(**options: Any) -> FireworksInferenceEngine:
        return make_engine(
            **{"mode": request.param, "poll_interval": 0.02, "row_retries": 0, **options}
        )

    return make


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"
