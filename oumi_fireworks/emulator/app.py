"""The web application: routes, and what happens around every request."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from oumi_fireworks.emulator.faults.fault_injection import Dropped, inject, response_of
from oumi_fireworks.emulator.faults.redelivery import DELIVERY_HEADER, HIDDEN
from oumi_fireworks.emulator.routes import chat, control, datasets, jobs, models, storage
from oumi_fireworks.emulator.wire.errors import (
    ApiError,
    Code,
    error_for_path,
    gateway_error,
    inference_error,
)
from oumi_fireworks.emulator.work.emulator_state import STATE, EmulatorState, RecordedRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

_LARGEST_BODY = 64 << 20
"""Bytes."""


def make_app(emulator: EmulatorState) -> web.Application:
    """Return the application that answers for this emulator."""
    app = web.Application(
        middlewares=[_recorded, _faulty, _authorized], client_max_size=_LARGEST_BODY
    )
    app[STATE] = emulator
    app.router.add_routes([*routes(), *control.routes()])
    return app


def routes() -> list[web.RouteDef]:
    """Return the routes that the service has."""
    account = "/v1/accounts/{account}"
    dataset = account + "/datasets/{id:[^/:]+}"
    job = account + "/batchInferenceJobs/{id:[^/:]+}"
    stored = "/storage/{account}/datasets/{id}/{file}"
    return [
        web.get("/v1/accounts", models.list_accounts, allow_head=False),
        web.get(account, models.get_account, allow_head=False),
        web.get("/v1/accounts/{owner}/models", models.list_models, allow_head=False),
        web.get("/v1/accounts/{owner}/models/{id}", models.get_model, allow_head=False),
        web.post(account + "/datasets", datasets.create_dataset),
        web.get(account + "/datasets", datasets.list_datasets, allow_head=False),
        web.get(dataset, datasets.get_dataset, allow_head=False),
        web.patch(dataset, datasets.update_dataset),
        web.delete(dataset, datasets.delete_dataset),
        web.post(dataset + ":upload", datasets.upload_dataset),
        web.post(dataset + ":getUploadEndpoint", datasets.upload_endpoint),
        web.post(dataset + ":validateUpload", datasets.validate_upload),
        web.get(dataset + ":getDownloadEndpoint", datasets.download_endpoint, allow_head=False),
        web.post(account + "/batchInferenceJobs", jobs.create_job),
        web.get(account + "/batchInferenceJobs", jobs.list_jobs, allow_head=False),
        web.get(job, jobs.get_job, allow_head=False),
        web.delete(job, jobs.delete_job),
        web.post(job + ":cancel", jobs.cancel_job),
        web.put(stored, storage.put_object),
        web.get(stored, storage.get_object, allow_head=False),
        web.post("/inference/v1/chat/completions", chat.chat_completions),
        web.post("/v1/chat/completions", chat.chat_completions),
        web.get("/inference/v1/models", models.list_served_models, allow_head=False),
        web.get("/v1/models", models.list_served_models, allow_head=False),
    ]


@web.middleware
async def _recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers, and remember the request and how it went."""
    emulator = request.app[STATE]
    when, began = emulator.clock.now(), time.perf_counter()
    end: Dropped | None = None
    try:
        response = await _answered(request, handler)
        status = _status_of(request, response)
    except Dropped as dropped:
        response, status, end = web.Response(status=500), 0, dropped
    if HIDDEN in request:
        return response
    emulator.requests.append(
        RecordedRequest(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            status=status,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.get("body"),
            time=when,
        )
    )
    took = (time.perf_counter() - began) * 1000
    _log.info("%s %s %s %.0f ms", request.method, request.path, status or "dropped", took)
    if end is not None:  # only now, so that whoever notices it finds the request recorded
        end.hang_up(request)
    return response


def _status_of(request: web.Request, response: web.StreamResponse) -> int:
    """Return the status as sent: a file's response learns of its range while it is sent."""
    ranged = isinstance(response, web.FileResponse) and "Range" in request.headers
    return 206 if ranged else response.status


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return response_of(error)
    except Dropped:
        raise
    except web.HTTPMethodNotAllowed:
        return response_of(gateway_error(Code.UNIMPLEMENTED, "Method Not Allowed"))
    except web.HTTPNotFound:
        return response_of(gateway_error(Code.NOT_FOUND, "Not Found"))
    except web.HTTPException as error:
        return response_of(error_for_path(request.path, error.status, error.reason))
    except (ConnectionError, web.RequestPayloadError) as error:  # the client went away
        raise Dropped from error
    except Exception:
        _log.exception("%s %s broke down", request.method, request.path)
        return response_of(error_for_path(request.path, 500, "internal error, see the log"))


@web.middleware
async def _faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a fault strike, if one is due."""
    if request.path.startswith("/emulator/"):
        return await handler(request)
    emulator = request.app[STATE]
    if request.headers.get(DELIVERY_HEADER) == emulator.store.secret:
        return await handler(request)
    fault = emulator.faults.strike(request.method, request.path)
    if fault is None:
        return await handler(request)
    return await inject(fault, request, handler, secret=emulator.store.secret)


@web.middleware
async def _authorized(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the API key; storage has signatures instead."""
    if request.path.startswith("/storage/"):
        return await handler(request)
    given = request.headers.get("Authorization")
    if given is None:
        raise inference_error(401, "No API key was provided.", "UNAUTHORIZED")
    wanted = f"Bearer {request.app[STATE].settings.key}"
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode()):
        raise inference_error(403, "The API key you provided is invalid.", "UNAUTHORIZED")
    return await handler(request)
