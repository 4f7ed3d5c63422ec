"""Request bodies: only what Fireworks takes, everything that Oumi can say."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import orjson
import PIL.Image
import pydantic
import pytest
from fireworks.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from fireworks.types.shared.chat_message import ChatMessage
from fireworks.types.shared_params.chat_completion_tool import ChatCompletionTool
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from oumi.core.configs import GenerationParams, GuidedDecodingParams, ModelParams, RemoteParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.inference import RemoteInferenceEngine
from oumi.utils.conversation_utils import create_list_of_message_json_dicts

from oumi_fireworks.api.request_json import encode_request
from oumi_fireworks.conversion import (
    SUPPORTED_PARAMS,
    Cautions,
    RequestTemplate,
    caution,
    check_conversation,
)
from oumi_fireworks.errors import OptionError
from oumi_fireworks.request_fields import RULES

HELLO = Conversation(messages=[Message(role=Role.USER, content="Hello")])

WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "minLength": 1}},
            "required": ["city"],
        },
    },
}

TOOL_TALK = Conversation(
    messages=[
        Message(role=Role.USER, content="Rain in Paris?"),
        Message(
            role=Role.ASSISTANT,
            reasoning_content="Ask the tool.",
            tool_calls=[
                {  # type: ignore[list-item]
                    "id": "call_1",
                    "index": 0,
                    "type": "function",
                    "function": {"name": "weather", "arguments": {"city": "Paris"}, "x": 1},
                }
            ],
        ),
        Message(role=Role.TOOL, content='{"rain": true}', tool_call_id="call_1"),
        Message(role=Role.ASSISTANT, content="Yes.", tool_calls=[], reasoning_content=""),
        Message(role=Role.USER, content="And tomorrow?"),
    ],
    tools=[WEATHER_TOOL],  # type: ignore[list-item]
)

REQUEST = pydantic.TypeAdapter(CompletionCreateParamsNonStreaming)
TOOL = pydantic.TypeAdapter(ChatCompletionTool)


def assert_fireworks_takes(body: dict[str, Any]) -> None:
    """Hold a body against the types of the official client, which allow nothing else."""
    REQUEST.validate_python({"model": "m", **body}, extra="forbid")
    for message in body["messages"]:
        ChatMessage.model_validate(message, extra="forbid")
    for tool in body.get("tools", ()):
        TOOL.validate_python(tool, extra="forbid")
    json.dumps(body, allow_nan=False)


def body_of(
    conversation: Conversation = HELLO,
    generation: GenerationParams | None = None,
    **options: Any,
) -> dict[str, Any]:
    body = RequestTemplate(generation or GenerationParams(), **options).body(conversation)
    assert_fireworks_takes(body)
    return body


def image(kind: str) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (2, 2), "red").save(out, format=kind)
    return out.getvalue()


def content_of(*items: ContentItem) -> Any:
    conversation = Conversation(messages=[Message(role=Role.USER, content=list(items))])
    return body_of(conversation)["messages"][0]["content"]


class TestGenerationParams:
    def test_what_is_not_set_is_not_sent(self) -> None:
        assert body_of(model="accounts/fireworks/models/m") == {
            "model": "accounts/fireworks/models/m",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1024,
            "temperature": 0.0,
        }

    def test_a_batch_row_has_no_model(self) -> None:
        assert "model" not in body_of()

    @pytest.mark.parametrize(
        ("given_params", "sent"),
        [
            ({"max_new_tokens": 7}, {"max_tokens": 7}),
            ({"temperature": 0.7}, {"temperature": 0.7}),
            ({"seed": 0}, {"seed": 0}),
            ({"top_p": 0.0}, {"top_p": 0.0}),
            ({"frequency_penalty": -0.5}, {"frequency_penalty": -0.5}),
            ({"presence_penalty": 0.5}, {"presence_penalty": 0.5}),
            ({"min_p": 0.1}, {"min_p": 0.1}),
            ({"stop_strings": ["\n", "END"]}, {"stop": ["\n", "END"]}),
            ({"stop_strings": []}, {}),
            ({"logit_bias": {5: -100, "6": 1.5}}, {"logit_bias": {"5": -100, "6": 1.5}}),
            ({"parallel_tool_calls": False, "tool_choice": "auto"}, {}),
        ],
    )
    def test_a_parameter_has_its_field(
        self, given_params: dict[str, Any], sent: dict[str, Any]
    ) -> None:
        body = body_of(generation=GenerationParams(**given_params))
        assert body == body_of() | sent

    def test_a_parameter_that_fireworks_lacks_is_not_sent(self) -> None:
        unsupported = GenerationParams(
            batch_size=3,
            stop_token_ids=[1, 2],
            use_cache=True,
            num_beams=4,
            use_sampling=True,
            skip_special_tokens=False,
            prompt_cache_ttl="5m",
        )
        assert body_of(generation=unsupported) == body_of()

    def test_the_supported_parameters_are_oumis_but_for_the_one_that_fireworks_lacks(self) -> None:
        stock = RemoteInferenceEngine(ModelParams(model_name="m"), remote_params=RemoteParams())
        assert stock.get_supported_params() - {"stop_token_ids"} == SUPPORTED_PARAMS

    @pytest.mark.parametrize(
        ("given_params", "expected"),
        [
            (
                {"temperature": 2.5},
                "generation.temperature: .* number from 0 to 2; got",
            ),
            ({"presence_penalty": -3.0}, "generation.presence_penalty: .* number from -2 to 2"),
            (
                {"stop_strings": list("abcde")},
                "generation.stop_strings: .* 4 texts at most",
            ),
            ({"max_new_tokens": 0}, "generation.max_new_tokens: .* a whole number, 1 or more"),
            ({"max_new_tokens": -1}, "generation.max_new_tokens: .* a whole number, 1 or more"),
            ({"tool_choice": "get_weather"}, "generation.tool_choice: Fireworks takes 'none'"),
            (
                {"guided_decoding": GuidedDecodingParams(json='{"minimum": NaN}')},
                r"generation.guided_decoding.*minimum is NaN",
            ),
        ],
    )
    def test_a_value_that_fireworks_refuses_is_refused_before_any_request(
        self, given_params: dict[str, Any], expected: str
    ) -> None:
        with pytest.raises(ValueError, match=expected):
            RequestTemplate(GenerationParams(**given_params))

    def test_the_user_is_named_when_there_is_one(self) -> None:
        assert body_of(user="u-1")["user"] == "u-1"
        assert "user" not in body_of(user="")


class TestExtraBody:
    def test_it_adds_fields_and_wins(self) -> None:
        body = body_of(extra_body={"top_k": 40, "temperature": 1.0, "user": "b"}, user="a")
        assert body == body_of() | {"top_k": 40, "temperature": 1.0, "user": "b"}

    def test_null_takes_a_field_out(self) -> None:
        body = body_of(extra_body={"temperature": None, "top_k": None})
        assert sorted(body) == ["max_tokens", "messages"]

    def test_the_other_name_of_max_tokens_replaces_it(self) -> None:
        body = body_of(extra_body={"max_completion_tokens": 5})
        assert body["max_completion_tokens"] == 5
        assert "max_tokens" not in body

    def test_it_may_come_from_omegaconf(self) -> None:
        extra_body: Any = OmegaConf.create({"stop": ["a"], "metadata": {"run": "1"}})
        assert body_of(extra_body=extra_body) == body_of() | {
            "stop": ["a"],
            "metadata": {"run": "1"},
        }

    def test_it_is_checked(self) -> None:
        with pytest.raises(OptionError, match="top_k"):
            RequestTemplate(GenerationParams(), extra_body={"top_k": 1000})


class TestTools:
    def test_a_talk_with_tools_is_sent_without_unknown_fields(self) -> None:
        body = body_of(TOOL_TALK)
        assert body["tools"] == [WEATHER_TOOL]
        assert body["messages"] == [
            {"role": "user", "content": "Rain in Paris?"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Ask the tool.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
            {"role": "tool", "content": '{"rain": true}', "tool_call_id": "call_1"},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "And tomorrow?"},
        ]

    def test_a_python_function_is_a_tool(self) -> None:
        def weather(city: str) -> str:
            """The weather somewhere.

            Args:
                city: Where.

            Returns:
                The weather.
            """
            return city

        talk = Conversation(messages=HELLO.messages, tools=[weather])  # type: ignore[list-item]
        (tool,) = body_of(talk)["tools"]
        assert sorted(tool["function"]) == ["description", "name", "parameters"]

    @pytest.mark.parametrize(
        "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
    )
    def test_the_choice_of_tools_goes_where_tools_are(self, choice: Any) -> None:
        template = RequestTemplate(
            GenerationParams(tool_choice=choice, parallel_tool_calls=False), model="m"
        )
        body = template.body(TOOL_TALK)
        assert_fireworks_takes(body)
        assert (body["tool_choice"], body["parallel_tool_calls"]) == (choice, False)
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(template.body(HELLO))

    def test_extra_body_wins_over_the_conversations_tools(self) -> None:
        other = {"type": "function", "function": {"name": "other"}}
        generation = GenerationParams(tool_choice="required")
        for conversation in (HELLO, TOOL_TALK):
            body = body_of(conversation, generation, extra_body={"tools": [other]})
            assert (body["tools"], body["tool_choice"]) == ([other], "required")
        body = body_of(TOOL_TALK, generation, extra_body={"tool_choice": "none"})
        assert (body["tools"], body["tool_choice"]) == ([WEATHER_TOOL], "none")
        body = body_of(TOOL_TALK, generation, extra_body={"tools": None, "tool_choice": "none"})
        assert "tools" not in body
        assert body["tool_choice"] == "none"


class Planet(pydantic.BaseModel):
    class Moon(pydantic.BaseModel):
        name: str

    name: str
    moons: list[Moon]


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


class TestContent:
    def test_plain_text_is_what_oumi_itself_would_send(self) -> None:
        conversation = Conversation(
            messages=[
                Message(role=Role.SYSTEM, content="Be brief. \u2028 é \U0001f680"),
                Message(role=Role.USER, content=""),
                Message(role=Role.USER, content=[ContentItem(type=Type.TEXT, content="One")]),
                Message(
                    role=Role.USER,
                    content=[
                        ContentItem(type=Type.TEXT, content="One"),
                        ContentItem(type=Type.TEXT, content="Two"),
                    ],
                ),
                Message(role=Role.ASSISTANT, content="Three"),
            ]
        )
        assert body_of(conversation)["messages"] == create_list_of_message_json_dicts(
            conversation.messages, group_adjacent_same_role_turns=False
        )

    def test_a_lone_surrogate_goes_through(self) -> None:
        conversation = Conversation(
            messages=[Message(role=Role.USER, content="\ud83d")],
            tools=[{"function": {"name": "f", "description": "\ud83d"}}],  # type: ignore[list-item]
        )
        check_conversation(conversation, 0)
        body = RequestTemplate(GenerationParams()).body(conversation)
        assert body["messages"][0]["content"] == "\ud83d"

    def test_an_image_address_is_sent_as_it_is(self) -> None:
        for url in ("https://example.com/a.png", "data:image/jpeg;base64,AAAA"):
            assert content_of(
                ContentItem(type=Type.TEXT, content="What is this?"),
                ContentItem(type=Type.IMAGE_URL, content=url, binary=b""),
            ) == [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": url}},
            ]

    @pytest.mark.parametrize(
        ("kind", "mime"),
        [
            ("PNG", "image/png"),
            ("JPEG", "image/jpeg"),
            ("GIF", "image/gif"),
            ("BMP", "image/bmp"),
            ("TIFF", "image/tiff"),
            ("PPM", "image/x-portable-pixmap"),
        ],
    )
    def test_image_bytes_are_sent_with_their_own_type(
        self, kind: str, mime: str, tmp_path: Path
    ) -> None:
        data = image(kind)
        path = tmp_path / "image"
        path.write_bytes(data)
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        for item in (
            ContentItem(type=Type.IMAGE_BINARY, binary=data),
            ContentItem(type=Type.IMAGE_PATH, content=str(path)),
            ContentItem(type=Type.IMAGE_PATH, content=f"File://{path}"),
            ContentItem(type=Type.IMAGE_PATH, content="/not/there", binary=data),
            ContentItem(type=Type.IMAGE_URL, content="https://example.com", binary=data),
        ):
            assert content_of(item) == [{"type": "image_url", "image_url": {"url": url}}]

    def test_a_format_that_fireworks_does_not_read_is_sent_as_png(self) -> None:
        item = ContentItem(type=Type.IMAGE_BINARY, binary=image("WEBP"))
        head, _, data = content_of(item)[0]["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        assert PIL.Image.open(io.BytesIO(base64.b64decode(data))).format == "PNG"

    def test_what_is_no_image_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("no image")
        with pytest.raises(ValueError, match=r"notes\.txt' cannot be understood as an image"):
            content_of(ContentItem(type=Type.IMAGE_PATH, content=str(path)))
        with pytest.raises(ValueError, match=r"The bytes of an image cannot be understood"):
            content_of(ContentItem(type=Type.IMAGE_BINARY, binary=b"no image"))
        with pytest.raises(ValueError, match=r"cannot be read: No such file"):
            content_of(ContentItem(type=Type.IMAGE_PATH, content=str(tmp_path / "none.png")))


class TestCheck:
    @pytest.mark.parametrize(
        "conversation",
        [
            HELLO,
            TOOL_TALK,
            Conversation(messages=[Message(role=Role.ASSISTANT, content="To be continued")]),
            Conversation(messages=[Message(role=Role.USER, content="")]),
        ],
    )
    def test_what_fireworks_takes_passes(self, conversation: Conversation) -> None:
        check_conversation(conversation, 0)

    @pytest.mark.parametrize(
        ("messages", "expected"),
        [
            ([], "Conversation 7 has no messages"),
            (
                [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}],
                "Conversation 7, message 1: a tool's answer needs the tool_call_id",
            ),
            ([{"role": "user", "content": []}], "message 0: its content is an empty list"),
            (
                [
                    {
                        "role": "user",
                        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
                    }
                ],
                "message 0: only an assistant may have no content",
            ),
            (
                [
                    {
                        "role": "user",
                        "content": [{"type": "image_path", "content": "/not/there.png"}],
                    }
                ],
                "message 0: there is no image file '/not/there.png'",
            ),
        ],
    )
    def test_what_fireworks_refuses_is_named(
        self, messages: list[dict[str, Any]], expected: str
    ) -> None:
        conversation = Conversation.from_dict({"messages": messages})
        with pytest.raises(ValueError, match=expected):
            check_conversation(conversation, 7)

    def test_the_conversations_own_id_is_named_too(self) -> None:
        conversation = Conversation(conversation_id="abc", messages=[])
        with pytest.raises(ValueError, match=r"Conversation 7 \(id 'abc'\) has no messages"):
            check_conversation(conversation, 7)

    def test_an_image_whose_bytes_are_loaded_needs_no_file(self) -> None:
        item = ContentItem(type=Type.IMAGE_PATH, content="/not/there", binary=image("PNG"))
        check_conversation(Conversation(messages=[Message(role=Role.USER, content=[item])]), 0)


words = st.text("aé\u2028 ", max_size=5)
zero_to_one = st.floats(0, 1)
generations = st.builds(
    GenerationParams,
    max_new_tokens=st.integers(1, 10**6),
    seed=st.none() | st.integers(),
    temperature=st.floats(0, 2),
    top_p=st.none() | zero_to_one,
    frequency_penalty=st.floats(-2, 2),
    presence_penalty=st.floats(-2, 2),
    stop_strings=st.none() | st.lists(words, max_size=3),
    stop_token_ids=st.none() | st.lists(st.integers(0, 9), max_size=3),
    logit_bias=st.dictionaries(st.integers(0, 9) | st.just("10"), st.floats(-100, 100), max_size=3),
    min_p=zero_to_one,
    num_beams=st.integers(1, 3),
    guided_decoding=st.none()
    | st.builds(GuidedDecodingParams, choice=st.lists(st.just("a"), min_size=1, max_size=2))
    | st.builds(GuidedDecodingParams, json=st.just(Planet), strict=st.booleans()),
    tool_choice=st.none() | st.sampled_from(["auto", "none", "required"]),
    parallel_tool_calls=st.booleans(),
)
messages = st.builds(
    Message,
    role=st.sampled_from([Role.SYSTEM, Role.USER, Role.ASSISTANT]),
    content=words
    | st.lists(
        st.builds(ContentItem, type=st.just(Type.TEXT), content=words)
        | st.builds(ContentItem, type=st.just(Type.IMAGE_URL), content=st.just("https://a/b")),
        min_size=1,
        max_size=3,
    ),
    reasoning_content=st.none() | words,
)
conversations = st.just(TOOL_TALK) | st.builds(
    Conversation, messages=st.lists(messages, min_size=1, max_size=3)
)
extra_bodies = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.none() | st.floats(0, 2),
        "max_completion_tokens": st.none() | st.integers(1, 9),
        "top_k": st.none() | st.integers(0, 100),
        "tool_choice": st.none() | st.just("none"),
        "tools": st.none() | st.just([WEATHER_TOOL]),
    },
)


@given(
    conversation=conversations,
    generation=generations,
    extra_body=extra_bodies,
    model=st.none() | st.just("m"),
)
@settings(deadline=None, max_examples=50)
def test_every_body_has_only_fields_that_fireworks_has_and_no_nulls(
    conversation: Conversation,
    generation: GenerationParams,
    extra_body: dict[str, Any],
    model: str | None,
) -> None:
    check_conversation(conversation, 0)
    body = body_of(conversation, generation, extra_body=extra_body, model=model)
    assert body.keys() <= RULES.keys()
    assert None not in body.values()
    assert not {"max_tokens", "max_completion_tokens"} <= body.keys()
    for message in body["messages"]:
        nulls = {name for name, value in message.items() if value is None}
        assert nulls == ({"content"} if "tool_calls" in message else set())


def test_encoding_a_request_leaves_nothing_with_the_conversation() -> None:
    """The encoder keeps the UTF-8 form of a text with it; the caller's would grow by that."""
    texts = [f"{n} ä’\U0001f680 " * 100 for n in range(4)]
    parts = [ContentItem(type=Type.TEXT, content=text) for text in texts[:2]]
    conversation = Conversation(
        messages=[
            Message(role=Role.USER, content=parts),
            Message(role=Role.ASSISTANT, content=texts[2], reasoning_content=texts[3]),
        ]
    )
    before = [sys.getsizeof(text) for text in texts]
    encoded = orjson.dumps(body_of(conversation, GenerationParams()))
    assert all(text.encode() in encoded for text in texts)
    assert [sys.getsizeof(text) for text in texts] == before


def with_image(kind: str, content: str, **fields: Any) -> Conversation:
    items = [{"type": kind, "content": content}]
    return Conversation.from_dict({"messages": [{"role": "user", "content": items}], **fields})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("pictures/a.png", "not from 'pictures/a.png'; for a file, use type image_path"),
        ("/pictures/a.png", "not from '/pictures/a.png'"),
        ("ftp://example.org/a.png", "not from 'ftp://example.org/a.png'"),
        ("file:///a.png", "not from 'file:///a.png'"),
        ("s3://bucket/a.png", "not from 's3://bucket/a.png'"),
        ("C:\\a.png", "for a file, use type image_path"),
        ("https:///a.png", "http and https addresses"),
        ("http://[a.png", "is no address of an image"),
        ("https://example.org/A.SVG?x=1", "Fireworks reads no SVG"),
    ],
)
def test_an_address_that_fireworks_cannot_fetch_is_refused(address: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        check_conversation(with_image("image_url", address))
    assert str(caught.value).startswith("message 0: ")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("data:image/svg+xml,<svg/>", r"cannot be understood as an image\. Fireworks reads"),
        ("data:image/webp;base64,AAAA", "cannot be understood as an image"),
        ("data:image/webp;base64,!", "is not base64"),
    ],
)
def test_data_that_are_no_image_that_fireworks_reads_are_refused(
    address: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        RequestTemplate(GenerationParams()).body(with_image("image_url", address))


def test_more_images_than_fireworks_takes_are_refused(tmp_path: Path) -> None:
    item = {"type": "image_url", "content": "https://example.org/a.png"}
    messages = [{"role": "user", "content": [item] * 16}] * 2
    many = Conversation.from_dict({"messages": messages})
    with pytest.raises(ValueError, match="it has 32 images, and Fireworks takes 30"):
        RequestTemplate(GenerationParams()).body(many)
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(7_600_000))
    with pytest.raises(ValueError, match=r"its images are 10\.1 MB in base64"):
        RequestTemplate(GenerationParams()).body(with_image("image_path", str(large)))


def test_paths_of_images_are_read_as_a_shell_and_a_browser_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in (
        "~/a b.png",
        f"file://{tmp_path}/a%20b.png",
        f"file://localhost{tmp_path}/a%20b.png",
    ):
        conversation = with_image("image_path", path)
        check_conversation(conversation)
        body = RequestTemplate(GenerationParams()).body(conversation)
        assert body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png")


def test_a_tool_that_is_to_be_called_must_be_there() -> None:
    choice: Any = {"type": "function", "function": {"name": "g"}}
    template = RequestTemplate(GenerationParams(tool_choice=choice))
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(ValueError, match="names the tool 'g', and the tools are f"):
        template.body(with_image("image_url", "https://example.org/a.png", tools=tools))
    template.body(with_image("image_url", "https://example.org/a.png"))  # no tools, no choice


def test_a_number_in_a_tool_that_json_does_not_have_is_refused_and_a_large_one_is_sent() -> None:
    def tool(maximum: float) -> list[dict[str, Any]]:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": maximum}}}
        return [{"type": "function", "function": {"name": "f", "parameters": schema}}]

    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"tools\.parameters\.properties\.n\.maximum is"):
            check_conversation(with_image("image_url", "https://e.org/a.png", tools=tool(number)))
    large = with_image("image_url", "https://example.org/a.png", tools=tool(2**70))
    check_conversation(large)
    body = json.loads(encode_request(RequestTemplate(GenerationParams()).body(large)))
    parameters = body["tools"][0]["function"]["parameters"]
    assert parameters["properties"]["n"]["maximum"] == 2**70


def test_a_conversation_that_ends_with_an_answer_is_worth_a_word() -> None:
    asked = [{"role": "user", "content": "hi"}]
    assert caution(Conversation.from_dict({"messages": asked})) is None
    said = caution(
        Conversation.from_dict({"messages": [*asked, {"role": "assistant", "content": ""}]})
    )
    assert said is not None
    cautions = Cautions()
    for line in range(1, 6):
        cautions.add(said, f"in.jsonl:{line}")
    assert cautions.lines() == [f"in.jsonl:1, in.jsonl:2, in.jsonl:3 and 2 more: {said}."]
