"""Guided decoding as a response format."""

from __future__ import annotations

import copy
import json
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from oumi.core.configs import GenerationParams, GuidedDecodingParams, ModelParams, RemoteParams
from oumi.inference import RemoteInferenceEngine

from tests.conversion.support import HELLO, Planet, body_of


class Box(pydantic.BaseModel):
    size: int


def response_format(**guided: Any) -> Any:
    generation = GenerationParams(guided_decoding=GuidedDecodingParams(**guided))
    return body_of(generation=generation).get("response_format")


class TestGuidedDecoding:
    SCHEMA = Planet.model_json_schema()

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            (Planet, "Planet"),
            (SCHEMA, "Response"),
            (json.dumps(SCHEMA), "Response"),
            (OmegaConf.create(SCHEMA), "Response"),
        ],
    )
    def test_a_json_schema_may_come_in_every_shape(self, source: Any, name: str) -> None:
        assert response_format(json=source) == {
            "type": "json_schema",
            "json_schema": {"name": name, "schema": self.SCHEMA},
        }

    def test_strict_closes_every_object_as_oumi_does(self) -> None:
        untouched = copy.deepcopy(self.SCHEMA)
        stock = RemoteInferenceEngine(ModelParams(model_name="m"), remote_params=RemoteParams())
        expected = stock._convert_conversation_to_api_input(
            HELLO,
            GenerationParams(guided_decoding=GuidedDecodingParams(json=Planet, strict=True)),
            ModelParams(model_name="m"),
        )["response_format"]
        assert response_format(json=Planet, strict=True) == expected
        response_format(json=self.SCHEMA, strict=True)
        assert untouched == self.SCHEMA

    def test_strict_closes_schemas_and_not_what_looks_like_one(self) -> None:
        looks_like_one = {"type": "object"}
        sent = response_format(
            json={
                "type": ["object", "null"],
                "properties": {"type": {"type": "string"}, "open": {"type": "object"}},
                "anyOf": [{"type": "object", "additionalProperties": True}, True],
                "default": looks_like_one,
                "examples": [looks_like_one],
            },
            strict=True,
        )
        assert sent["json_schema"]["strict"] is True
        assert sent["json_schema"]["schema"] == {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "type": {"type": "string"},
                "open": {"type": "object", "additionalProperties": False},
            },
            "anyOf": [{"type": "object", "additionalProperties": True}, True],
            "default": looks_like_one,
            "examples": [looks_like_one],
        }

    def test_the_name_has_only_characters_that_the_api_allows(self) -> None:
        odd = pydantic.create_model("Box[int] größe" + "e" * 99, __base__=Box)
        name = response_format(json=odd)["json_schema"]["name"]
        assert name == "Box_int__gr__e".ljust(64, "e")

    def test_choices_are_a_grammar(self) -> None:
        assert response_format(choice=["yes", 'say "no"\n']) == {
            "type": "grammar",
            "grammar": r'root ::= "yes" | "say \"no\"\n"',
        }

    @given(choices=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
    @settings(deadline=None)
    def test_the_grammar_says_exactly_the_choices(self, choices: list[str]) -> None:
        assert sentences(response_format(choice=choices)["grammar"]) == choices

    def test_nothing_asked_for_is_nothing_sent(self) -> None:
        assert response_format() is None

    @pytest.mark.parametrize(
        ("guided", "expected"),
        [
            ({"regex": "[0-9]+"}, "Fireworks has no regular expressions.*type: grammar"),
            ({"choice": []}, "choice must be a list of texts that are not empty"),
            ({"choice": ["a", ""]}, "choice must be a list of texts that are not empty"),
            ({"json": "{"}, "guided_decoding.json is not valid JSON: Expecting"),
            ({"json": "[1]"}, "guided_decoding.json must be a JSON schema"),
            ({"json": 5}, "guided_decoding.json must be a JSON schema"),
            ({"json": Box(size=1)}, "guided_decoding.json must be a JSON schema"),
        ],
    )
    def test_what_cannot_be_is_refused_before_any_request(
        self, guided: dict[str, Any], expected: str
    ) -> None:
        with pytest.raises(ValueError, match=expected):
            response_format(**guided)


def sentences(grammar: str) -> list[str]:
    """What a grammar of quoted alternatives can say, read as the GBNF guide has it."""
    rest = grammar.removeprefix("root ::= ")
    found = []
    while rest:
        assert rest[0] == '"'
        said, at = "", 1
        while rest[at] != '"':
            if rest[at] != "\\":
                assert rest[at] >= " "
                said, at = said + rest[at], at + 1
            elif rest[at + 1] == "x":
                said, at = said + chr(int(rest[at + 2 : at + 4], 16)), at + 4
            else:
                said = said + {"n": "\n", "r": "\r", "t": "\t"}.get(rest[at + 1], rest[at + 1])
                at += 2
        found.append(said)
        rest = rest[at + 1 :].removeprefix(" | ")
    return found
