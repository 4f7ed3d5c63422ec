"""Parameters, tools and further fields of a request."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import pytest
from omegaconf import OmegaConf
from oumi.core.configs import GenerationParams, GuidedDecodingParams, ModelParams, RemoteParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.inference import RemoteInferenceEngine

from oumi_fireworks.conversion import SUPPORTED_PARAMS, RequestTemplate, prompt_of
from oumi_fireworks.errors import OptionError
from tests.conversion.support import HELLO, TOOL_TALK, WEATHER_TOOL, assert_fireworks_takes, body_of


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
        body = template.body(prompt_of(TOOL_TALK))
        assert_fireworks_takes(body)
        assert (body["tool_choice"], body["parallel_tool_calls"]) == (choice, False)
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(
            template.body(prompt_of(HELLO))
        )

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
