"""Every JSON Schema that this package publishes, made from the code that it describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict, override

from oumi_fireworks.cli import json_outputs
from oumi_fireworks.cli.json_outputs import (
    BatchOutput,
    CacheClearOutput,
    CacheStatsOutput,
    CleanOutput,
    DoctorOutput,
    FurtherBatchOutput,
    ModelOutput,
    RetryOutput,
    SurveyOutput,
)
from oumi_fireworks.engine.config_fields import InferenceConfig
from oumi_fireworks.events import event
from oumi_fireworks.params import options_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class JSONSchema(NamedTuple):
    """A schema that can be asked for.

    Attributes:
        describes: What follows it, a line.
        make: Makes it.
    """

    describes: str
    make: Callable[[], dict[str, Any]]


class _Plain(GenerateJsonSchema):
    """Without a title for each field: it would be its name, in capitals."""

    @override
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _printed(shape: object) -> Callable[[], dict[str, Any]]:
    return lambda: _schema_of_type(shape)


def _schema_of_type(shape: object) -> dict[str, Any]:
    with_docstrings = with_config(ConfigDict(use_attribute_docstrings=True))
    for each in (*vars(json_outputs).values(), *vars(event).values()):
        if is_typeddict(each):
            with_docstrings(each)
    return TypeAdapter(shape).json_schema(schema_generator=_Plain)


def config_schema() -> dict[str, Any]:
    """Return the schema of a configuration file for ``oumi infer`` and the batch commands.

    The fields are Oumi's; the options of this engine stand where they belong.
    """
    found = _schema_of_type(InferenceConfig)
    for each in (found, *found["$defs"].values()):
        if each["type"] == "object":
            each["additionalProperties"] = False
            _write_as_yaml_does(each)
    model = found["$defs"]["ModelParams"]["properties"]
    model["model_kwargs"]["properties"] = {"fireworks": options_schema()}
    return found


def _write_as_yaml_does(described: dict[str, Any]) -> None:
    """Let ``model.model_name`` have no default: OmegaConf's mark for a missing value is none."""
    for each in described["properties"].values():
        if each.get("default") == "???":
            del each["default"]


SCHEMAS = {
    "config": JSONSchema("a YAML file for `oumi infer` and the batch commands", config_schema),
    "options": JSONSchema("`model.model_kwargs.fireworks` in such a file", options_schema),
    "events": JSONSchema("a line of the file of `--events`", _printed(event.Event)),
    "doctor": JSONSchema("`oumi-fireworks doctor --json`", _printed(DoctorOutput)),
    "models": JSONSchema("`oumi-fireworks models --json`", _printed(list[ModelOutput])),
    "batch-cancel": JSONSchema("`oumi-fireworks batch cancel --json`", _printed(list[BatchOutput])),
    "batch-check": JSONSchema("`oumi-fireworks batch check --json`", _printed(SurveyOutput)),
    "batch-clean": JSONSchema("`oumi-fireworks batch clean --json`", _printed(CleanOutput)),
    "batch-list": JSONSchema("`oumi-fireworks batch list --json`", _printed(list[BatchOutput])),
    "batch-retry": JSONSchema(
        "`oumi-fireworks batch retry --json`", _printed(RetryOutput | FurtherBatchOutput)
    ),
    "batch-status": JSONSchema("`oumi-fireworks batch status --json`", _printed(BatchOutput)),
    "cache-clear": JSONSchema("`oumi-fireworks cache clear --json`", _printed(CacheClearOutput)),
    "cache-stats": JSONSchema("`oumi-fireworks cache stats --json`", _printed(CacheStatsOutput)),
}
"""By the name that they are asked for."""


def schema_of(name: str) -> dict[str, Any]:
    """Return a schema as a document of its own.

    Args:
        name: One of :data:`SCHEMAS`.
    """
    return {"$schema": _DIALECT, **SCHEMAS[name].make(), "title": f"oumi-fireworks: {name}"}
