"""Chat completions: `/inference/v1/chat/completions`."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.routes.models import is_served
from oumi_fireworks.emulator.routes.request import KEPT_BODY, answer, emulator_of
from oumi_fireworks.emulator.routes.streaming import send_stream
from oumi_fireworks.emulator.toy.markers import (
    Prompt,
    messages_in,
    prompt_in,
    seconds_in,
    status_in,
)
from oumi_fireworks.emulator.toy.model import FAILURES, complete, prompt_usage
from oumi_fireworks.emulator.wire.chat_request import BadRequest, check_chat_body
from oumi_fireworks.emulator.wire.errors import ApiError, inference_error
from oumi_fireworks.emulator.wire.names import is_model
from oumi_fireworks.emulator.work.emulator_state import EmulatorState

_REFUSALS = {
    402: ("PAYMENT_REQUIRED", "The account has unpaid bills. Add a payment method to go on."),
    412: ("PRECONDITION_FAILED", "The account is suspended. Contact support to go on."),
}

_LIMITED = {
    "object": "error",
    "type": "invalid_request_error",
    "code": "invalid_request_error",
    "message": "rate limit exceeded, please try again later",
}
"""The body of a 429. Live, August 2026."""


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer `POST .../chat/completions`."""
    emulator = emulator_of(request)
    _check_standing(emulator)
    headers = _admit(emulator)
    body = await _body_of(request)
    model = _check(emulator, body)
    if emulator.upstream is not None:
        await _wait(emulator, 0.0)
        return await emulator.upstream.forward(request, body, headers)
    prompt = prompt_in(messages_in(body))
    given = prompt_usage(body)
    limiter = emulator.adaptive_limiter
    if limiter is not None:
        now = emulator.clock.now()
        verdict = limiter.admit(model, given.tokens, given.cached, now)
        if not verdict.allowed:
            raise ApiError(429, orjson.dumps(_LIMITED), headers=verdict.headers)
    generated = 0
    try:
        await _wait(emulator, seconds_in(prompt.markers.get("slow", "")))
        _fail_as_marked(emulator, prompt)
        asked = emulator.flaky.for_this_try(prompt)
        completion = _completion(body, asked, model, int(emulator.clock.now()))
        generated = completion["usage"]["completion_tokens"]
        emulator.online = emulator.online.plus(completion["usage"])
    finally:
        if limiter is not None:
            headers.update(limiter.finish(model, generated, emulator.clock.now()))
    headers["fireworks-prompt-tokens"] = str(given.tokens)
    headers["fireworks-cached-prompt-tokens"] = str(given.cached)
    if body.get("stream"):
        return await send_stream(request, completion, body, headers)
    return answer(completion, headers)


def _completion(body: dict[str, Any], prompt: Prompt, model: str, created: int) -> dict[str, Any]:
    try:
        return complete(body, prompt, model, created)
    except FAILURES as error:
        raise inference_error(400, f"the toy model cannot do this: {error}") from None


def _check_standing(emulator: EmulatorState) -> None:
    """Refuse the requests of an account that has not paid or is suspended."""
    suspended = 412 if emulator.suspend_state != "UNSUSPENDED" else None
    status = emulator.refusal or suspended
    if status is not None:
        code, message = _REFUSALS[status]
        raise inference_error(status, message, code)


def _admit(emulator: EmulatorState) -> dict[str, str]:
    """Let the plain rate limit decide; return headers for the answer."""
    if emulator.rate_limit is None:
        return {}
    verdict = emulator.limiter.admit(emulator.rate_limit, emulator.clock.now())
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


def _check(emulator: EmulatorState, body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str):
        raise inference_error(400, "model is required", param="model")
    if emulator.upstream is None and not (is_model(model) and is_served(emulator, model)):
        raise _no_model(model)
    _check_length(body, emulator.settings.max_unstreamed_tokens)
    if emulator.upstream is None and _asks_for_grammar(body):
        raise inference_error(400, "the toy model knows no grammars", param="response_format")
    return model


def _check_length(body: dict[str, Any], most: int) -> None:
    """Refuse a long answer that is not streamed; live, several clients, 2026."""
    for name in ("max_tokens", "max_completion_tokens"):
        if (body.get(name) or 0) > most and not body.get("stream"):
            message = f"Requests with {name} > {most} must have stream=true"
            error = {"message": message, "param": name, "code": "BAD_REQUEST"}
            raise ApiError(400, orjson.dumps({"error": error}))


def _asks_for_grammar(body: dict[str, Any]) -> bool:
    form = body.get("response_format") or {}
    return form.get("type") == "grammar" or body.get("guided_grammar") is not None


def _no_model(model: str) -> ApiError:
    return inference_error(
        404, f"Model not found, inaccessible, and/or not deployed: {model[:120]}", "NOT_FOUND"
    )


async def _wait(emulator: EmulatorState, seconds: float) -> None:
    if emulator.latency is not None:
        seconds += emulator.latency.draw(emulator.rng)
    if seconds:
        await asyncio.sleep(seconds)


def _fail_as_marked(emulator: EmulatorState, prompt: Prompt) -> None:
    if "fail" in prompt.markers:
        status = status_in(prompt.markers["fail"])
        raise inference_error(status, "the prompt asked for a failure", "TOY_FAILURE")
    if emulator.flaky.fails(prompt):
        raise inference_error(503, "the prompt asked to fail at first", "TOY_FAILURE")
