"""Streams over HTTP: who is streamed, what breaks off, and what a stream may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import ConnectionFailedError, InvalidRequestError, MalformedAnswerError
from oumi_fireworks.online import Completion, Pump, PumpSettings
from tests.online.chunks import chunks_of, encode
from tests.online.conftest import CHAT, Drive, Harvest, request, settings_for, text_of
from tests.online.servers import COMPLETION, answer, read_request, serving

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello " * 20},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43},
}
STREAM = encode(chunks_of(ANSWER))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

Send = Callable[[asyncio.StreamWriter, dict[str, Any]], Awaitable[None]]


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def whole(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
    writer.write(HEAD + piece(STREAM[:100]))
    await writer.drain()
    writer.write(piece(STREAM[100:]) + piece(b""))


def outcomes(send: Send, rows: list[dict[str, Any]], **settings: Any) -> tuple[Harvest, list[Any]]:
    """Send rows to a server that answers so; return the outcomes and what was asked."""
    asked: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = orjson.loads(await read_request(reader))
            asked.append(body)
            await send(writer, body)
            await writer.drain()

    async def run() -> Harvest:
        harvest = Harvest()
        async with serving(serve) as url:
            defaults = {"url": url, "workers": 1, "max_retries": 1, "backoff_base": 0.001}
            pump = Pump(PumpSettings(**{**defaults, **settings}))
            harvest.report = await pump.run(enumerate(rows), harvest.take)
            await pump.close()
        return harvest

    return asyncio.run(run()), asked


LONG = request("x", max_tokens=8192)


@pytest.mark.parametrize(
    ("fields", "stream", "streamed"),
    [
        ({"max_tokens": 8192}, "auto", True),
        ({"max_completion_tokens": 8192}, "auto", True),
        ({"max_tokens": 4096, "stream": False}, "auto", False),
        ({}, "auto", False),
        ({}, "always", True),
        ({"max_tokens": 8192}, "never", False),
    ],
)
def test_long_answers_are_streamed(
    drive: Drive, emulator: Emulator, fields: dict[str, Any], stream: str, streamed: bool
) -> None:
    harvest = Harvest()

    async def run() -> None:
        pump = Pump(settings_for(emulator, stream=stream))
        rows = [(row, request(f"[[echo]] row {row}", **fields)) for row in range(5)]
        await pump.run(rows, harvest.take)
        await pump.close()

    asyncio.run(run())
    bodies = [each.body for each in emulator.requests_to("POST", CHAT)]
    assert {bool(body and body.get("stream")) for body in bodies} == {streamed}
    if streamed or "max_tokens" not in fields or fields["max_tokens"] <= 4096:
        assert harvest.texts() == [f"[[echo]] row {row}" for row in range(5)]


def test_a_streamed_answer_is_what_it_would_have_been(emulator: Emulator) -> None:
    def ask(stream: str) -> Completion:
        harvest = Harvest()

        async def run() -> None:
            pump = Pump(settings_for(emulator, stream=stream))
            await pump.run([(0, request("Tell me about rivers."))], harvest.take)
            await pump.close()

        asyncio.run(run())
        outcome = harvest.outcomes[0]
        assert isinstance(outcome, dict)
        return {**outcome, "id": None, "created": None}

    assert ask("always") == ask("never")


def test_a_connection_serves_the_next_stream_too() -> None:
    connections: set[int] = set()

    async def send(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        connections.add(id(writer))
        await whole(writer, body)

    harvest, asked = outcomes(send, [LONG] * 5)
    assert [text_of(harvest.outcomes[row]) for row in range(5)] == ["hello " * 20] * 5
    assert len(asked) == 5
    assert len(connections) == 1


def test_a_server_that_does_not_stream_is_understood() -> None:
    async def send(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
        writer.write(answer(COMPLETION))

    harvest, _ = outcomes(send, [LONG])
    assert text_of(harvest.outcomes[0]) == "hello"


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (STREAM[:-20], MalformedAnswerError),
        (STREAM.replace(b'"finish_reason":"stop"', b'"finish_reason":null'), MalformedAnswerError),
        (b'data: {"error": {"message": "the model has crashed"}}\n\n', MalformedAnswerError),
    ],
    ids=["no [DONE]", "no finish reason", "an error"],
)
def test_a_stream_that_does_not_end_as_it_should_is_asked_for_again(
    ending: bytes, kind: type[Exception]
) -> None:
    async def send(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
        writer.write(HEAD + piece(ending) + piece(b""))

    harvest, asked = outcomes(send, [LONG])
    assert isinstance(harvest.outcomes[0], kind)
    assert len(asked) == 2


def test_a_stream_whose_connection_breaks_is_asked_for_again() -> None:
    async def send(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
        writer.write(HEAD + piece(STREAM[:-100]))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    harvest, asked = outcomes(send, [LONG])
    assert isinstance(harvest.outcomes[0], ConnectionFailedError)
    assert len(asked) == 2


@pytest.mark.parametrize("interval", [None, 0.05], ids=["silent", "dripping"])
def test_a_stream_has_limits_of_time(interval: float | None) -> None:
    async def send(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
        writer.write(HEAD + piece(STREAM[:-100]))
        while interval is not None:
            await asyncio.sleep(interval)
            writer.write(piece(b": ping\n\n"))
            await writer.drain()
        await asyncio.Event().wait()

    async def give_up() -> Harvest:
        return await asyncio.to_thread(
            lambda: outcomes(send, [LONG], timeout=0.1, max_retries=0)[0]
        )

    harvest = asyncio.run(asyncio.wait_for(give_up(), 20))
    assert isinstance(harvest.outcomes[0], ConnectionFailedError)
    assert "timed out" in str(harvest.outcomes[0]).lower()


def test_a_stream_that_is_done_but_has_no_end_is_an_answer() -> None:
    async def send(writer: asyncio.StreamWriter, _body: dict[str, Any]) -> None:
        writer.write(HEAD + piece(STREAM))
        await writer.drain()
        await asyncio.Event().wait()

    harvest, _ = outcomes(send, [LONG], timeout=30.0)
    assert text_of(harvest.outcomes[0]) == "hello " * 20
    assert harvest.report is not None
    assert harvest.report.seconds < 10


REFUSAL = {
    "error": {
        "message": "Requests with max_tokens > 1024 must have stream=true",
        "param": "max_tokens",
        "code": "BAD_REQUEST",
    }
}


async def with_a_lower_bound(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    if body.get("stream"):
        await whole(writer, body)
    elif body.get("max_tokens", 0) > 1024:
        writer.write(answer(orjson.dumps(REFUSAL), "400 Bad Request"))
    else:
        writer.write(answer(COMPLETION))


def test_another_bound_is_learned_from_one_refusal() -> None:
    rows = [request("x", max_tokens=limit) for limit in (2000, 1500, 1000)]
    harvest, asked = outcomes(with_a_lower_bound, rows, max_retries=0)
    assert not harvest.errors()
    assert [(body["max_tokens"], bool(body.get("stream"))) for body in asked] == [
        (2000, False),
        (2000, True),
        (1500, True),
        (1000, False),
    ]


def test_where_streaming_is_forbidden_the_refusal_says_so() -> None:
    rows = [request("x", max_tokens=2000)]
    harvest, asked = outcomes(with_a_lower_bound, rows, stream="never")
    error = harvest.outcomes[0]
    assert isinstance(error, InvalidRequestError)
    assert "must have stream=true" in str(error)
    assert "option stream" in str(error)
    assert len(asked) == 1
