"""Any conversation with any settings becomes a request that Fireworks takes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from oumi.core.configs import GenerationParams, GuidedDecodingParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type

from oumi_fireworks.conversion import check_conversation
from oumi_fireworks.request_fields import RULES
from tests.conversion.support import TOOL_TALK, WEATHER_TOOL, Planet, body_of

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
