"""What every handler needs: the emulator, the body of the request, and a JSON answer."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.visibility import moment_shown
from oumi_fireworks.emulator.faults.weather import Lag
from oumi_fireworks.emulator.state.clock import Moment
from oumi_fireworks.emulator.wire.errors import Code, gateway_error
from oumi_fireworks.emulator.wire.names import check_id, no_access
from oumi_fireworks.emulator.wire.protojson import Spec, read_message
from oumi_fireworks.emulator.work.emulator_state import STATE, EmulatorState

KEPT_BODY = 1 << 14
"""Bytes up to which the bodies of requests are kept for `Emulator.requests`."""

_LARGEST_MESSAGE = 4 << 20
"""Bytes."""


def emulator_of(request: web.Request) -> EmulatorState:
    """Return the emulator that a request came to.

    Raises:
        ApiError: 403 if the request's path names another account.
    """
    emulator = request.app[STATE]
    account = request.match_info.get("account")
    if account is not None and account != emulator.settings.account:
        raise no_access(account)
    return emulator


def id_in(request: web.Request, kind: str) -> str:
    """Return the resource id in a request's path.

    Raises:
        ApiError: 400 if it is not well-formed.
    """
    return check_id(request.match_info["id"], kind)


async def message_in(request: web.Request, spec: Spec) -> dict[str, Any]:
    """Return the message in a request's body.

    Raises:
        ApiError: 400 if it is not as `spec` says.
    """
    if (request.content_length or 0) > _LARGEST_MESSAGE:
        raise gateway_error(Code.RESOURCE_EXHAUSTED, "the request is too large")
    body = await request.read()
    message = read_message(body, spec)
    if len(body) <= KEPT_BODY:
        request["body"] = orjson.loads(body) if body.strip() else {}
    return message


def refuse_without_retention(emulator: EmulatorState) -> None:
    """Refuse to keep data for an account that is under Zero Data Retention.

    The guide says that such accounts reject uploads and batch jobs, but not with which status.

    Raises:
        ApiError: 400.
    """
    if emulator.settings.zero_data_retention:
        raise gateway_error(
            Code.FAILED_PRECONDITION,
            "the account is under Zero Data Retention: datasets and batch jobs are not available",
        )


def no_body_in(request: web.Request) -> None:
    """Refuse a body where there must not be one.

    Raises:
        ApiError: 400.
    """
    if request.content_length or request.headers.get("Transfer-Encoding"):
        raise gateway_error(Code.INVALID_ARGUMENT, "a GET request must not have a body")


def shown_moment(
    request: web.Request, emulator: EmulatorState, what: str, lag: Lag
) -> Moment | None:
    """Return the moment that a request is shown, None for the present."""
    return moment_shown(request, what, lag, emulator.clock, emulator.reads, emulator.rng)


def answer(value: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(value), content_type="application/json", headers=headers)
