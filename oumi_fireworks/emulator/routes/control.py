"""The emulator's own routes, under `/emulator`: faults and requests for other processes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, fields
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.faults import Fault
from oumi_fireworks.emulator.faults.weather import Weather, weather_from
from oumi_fireworks.emulator.routes.request import answer, emulator_of
from oumi_fireworks.emulator.settings import SUSPEND_STATES
from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error
from oumi_fireworks.emulator.work.job_override import set_job
from oumi_fireworks.emulator.work.ledger import ledger_of
from oumi_fireworks.emulator.work.limits import Limits, limits_named
from oumi_fireworks.emulator.work.traffic import Latency, RateLimit

_FAULT_FIELDS = tuple(field.name for field in fields(Fault))


def routes() -> list[web.RouteDef]:
    """Return the control routes."""
    return [
        web.get("/emulator/faults", _list_faults, allow_head=False),
        web.post("/emulator/faults", _add_fault),
        web.delete("/emulator/faults", _clear_faults),
        web.get("/emulator/requests", _list_requests, allow_head=False),
        web.delete("/emulator/requests", _clear_requests),
        web.post("/emulator/clock", _advance),
        web.put("/emulator/rate-limit", _set_rate_limit),
        web.put("/emulator/latency", _set_latency),
        web.put("/emulator/refusal", _set_refusal),
        web.put("/emulator/limits", _set_limits),
        web.get("/emulator/weather", _get_weather, allow_head=False),
        web.put("/emulator/weather", _set_weather),
        web.get("/emulator/ledger", _get_ledger, allow_head=False),
        web.post("/emulator/jobs/{id}", _set_job),
    ]


async def _list_faults(request: web.Request) -> web.Response:
    return answer({"faults": [asdict(fault) for fault in emulator_of(request).faults.active]})


async def _add_fault(request: web.Request) -> web.Response:
    given = await _object(request, _FAULT_FIELDS)
    try:
        fault = Fault(**given)
    except (TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    emulator_of(request).faults.add(fault)
    return answer(asdict(fault))


async def _clear_faults(request: web.Request) -> web.Response:
    emulator_of(request).faults.clear()
    return answer({})


async def _list_requests(request: web.Request) -> web.Response:
    emulator = emulator_of(request)
    kept = [asdict(each) for each in list(emulator.requests)]
    for each in kept:
        each["headers"].pop("authorization", None)
    return answer({"requests": kept, "connections": emulator.connections})


async def _clear_requests(request: web.Request) -> web.Response:
    emulator_of(request).requests.clear()
    return answer({})


async def _advance(request: web.Request) -> web.Response:
    given = await _object(request, ("advance",))
    emulator = emulator_of(request)
    try:
        await asyncio.to_thread(emulator.clock.advance, float(given.get("advance", 0)))
    except (TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    return answer({"now": emulator.clock.now()})


async def _set_rate_limit(request: web.Request) -> web.Response:
    given = await _object(request, tuple(field.name for field in fields(RateLimit)))
    try:
        limit = RateLimit(**given) if given else None
    except (TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    emulator_of(request).rate_limit = limit
    return answer(asdict(limit) if limit else {})


async def _set_latency(request: web.Request) -> web.Response:
    given = await _object(request, tuple(field.name for field in fields(Latency)))
    try:
        latency = Latency(**given) if given else None
    except (TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    emulator_of(request).latency = latency
    return answer(asdict(latency) if latency else {})


async def _set_limits(request: web.Request) -> web.Response:
    given = await _object(request, ("preset", *(field.name for field in fields(Limits))))
    try:
        limits = limits_named(given.pop("preset", "fireworks" if given else "none"))
        if given:
            limits = Limits(**{**asdict(limits or Limits()), **given})
    except (TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    emulator_of(request).set_limits(limits)
    return answer(asdict(limits) if limits else {})


async def _set_refusal(request: web.Request) -> web.Response:
    given = await _object(request, ("status", "suspend_state"))
    status, reason = given.get("status"), given.get("suspend_state", "UNSUSPENDED")
    if status not in (None, 402, 412):
        raise _invalid("status must be 402, 412 or null")
    if reason not in SUSPEND_STATES:
        raise _invalid(f"suspend_state must be one of {', '.join(SUSPEND_STATES)}")
    emulator = emulator_of(request)
    emulator.refusal, emulator.suspend_state = status, reason
    return answer({"status": status, "suspend_state": reason})


async def _get_weather(request: web.Request) -> web.Response:
    return answer(asdict(emulator_of(request).weather))


async def _set_weather(request: web.Request) -> web.Response:
    given = await _object(request, tuple(field.name for field in fields(Weather)))
    try:
        weather = weather_from(given)
    except ValueError as error:
        raise _invalid(str(error)) from None
    emulator_of(request).set_weather(weather)
    return answer(asdict(weather))


async def _get_ledger(request: web.Request) -> web.Response:
    ledger = ledger_of(emulator_of(request))
    totals = {name: getattr(ledger, name) for name in ("rows", "input_tokens", "output_tokens")}
    return answer({**asdict(ledger), **totals})


async def _set_job(request: web.Request) -> web.Response:
    given = await _object(request, ("state", "message", "rows"))
    try:
        await asyncio.to_thread(set_job, emulator_of(request), request.match_info["id"], **given)
    except (LookupError, TypeError, ValueError) as error:
        raise _invalid(str(error)) from None
    return answer({})


async def _object(request: web.Request, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        given = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise _invalid(f"not JSON: {error}") from None
    if not isinstance(given, dict) or not given.keys() <= set(names):
        raise _invalid(f"expected an object with no other fields than {', '.join(names)}")
    return given


def _invalid(message: str) -> ApiError:
    return gateway_error(Code.INVALID_ARGUMENT, message)
