"""Guided decoding → ``response_format``.

Fireworks takes JSON schemas and GBNF grammars: https://docs.fireworks.ai/structured-responses/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from oumi_fireworks.conversion.settings import GuidedDecoding
from oumi_fireworks.grammar import ended
from oumi_fireworks.request_fields import plain

_NAMED_SCHEMAS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
_SCHEMAS = frozenset(
    {"items", "prefixItems", "contains", "additionalProperties", "anyOf", "allOf", "oneOf"}
    | {"not", "if", "then", "else"}
)

_GBNF_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), 0x7F)} | {
    ord("\n"): r"\n",
    ord("\r"): r"\r",
    ord("\t"): r"\t",
    ord('"'): r"\"",
    ord("\\"): r"\\",
}


def response_format(guided: GuidedDecoding | None) -> dict[str, Any] | None:
    """Say in Fireworks' terms what the answer must look like.

    A JSON schema becomes ``json_schema``; a list of choices becomes a grammar whose only
    sentences are the choices.

    Raises:
        ValueError: A regular expression is asked for, or the schema or the choices are unusable.
    """
    if guided is None:
        return None
    if guided.json is not None:
        return {"type": "json_schema", "json_schema": _json_schema(guided.json, guided.strict)}
    if guided.choice is not None:
        return {"type": "grammar", "grammar": _choice_grammar(guided.choice)}
    if guided.regex is not None:
        raise ValueError(
            "guided_decoding.regex: Fireworks has no regular expressions. Use guided_decoding.json "
            "or guided_decoding.choice, or write a GBNF grammar in the fireworks options: "
            """extra_body: {response_format: {type: grammar, grammar: 'root ::= [0-9]+'}}."""
        )
    return None


def _json_schema(source: Any, strict: bool) -> dict[str, Any]:
    name, schema = _named_schema(source)
    # The API allows no other characters, and Python names generics `Box[int]`.
    body: dict[str, Any] = {"name": re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:64]}
    body["schema"] = _closed(schema) if strict else schema
    if strict:
        body["strict"] = True
    return body


def _named_schema(source: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(source, type) and hasattr(source, "model_json_schema"):
        return source.__name__, source.model_json_schema()
    schema = source
    if isinstance(source, str):
        try:
            schema = json.loads(source)
        except ValueError as error:
            raise ValueError(f"guided_decoding.json is not valid JSON: {ended(error)}") from error
    if not isinstance(schema, Mapping):
        raise ValueError(
            "guided_decoding.json must be a JSON schema (an object, as a mapping or as text) or a "
            f"Pydantic model class, got {source!r:.200}."
        )
    return "Response", {str(name): plain(value) for name, value in schema.items()}


def _closed(schema: Any) -> Any:
    """Copy a schema so that its objects allow no properties but their own, as strict mode wants.

    Only what is itself a schema is touched: a default or an example may look like one.
    """
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema  # true and false are schemas too
    closed = dict(schema)
    for keyword, value in schema.items():
        if keyword in _SCHEMAS:
            closed[keyword] = _closed(value)
        elif keyword in _NAMED_SCHEMAS:
            closed[keyword] = {name: _closed(each) for name, each in value.items()}
    types = schema.get("type")
    if types == "object" or (isinstance(types, list) and "object" in types):
        closed.setdefault("additionalProperties", False)
    return closed


def _choice_grammar(choices: Sequence[str]) -> str:
    if not choices or not all(isinstance(choice, str) and choice for choice in choices):
        raise ValueError(
            "guided_decoding.choice must be a list of texts that are not empty, "
            f"got {choices!r:.200}."
        )
    return "root ::= " + " | ".join(f'"{choice.translate(_GBNF_ESCAPES)}"' for choice in choices)
