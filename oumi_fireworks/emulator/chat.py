"""Chat completions: `/inference/v1/chat/completions`."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.chat_request import BadRequest, check_chat_body
from oumi_fireworks.emulator.errors import ApiError, inference_error
from oumi_fireworks.emulator.markers import Prompt, prompt_in, seconds_in, status_in
from oumi_fireworks.emulator.models import is_served
from oumi_fireworks.emulator.names import is_model
from oumi_fireworks.emulator.streaming import send_stream
from oumi_fireworks.emulator.toy import FAILURES, complete
from oumi_fireworks.emulator.web import KEPT_BODY, answer, world_of
from oumi_fireworks.emulator.world import World

_REFUSALS = {
    402: ("PAYMENT_REQUIRED", "The account has unpaid bills. Add a payment method to go on."),
    412: ("PRECONDITION_FAILED", "The account is suspended. Contact support to go on."),
}


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """`POST .../chat/completions`."""
    world = world_of(request)
    headers = _admit(world)
    body = await _body_of(request)
    model = _check(world, body)
    if world.upstream is not None:
        await _wait(world, 0.0)
        return await world.upstream.forward(request, body, headers)
    prompt = prompt_in(body["messages"])
    await _wait(world, seconds_in(prompt.markers.get("slow", "")))
    _fail_as_marked(world, prompt)
    try:
        completion = complete(body, prompt, model, int(world.clock.now()))
    except FAILURES as error:
        raise inference_error(400, f"the toy model cannot do this: {error}") from None
    if body.get("stream"):
        return await send_stream(request, completion, body, headers)
    return answer(completion, headers)


def _admit(world: World) -> dict[str, str]:
    """Let the account's standing and the rate limit decide; returns headers for the answer."""
    if world.refusal is not None:
        code, message = _REFUSALS[world.refusal]
        raise inference_error(world.refusal, message, code)
    if world.rate_limit is None:
        return {}
    verdict = world.limiter.admit(world.rate_limit, world.clock.now())
    if not verdict.allowed:
        raise inference_error(
            429,
            "Request rate limit exceeded, please try again later",
            "RATE_LIMIT_EXCEEDED",
            headers=verdict.headers,
        )
    return verdict.headers


async def _body_of(request: web.Request) -> dict[str, Any]:
    data = await request.read()
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise inference_error(400, f"The body is not valid JSON: {error}") from None
    if len(data) <= KEPT_BODY:
        request["body"] = body
    try:
        return check_chat_body(body)
    except BadRequest as error:
        raise inference_error(400, error.message, param=error.param) from None


def _check(world: World, body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str):
        raise inference_error(400, "model is required", param="model")
    if world.upstream is None and not (is_model(model) and is_served(world, model)):
        raise _no_model(model)
    form = body.get("response_format") or {}
    if world.upstream is None and form.get("type") == "grammar":
        raise inference_error(400, "the toy model knows no grammars", param="response_format")
    return model


def _no_model(model: str) -> ApiError:
    return inference_error(
        404, f"Model not found, inaccessible, and/or not deployed: {model[:120]}", "NOT_FOUND"
    )


async def _wait(world: World, seconds: float) -> None:
    if world.latency is not None:
        seconds += world.latency.draw(world.rng)
    if seconds:
        await asyncio.sleep(seconds)


def _fail_as_marked(world: World, prompt: Prompt) -> None:
    if "fail" in prompt.markers:
        status = status_in(prompt.markers["fail"])
        raise inference_error(status, "the prompt asked for a failure", "TOY_FAILURE")
    if world.flaky.fails(prompt):
        raise inference_error(503, "the prompt asked to fail at first", "TOY_FAILURE")
