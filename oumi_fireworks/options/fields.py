"""Options as fields of a dataclass, each with its default, its rule and its documentation."""

from __future__ import annotations

from dataclasses import MISSING, Field, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from oumi_fireworks.errors import OptionError
from oumi_fireworks.request_fields import Rule, did_you_mean, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def option(default: T, rule: Rule, doc: str) -> T:
    """Declare a field with its rule and its documentation (first line: the summary)."""
    metadata = {"rule": rule, "doc": doc}
    if isinstance(default, dict):
        return cast(T, field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


def default_of(option: Field[Any]) -> Any:
    """Return what an option is where it is not set."""
    return option.default if option.default_factory is MISSING else option.default_factory()


def check_option(name: str, value: object, rule: Rule) -> None:
    """Refuse a value that an option does not take.

    Args:
        name: What the user calls the option.
        value: The value.
        rule: What it has to be.

    Raises:
        OptionError: It is not that.
    """
    if not rule.holds(value):
        hint = did_you_mean(value, rule.choices) if isinstance(value, str) else ""
        raise OptionError(
            f"fireworks option {name}: expected {rule.expected}, got {shown(value)}.{hint}"
        )


def schema_of(options: type[DataclassInstance]) -> dict[str, object]:
    """Return the JSON Schema of a mapping of options; it has no other ones."""
    properties = {
        each.name: {
            **each.metadata["rule"].schema,
            "default": default_of(each),
            "description": " ".join(each.metadata["doc"].split()),
        }
        for each in fields(options)
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}
