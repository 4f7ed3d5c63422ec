"""Keys and URLs that cannot work, met by an engine online."""

from __future__ import annotations

import socket
import time

import pytest
from oumi.core.configs import RemoteParams

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import ConfigurationError, UnreachableError
from tests.engine.conftest import EngineFactory, questions


@pytest.mark.parametrize("as_option", [True, False], ids=["option", "variable"])
def test_a_key_with_a_line_break_at_its_end_works(
    make_engine: EngineFactory,
    at_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    as_option: bool,
) -> None:
    key = f" {at_emulator.api_key}\r\n"
    if as_option:
        remote = RemoteParams(api_key=key)
        monkeypatch.delenv("FIREWORKS_API_KEY")
    else:
        remote = None
        monkeypatch.setenv("FIREWORKS_API_KEY", key)
    answers = make_engine(remote=remote).infer(questions(2))
    assert len(answers) == 2
    sent = {each.headers["authorization"] for each in at_emulator.requests_to("POST")}
    assert sent == {f"Bearer {at_emulator.api_key}"}


def test_quotes_around_a_key_are_named_before_anything_is_sent(
    make_engine: EngineFactory, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREWORKS_API_KEY", f'"{at_emulator.api_key}"')
    with pytest.raises(ConfigurationError, match="has quotes around it"):
        make_engine().infer(questions(1))
    assert at_emulator.requests == []


def test_a_url_where_nothing_listens_ends_the_run_within_seconds(
    make_engine: EngineFactory,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/inference/v1/chat/completions"
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match=r"nothing answers there.*api_url"):
            make_engine(remote=RemoteParams(api_url=url)).infer(questions(3))
    assert time.monotonic() - begun < 8
