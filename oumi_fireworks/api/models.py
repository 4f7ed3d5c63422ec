"""Models that the inference plane offers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oumi_fireworks.api.transport import Transport
from oumi_fireworks.api.values import int_at, objects_at, text_at
from oumi_fireworks.errors import ConfigurationError

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MODEL_NAME = re.compile(rf"accounts/{_ID}/[A-Za-z]+/{_ID}(#accounts/{_ID}/deployments/{_ID})?")


@dataclass(frozen=True)
class Model:
    """A model, as ``GET /inference/v1/models`` lists it.

    Attributes:
        id: Resource name, such as ``accounts/fireworks/models/llama-v3p1-8b-instruct``.
        chat: Whether it answers chat completions.
        images: Whether it sees images.
        tools: Whether it calls tools.
        context_length: In tokens; 0 when the service does not say.
    """

    id: str
    chat: bool = False
    images: bool = False
    tools: bool = False
    context_length: int = 0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Model:
        """Read the service's JSON."""
        return cls(
            id=text_at(raw, "id"),
            chat=bool(raw.get("supports_chat")),
            images=bool(raw.get("supports_image_input")),
            tools=bool(raw.get("supports_tools")),
            context_length=int_at(raw, "context_length"),
        )


@dataclass(frozen=True)
class Models:
    """``/inference/v1/models``."""

    transport: Transport

    async def list(self) -> list[Model]:
        """Fetch all models, in the order of their ids."""
        answer = await self.transport.request("GET", "/inference/v1/models")
        models = [Model.parse(raw) for raw in objects_at(answer, "data")]
        return sorted((model for model in models if model.id), key=lambda model: model.id)


def check_model_name(name: str) -> str:
    """Return the name if it is a resource name that Fireworks could know.

    Raises:
        ConfigurationError: If it is not; the message says what it should look like.
    """
    if _MODEL_NAME.fullmatch(name or ""):
        return name
    guess = f"accounts/fireworks/models/{name.rpartition('/')[2].lower()}" if name else ""
    hint = f" Did you mean {guess}?" if _MODEL_NAME.fullmatch(guess) else ""
    raise ConfigurationError(
        f"{name!r} is not a Fireworks model. It should look like "
        "accounts/fireworks/models/llama-v3p1-8b-instruct, or for a deployment of your own "
        f"<model>#accounts/<account>/deployments/<id>.{hint}"
    )
