"""What `infer` does before anything is sent: the same as Oumi's own engines, in less time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oumi.core.configs import InferenceConfig, ModelParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.inference import RemoteInferenceEngine

from oumi_fireworks import FireworksInferenceEngine

ENGINE = FireworksInferenceEngine(ModelParams(model_name="accounts/fireworks/models/toy-chat"))

TEXTS = st.text(max_size=20)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=TEXTS
    | st.lists(st.builds(ContentItem, type=st.just(Type.TEXT), content=TEXTS), max_size=2),
)
CONVERSATIONS = st.lists(
    st.builds(
        Conversation,
        messages=st.lists(MESSAGES, max_size=3),
        conversation_id=st.none() | st.text(max_size=1),
        metadata=st.dictionaries(TEXTS, TEXTS, max_size=1),
    ),
    max_size=4,
)


def prepared(
    kind: type[RemoteInferenceEngine], rows: list[Conversation], config: InferenceConfig | None
) -> tuple[list[Conversation], list[Conversation], str] | str:
    """Return rows, those that remain and the scratch file; or what is wrong."""
    rows = [row.model_copy(deep=True) for row in rows]
    try:
        run = kind._prepare_inference_run(ENGINE, rows, config)
    except ValueError as error:
        return str(error)
    assert run.conversations is rows
    assert run.inference_config is config
    assert run.completed_from_scratch == []
    output = config.output_path if config else None
    return rows, run.remaining, ENGINE._get_scratch_filepath(output)


@given(rows=CONVERSATIONS, has_output=st.booleans())
def test_rows_get_the_ids_that_oumi_gives(rows: list[Conversation], has_output: bool) -> None:
    config = InferenceConfig(output_path="nowhere/out.jsonl") if has_output else None
    theirs = prepared(RemoteInferenceEngine, rows, config)
    ours = prepared(FireworksInferenceEngine, rows, config)
    if isinstance(theirs, str) or isinstance(ours, str):
        assert ours == theirs
        return
    assert ours[:2] == theirs[:2]
    assert (ours[2] == theirs[2]) is has_output  # without an output each call has one of its own


@pytest.mark.parametrize("has_input_path", [True, False])
def test_input_is_given_once(tmp_path: Path, has_input_path: bool) -> None:
    config = InferenceConfig(input_path=str(tmp_path / "in.jsonl")) if has_input_path else None
    rows = [Conversation(messages=[])] if has_input_path else None
    with pytest.raises(ValueError, match="input"):
        ENGINE.infer(rows, config)
