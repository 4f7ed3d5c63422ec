"""Answers over HTTP that are not strictly right, and answers all the same."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.online import Pump, PumpSettings
from tests.online.conftest import Harvest, request, text_of
from tests.online.servers import answer, read_request, serving

ODD = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "%b"}, %b}]}'


@pytest.mark.parametrize(
    ("content", "beside", "text"),
    [
        (rb"an emoji cut in half: \ud83d", b'"index": 0', "an emoji cut in half: �"),
        (b"a stray byte: \xe2\x82", b'"index": 0', "a stray byte: �"),
        (b"ok", b'"logprobs": {"content": [{"token": "a", "logprob": -Infinity}]}', "ok"),
        (b"ok", b'"logprobs": {"content": [{"token": "a", "logprob": NaN}]}', "ok"),
    ],
    ids=["lone surrogate", "stray byte", "-Infinity", "NaN"],
)
def test_an_answer_that_was_paid_for_is_kept(content: bytes, beside: bytes, text: str) -> None:
    async def run() -> Harvest:
        harvest = Harvest()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(ODD % (content, beside)))

        async with serving(serve) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=0))
            await pump.run([(0, request("x"))], harvest.take)
            await pump.close()
        return harvest

    assert text_of(asyncio.run(run()).outcomes[0]) == text
