"""JSON schemas: compiled once, and their faults in words by which they can be counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oumi_fireworks.accept.answer_json import NoJSONError, parse_json
from oumi_fireworks.errors import OptionError
from oumi_fireworks.grammar import clause, ended, number
from oumi_fireworks.request_fields import plain

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
    from referencing import Resource
    from referencing._core import Resolver

_LONGEST_POINTER, _LONGEST_VALUE = 120, 40
"""Characters of a place in an answer, and of a value of the schema, that a fault names."""

_MOST_FAULTS = 50
"""Faults of one value among which the most telling one is looked for."""

_DURATION = re.compile(r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)")
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE
)
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


class Schema:
    """A JSON schema that answers are held against.

    Args:
        source: A mapping, a JSON text, or a Pydantic class.
        name: What the user calls it.

    Raises:
        OptionError: If it is no JSON schema, or refers to something outside itself: nothing is
            fetched.
    """

    def __init__(self, source: object, name: str) -> None:
        # Takes a tenth of a second to import: only for who has a schema.
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry, Resource
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012

        schema = _as_mapping(source, name)
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            where = "/".join(map(str, error.absolute_path))
            raise OptionError(
                f"{name} is no JSON schema: "
                + ended(
                    f"{clause(f'{error.message:.200}')} (at /{where})" if where else error.message
                )
            ) from None
        except RecursionError:
            raise OptionError(f"{name} is no JSON schema: it is nested too deeply.") from None
        registry: Registry[Any] = Registry()
        try:
            root = Resource.from_contents(schema, default_specification=DRAFT202012)
            _require_references(root, registry.resolver_with_root(root))
        except (Unresolvable, RecursionError, ValueError) as error:
            raise OptionError(
                f"{name} refers to {getattr(error, 'ref', 'something')!r}, which it does not "
                "hold. Put it into the schema: nothing is fetched from elsewhere."
            ) from None
        self._validator: Validator = kind(
            schema, registry=registry, format_checker=_format_checker(kind)
        )

    def fault(self, value: object) -> str | None:
        """Return what is wrong with a value: ``/items/3/price is not a number``; None if nothing.

        The value itself is called "the value".
        """
        from jsonschema.exceptions import best_match

        try:
            found = best_match(islice(self._validator.iter_errors(value), _MOST_FAULTS))
        except RecursionError:
            return "the value is nested too deeply"
        return None if found is None else f"{_place(found.absolute_path)} {_words(found)}"


def _as_mapping(source: object, name: str) -> dict[str, Any]:
    if isinstance(source, type) and hasattr(source, "model_json_schema"):
        source = source.model_json_schema()
    if isinstance(source, str):
        try:
            source = parse_json(source)
        except NoJSONError as error:
            raise OptionError(f"{name} is no JSON: it {ended(error)}") from None
    if not isinstance(source, Mapping):
        raise OptionError(f"{name} must be a JSON schema: an object, got {source!r:.80}.")
    copied = plain(source)
    assert isinstance(copied, dict)
    return copied


def _require_references(resource: Resource[Any], resolver: Resolver[Any]) -> None:
    """Look up every reference, which jsonschema itself does only where a value leads to it."""
    if isinstance(resource.contents, Mapping):
        for keyword in ("$ref", "$dynamicRef"):
            reference = resource.contents.get(keyword)
            if isinstance(reference, str):
                resolver.lookup(reference)
    for inner in resource.subresources():
        _require_references(inner, resolver.in_subresource(inner))


def _place(path: Iterable[str | int]) -> str:
    """Return a JSON pointer (RFC 6901), as far as it is short."""
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    if not pointer:
        return "the value"
    return pointer if len(pointer) <= _LONGEST_POINTER else f"{pointer[:_LONGEST_POINTER]}…"


_BOUNDS = {
    "minimum": "is less than {}",
    "exclusiveMinimum": "is not more than {}",
    "maximum": "is more than {}",
    "exclusiveMaximum": "is not less than {}",
    "multipleOf": "is no multiple of {}",
    "pattern": "does not match the pattern {}",
    "format": "is not of the format {}",
    "const": "is not {}",
    "enum": "is none of {}",
}

_COUNTS = {
    "minLength": ("is shorter than", "character"),
    "maxLength": ("is longer than", "character"),
    "minItems": ("has fewer than", "item"),
    "maxItems": ("has more than", "item"),
    "minProperties": ("has fewer than", "field"),
    "maxProperties": ("has more than", "field"),
}

_OTHERS = {
    "uniqueItems": "has an item twice",
    "contains": "lacks an item that it must contain",
    "anyOf": "fits none of the schemas that it may have (anyOf)",
    "oneOf": "does not fit exactly one of the schemas that it may have (oneOf)",
    "not": "fits a schema that it must not fit (not)",
    "unevaluatedProperties": "has fields that the schema does not have",
    "unevaluatedItems": "has items that the schema does not have",
    "propertyNames": "has a field with a name that the schema rules out",
}


def _words(error: ValidationError) -> str:
    """Say what is wrong, without the values of the answer: many answers share the words."""
    keyword, wanted = str(error.validator), error.validator_value
    exclusive = f"exclusive{keyword.capitalize()}"
    if isinstance(error.schema, Mapping) and error.schema.get(exclusive) is True:
        keyword = exclusive  # as draft 4 says it
    if keyword == "type":
        return f"is not {_kinds(wanted)}"
    if keyword == "required" and isinstance(error.instance, Mapping):
        missing = next((str(name) for name in wanted if name not in error.instance), "a field")
        return f"lacks {missing:.{_LONGEST_VALUE}}"
    if keyword == "additionalProperties" and isinstance(error.instance, Mapping):
        return f"has the field {_extra(error)}, which the schema does not have"
    if keyword in _COUNTS and isinstance(wanted, int):
        more, unit = _COUNTS[keyword]
        return f"{more} {number(wanted, unit)}"
    if keyword in _BOUNDS:
        return _BOUNDS[keyword].format(_short(wanted))
    return _OTHERS.get(keyword, f"breaks the rule {keyword} of the schema")


def _kinds(wanted: object) -> str:
    names = wanted if isinstance(wanted, list) else [wanted]
    return " or ".join(_with_article(str(name)) for name in names)


def _with_article(kind: str) -> str:
    if kind == "null":
        return kind
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _extra(error: ValidationError) -> str:
    known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
    return next((f"{name:.{_LONGEST_VALUE}}" for name in error.instance if name not in known), "?")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _format_checker(kind: type[Validator]) -> FormatChecker:
    """Return what checks formats: those of jsonschema, and the others that answers have.

    jsonschema leaves these to a dozen packages, one of which takes a second to import.
    """
    from jsonschema import FormatChecker

    checker = FormatChecker(())
    checker.checkers = {**_FORMATS, **kind.FORMAT_CHECKER.checkers}
    return checker


def _checks(holds: Any, *errors: type[Exception]) -> tuple[Any, tuple[type[Exception], ...]]:
    return lambda value: not isinstance(value, str) or bool(holds(value)), (ValueError, *errors)


def _is_moment(text: str) -> bool:
    """Tell whether a text is a date-time (RFC 3339, 5.6)."""
    day, _, clock = text.upper().partition("T")
    return date.fromisoformat(day) is not None and len(day) == 10 and _is_time(clock)


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and time.fromisoformat(text.upper()) is not None


def _is_uri(text: str) -> bool:
    return bool(urlsplit(text).scheme) and not re.search(r"[\s<>\"{}|\\^`]", text)


_FORMATS = {
    "date-time": _checks(_is_moment),
    "time": _checks(_is_time),
    "duration": _checks(_DURATION.fullmatch),
    "hostname": _checks(_HOST.fullmatch),
    "uri": _checks(_is_uri),
    "json-pointer": _checks(_POINTER.fullmatch),
}
