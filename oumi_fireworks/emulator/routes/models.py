"""Models and accounts: which there are, on both planes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from oumi_fireworks.emulator.routes.request import answer, emulator_of
from oumi_fireworks.emulator.state.clock import timestamp
from oumi_fireworks.emulator.wire.errors import Code, gateway_error
from oumi_fireworks.emulator.wire.listing import masked, page_of
from oumi_fireworks.emulator.wire.names import no_access
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.rows import CONTEXT_LENGTH

CATALOGUE = (
    "accounts/fireworks/models/toy-chat",
    "accounts/fireworks/models/toy-embedding",
    "accounts/fireworks/models/toy-vision",
    "accounts/fireworks/models/llama-v3p1-8b-instruct",
)
"""What is listed; any other well-formed name is answered for too, unless a list was given."""

_EMBEDDING = "embedding"
_VISION = "vision"
_MISSING = "does-not-exist"

_SINCE = 1_767_225_600
"""When every model was made, in seconds since 1970: the beginning of 2026."""


def is_served(emulator: EmulatorState, model: str) -> bool:
    """Return whether there is a model of this name."""
    base = model.partition("#")[0]
    if emulator.settings.models:
        return base in emulator.settings.models
    return _MISSING not in base


def check_served(emulator: EmulatorState, model: str) -> None:
    """Refuse a job for a model that there is not.

    Raises:
        ApiError: 404.
    """
    if not is_served(emulator, model):
        raise gateway_error(Code.NOT_FOUND, f"model {model[:120]!r} not found")


async def list_served_models(request: web.Request) -> web.Response:
    """Answer `GET /inference/v1/models`: the OpenAI shape."""
    emulator = emulator_of(request)
    data = [
        {
            "id": name,
            "object": "model",
            "owned_by": name.split("/")[1],
            "created": _SINCE,
            "kind": "EMBEDDING_MODEL" if _EMBEDDING in name else "HF_BASE_MODEL",
            "supports_chat": _EMBEDDING not in name,
            "supports_image_input": _VISION in name,
            "supports_tools": _EMBEDDING not in name,
            "context_length": CONTEXT_LENGTH,
        }
        for name in emulator.settings.models or CATALOGUE
    ]
    return answer({"object": "list", "data": data})


async def list_models(request: web.Request) -> web.Response:
    """Answer `GET /v1/accounts/{owner}/models`."""
    emulator = emulator_of(request)
    items = _models_of(emulator, request.match_info["owner"])
    page = page_of(items, request.query, "name", emulator.store.secret)
    return answer({"models": page.items, "nextPageToken": page.next_token, "totalSize": page.total})


async def get_model(request: web.Request) -> web.Response:
    """Answer `GET /v1/accounts/{owner}/models/{id}`."""
    emulator = emulator_of(request)
    owner, model_id = request.match_info["owner"], request.match_info["id"]
    name = f"accounts/{owner}/models/{model_id}"
    for model in _models_of(emulator, owner):
        if model["name"] == name:
            return answer(masked(model, request.query))
    raise gateway_error(Code.NOT_FOUND, f"model {name} not found")


async def list_accounts(request: web.Request) -> web.Response:
    """Answer `GET /v1/accounts`: the one account that the key may use."""
    emulator = emulator_of(request)
    if emulator.suspend_state != "UNSUSPENDED":
        error = gateway_error(Code.FAILED_PRECONDITION, "the account is suspended")
        error.status = 412
        raise error
    page = page_of([_account_json(emulator)], request.query, "name", emulator.store.secret)
    return answer(
        {"accounts": page.items, "nextPageToken": page.next_token, "totalSize": page.total}
    )


async def get_account(request: web.Request) -> web.Response:
    """Answer `GET /v1/accounts/{account}`."""
    return answer(masked(_account_json(emulator_of(request)), request.query))


def _models_of(emulator: EmulatorState, owner: str) -> list[dict[str, Any]]:
    if owner not in (emulator.settings.account, "fireworks"):
        raise no_access(owner)
    prefix = f"accounts/{owner}/"
    names = emulator.settings.models or CATALOGUE
    return [
        {
            "name": name,
            "displayName": name.rpartition("/")[2],
            "createTime": timestamp(_SINCE * 1_000_000_000),
            "kind": "EMBEDDING_MODEL" if _EMBEDDING in name else "HF_BASE_MODEL",
            "state": "READY",
            "public": owner == "fireworks",
            "contextLength": CONTEXT_LENGTH,
            "supportsImageInput": _VISION in name,
            "supportsTools": _EMBEDDING not in name,
            "supportsServerless": True,
        }
        for name in names
        if name.startswith(prefix)
    ]


def _account_json(emulator: EmulatorState) -> dict[str, Any]:
    account = emulator.settings.account
    return {
        "name": f"accounts/{account}",
        "displayName": "Emulator",
        "email": "toy@emulator.invalid",
        "createTime": timestamp(_SINCE * 1_000_000_000),
        "state": "READY",
        "suspendState": emulator.suspend_state,
        "status": {"code": "OK", "message": ""},
    }
