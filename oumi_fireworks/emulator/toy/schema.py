"""The toy model's structured output: an instance for a JSON schema, the same one every time."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

Schema = Any
_DEEP = 6
"""From this depth on, whatever may be left out is left out, so that recursion ends."""

_TOO_DEEP = 60
"""A depth that only endless recursion reaches."""

_LONGEST = 100_000
"""The greatest least length that a schema can ask for."""

_FLAT = ("null", "string", "integer", "number", "boolean")

_FORMATS = {
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "date-time": "2026-01-02T03:04:05Z",
    "duration": "P1D",
    "email": "toy@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/toy",
    "uri-reference": "/toy",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/toy",
    "regex": "toy",
}


def instance_of(schema: Schema, seed: int = 0) -> Any:
    """Return a JSON value that is valid for `schema`.

    References within the schema, enumerations, combinations, nested and recursive objects,
    arrays and all bounds are honoured; `pattern`, `not` and `if` are not.

    Args:
        schema: A JSON schema.
        seed: Picks among the values that an enumeration or a combination allows.
    """
    return _Maker(schema, seed).make(schema, 0)


class _Maker:
    def __init__(self, root: Schema, seed: int) -> None:
        self._root = root
        self._seed = seed

    def make(self, schema: Schema, depth: int) -> Any:
        if depth > _TOO_DEEP:
            raise ValueError("no finite value is valid for the schema")
        schema = self._resolve(schema, depth)
        if not isinstance(schema, dict):
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._pick(schema["enum"])
        kind = self._kind(schema, depth)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return self._seed % 2 == 0
            case _:
                return None

    def _pick(self, options: list[Any]) -> Any:
        return options[self._seed % len(options)]

    def _resolve(self, schema: Schema, depth: int) -> Schema:
        """Follow references and fold combinations into one plain schema."""
        for _ in range(100):
            if not isinstance(schema, dict):
                return schema
            rest = dict(schema)
            if "$ref" in rest:
                schema = _merge(rest, self._target(rest.pop("$ref")), without="$ref")
            elif rest.get("allOf"):
                first, *others = rest["allOf"]
                rest["allOf"] = others
                schema = _merge(rest, self._resolve(first, depth))
            elif rest.get("anyOf"):
                schema = _merge(rest, self._choose(rest["anyOf"], depth), without="anyOf")
            elif rest.get("oneOf"):
                schema = _merge(rest, self._choose(rest["oneOf"], depth), without="oneOf")
            else:
                return schema
        raise ValueError("the schema's references go round in a circle")

    def _choose(self, options: list[Schema], depth: int) -> Schema:
        """One of several schemas; in the depths, one that does not go deeper."""
        options = [option for option in options if option is not False]
        flat = [o for o in options if isinstance(o, dict) and o.get("type") in _FLAT]
        if depth >= _DEEP and flat:
            options = flat
        else:
            options = [o for o in options if o != {"type": "null"}] or options
        return self._resolve(self._pick(options), depth)

    def _target(self, reference: object) -> Schema:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise ValueError(
                f"the toy model follows references within the schema only, not {reference}"
            )
        target = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target[int(key)] if isinstance(target, list) else target[key]
        return target

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            if depth >= _DEEP and "null" in kind:
                return "null"
            return str(self._pick([k for k in kind if k != "null"] or kind))
        if isinstance(kind, str):
            return kind
        if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
            return "object"
        if schema.keys() & {"items", "prefixItems", "minItems", "uniqueItems"}:
            return "array"
        if schema.keys() & {
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        }:
            return "number"
        return "string"

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        wanted = required if depth >= _DEEP else [*properties, *required]
        made = {}
        for name in dict.fromkeys(wanted):
            content = properties.get(name, schema.get("additionalProperties", True))
            if content is not False:
                made[name] = self.make(content, depth + 1)
        extra = schema.get("additionalProperties", {})
        for number in range(_length(schema, "minProperties") - len(made)):
            made[f"toy_{number}"] = self.make(extra, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix = schema.get("prefixItems") or []
        items = schema.get("items", True)
        least = _length(schema, "minItems")
        length = max(least, len(prefix) + (0 if depth >= _DEEP or items is False else 1))
        length = min(length, schema.get("maxItems", length))
        made = []
        for index in range(length):
            maker = _Maker(self._root, self._seed + index)
            content = prefix[index] if index < len(prefix) else items
            made.append(maker.make(content, depth + 1))
        return _distinct(made) if schema.get("uniqueItems") else made

    def _string(self, schema: dict[str, Any]) -> str:
        text = _FORMATS.get(schema.get("format", "")) or f"toy {self._seed % 1000}"
        text = text.ljust(_length(schema, "minLength"), "y")
        return text[: schema.get("maxLength", len(text))]

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
        above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
        step = _bound(schema, "multipleOf") or (Fraction(1) if whole else None)
        floor = max((each for each in (low, above) if each is not None), default=None)
        ceiling = min((each for each in (high, below) if each is not None), default=None)
        value = _between(floor, ceiling, Fraction(self._seed % 10))
        if step is not None:
            value = math.ceil(value / step) * step
            if value == above:
                value += step
            if (ceiling is not None and value > ceiling) or value == below:
                value -= step
        return int(value) if value.denominator == 1 else float(value)


def _length(schema: dict[str, Any], name: str) -> int:
    """Return a length that a value must have at least.

    Raises:
        ValueError: If that is more than a toy can carry.
    """
    length = schema.get(name, 0)
    if not isinstance(length, int) or length > _LONGEST:
        raise ValueError(f"{name} must be a whole number of at most {_LONGEST}, not {length!r:.80}")
    return length


def _bound(schema: dict[str, Any], name: str) -> Fraction | None:
    """Return a bound, exactly as it is written."""
    value = schema.get(name)
    return None if value is None else Fraction(str(value))


def _between(floor: Fraction | None, ceiling: Fraction | None, wish: Fraction) -> Fraction:
    """Return a number within the bounds, off them if it can be: the wish, if it lies there."""
    if (floor is None or floor < wish) and (ceiling is None or wish < ceiling):
        return wish
    if floor is None:
        return (ceiling or 0) - Fraction(1)
    if ceiling is None:
        return floor + 1
    return (floor + ceiling) / 2


def _merge(base: dict[str, Any], other: Schema, without: str | None = None) -> dict[str, Any]:
    """Both schemas at once, as far as a toy needs: what they say of an object adds up."""
    merged = {key: value for key, value in base.items() if key != without}
    if not isinstance(other, dict):
        return merged
    for key, value in other.items():
        mine = merged.get(key)
        if key == "properties" and isinstance(mine, dict):
            merged[key] = {**mine, **value}
        elif key in ("required", "allOf") and isinstance(mine, list):
            merged[key] = [*mine, *value]
        else:
            merged[key] = value
    return merged


def _distinct(values: list[Any]) -> list[Any]:
    """Make the values of an array differ where the toy made them alike."""
    made: list[Any] = []
    for value in values:
        while value in made:
            if isinstance(value, str):
                value += "y"
            elif isinstance(value, int | float) and not isinstance(value, bool):
                value += 1
            else:
                return made
        made.append(value)
    return made
