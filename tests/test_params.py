"""The options: what they take, what they refuse, and how they say it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from oumi_fireworks.errors import OptionError
from oumi_fireworks.params import FireworksParams, options_table
from oumi_fireworks.request_fields import RULES, check_extra_body, fields_to_send

NAMES = [each.name for each in dataclasses.fields(FireworksParams)]


def test_importing_them_loads_neither_oumi_nor_any_other_package() -> None:
    script = """
import sys
before = set(sys.modules)
import oumi_fireworks.params
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*(loaded - sys.stdlib_module_names - {"oumi_fireworks"}))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


def test_a_tilde_in_run_dir_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert FireworksParams(run_dir="~/runs").run_dir == "/home/somebody/runs"
    assert FireworksParams(run_dir="runs").run_dir == "runs"


def test_without_options_inference_is_online() -> None:
    assert FireworksParams.from_dict({}) == FireworksParams.from_dict(None) == FireworksParams()
    assert FireworksParams().mode == "online"
    assert FireworksParams().extra_body == {}


def test_yaml_sets_every_option() -> None:
    given_options: Any = OmegaConf.create(
        """
        mode: batch
        account_id: my-team
        extra_body: {top_k: 40, metadata: {run: "${account_id}"}, stop: [a]}
        stream: always
        refusal_timeout: 600
        poll_interval: 5
        batch_timeout: 3600.5
        pending_warning: 60
        gone_after: 90
        results_timeout: 900
        batch_window: 48h
        batch_min_rows: 100
        max_shard_bytes: 1_000_000
        max_shard_output_bytes: 2_000_000
        max_shard_rows: 1000
        hoist_system_prompt: off
        upload_concurrency: 2
        row_retries: 0
        key: dag/run
        accept: {finish_reason: [stop], not_empty: true, json: true, schema: true, keep: true}
        on_reject: {max_new_tokens: x2, temperature: +0.2, repair: 1, attempts: 2}
        dedupe: on
        cache: answers
        cache_max_age: 30d
        deadline: null
        then: online
        on_failed_rows: keep
        resend_refused: true
        delete_datasets: true
        run_dir: runs/one
        input: {prompt: "Classify: {text}", system: "@rubric.md"}
        output: {format: parquet, prefix: model_}
        display_name: Nightly
        price: {input: 0.1, output: 0.4}
        cost_in_metadata: true
        max_cost: 25
        precision: FP8
        events: runs/events.jsonl
        notify: ["json://localhost"]
        """
    )
    assert list(given_options) == NAMES, "this test should set every option"
    params = FireworksParams.from_dict(given_options)
    read = OmegaConf.to_container(given_options, resolve=True)
    assert isinstance(read, dict)
    assert dataclasses.asdict(params) == {**read, "hoist_system_prompt": "off", "dedupe": "on"}
    assert params.extra_body == {"top_k": 40, "metadata": {"run": "my-team"}, "stop": ["a"]}
    assert type(params.extra_body) is dict
    assert type(params.extra_body["stop"]) is list


def test_null_is_as_good_as_leaving_an_optional_option_out() -> None:
    params = FireworksParams.from_dict(
        {"account_id": None, "batch_timeout": None, "max_shard_rows": None, "run_dir": None}
    )
    assert params == FireworksParams()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("mode", "batsh", "'online' or 'batch', got 'batsh'. Did you mean 'batch'?"),
        ("mode", None, "'online' or 'batch', got None"),
        ("mode", ["batch"], "'online' or 'batch', got ['batch']"),
        ("account_id", "accounts/my-team", "without 'accounts/', or null, got 'accounts/my-team'"),
        ("account_id", "..", "an account id such as 'my-team'"),
        ("account_id", "", "an account id such as 'my-team'"),
        ("extra_body", "top_k=1", "a mapping of request fields, got 'top_k=1'"),
        ("poll_interval", 0, "a number of seconds above 0, got 0"),
        ("poll_interval", "30s", "a number of seconds above 0, got '30s'"),
        ("poll_interval", True, "a number of seconds above 0, got True"),
        ("poll_interval", float("nan"), "a number of seconds above 0, got nan"),
        ("batch_timeout", float("inf"), "a number of seconds above 0, or null, got inf"),
        ("pending_warning", -1, "a number of seconds above 0, got -1"),
        ("batch_min_rows", -1, "a whole number, 0 or more, got -1"),
        ("max_shard_bytes", 4.8e8, "a whole number, 1 or more, got 480000000.0"),
        ("max_shard_rows", 0, "a whole number, 1 or more, or null, got 0"),
        ("upload_concurrency", 0, "a whole number, 1 or more, got 0"),
        ("deadline", "soon", "a duration such as 30d, 12h or 90m, or null, got 'soon'"),
        ("then", "batch", "'online', or null, got 'batch'"),
        ("cache_max_age", "0d", "a duration such as 30d, 12h or 90m, or null, got '0d'"),
        ("row_retries", False, "a whole number, 0 or more, got False"),
        ("delete_datasets", "yes", "true or false, got 'yes'"),
        ("max_cost", 0, "a number of dollars above 0, or null, got 0"),
        ("price", {"input": 1}, "the dollars for a million tokens, as {input: 0.10, output: 0.40}"),
        ("price", {"input": 1, "output": -1}, "the dollars for a million tokens"),
        ("price", {"input": 1, "output": 1, "cached": 1}, "cached_input if that is another"),
        ("display_name", "", "a text that is not empty, or null, got ''"),
        ("run_dir", 5, "a text that is not empty, or null, got 5"),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, value: Any, expected: str) -> None:
    with pytest.raises(OptionError) as caught:
        FireworksParams.from_dict({option: value})
    assert str(caught.value).startswith(f"fireworks option {option}: expected ")
    assert expected in str(caught.value)
    with pytest.raises(OptionError):
        FireworksParams(**{option: value})


def test_a_long_wrong_value_is_shown_in_part() -> None:
    with pytest.raises(OptionError) as caught:
        FireworksParams.from_dict({"mode": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_an_unknown_option_is_refused_with_the_nearest_and_all_the_others() -> None:
    with pytest.raises(OptionError) as caught:
        FireworksParams.from_dict({"pol_interval": 5, "colour": "red"})
    message = str(caught.value)
    assert "no fireworks option 'pol_interval'. Did you mean 'poll_interval'?" in message
    assert "no fireworks option 'colour'. The options are: " in message
    assert all(name in message for name in NAMES)


def test_the_value_of_an_unknown_option_is_not_shown() -> None:
    with pytest.raises(OptionError) as caught:
        FireworksParams.from_dict({"api_key": "fw_secret"})
    assert "fw_secret" not in str(caught.value)


def test_a_request_field_among_the_options_is_sent_to_extra_body() -> None:
    with pytest.raises(OptionError, match=r"'top_k'.*: write it under extra_body"):
        FireworksParams.from_dict({"top_k": 40})


@pytest.mark.parametrize("raw", ["batch", ["mode"], 3])
def test_options_that_are_no_mapping_are_refused(raw: Any) -> None:
    with pytest.raises(OptionError, match=r"model\.model_kwargs\.fireworks must be a mapping"):
        FireworksParams.from_dict(raw)


def test_options_cannot_be_changed_from_outside() -> None:
    extra_body = {"stop": ["a"]}
    params = FireworksParams(extra_body=extra_body)
    extra_body["stop"].append("b")
    assert params.extra_body == {"stop": ["a"]}
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.mode = "batch"  # type: ignore[misc]


@pytest.mark.parametrize(
    "extra_body",
    [
        {},
        {"top_k": 40, "reasoning_effort": "high"},
        {"stream": False, "n": 1},
        {"max_completion_tokens": 5, "max_tokens": None},
        {"temperature": None},
        {"thinking": {"type": "disabled"}, "reasoning_effort": None},
    ],
)
def test_extra_body_takes_what_fireworks_takes(extra_body: dict[str, Any]) -> None:
    check_extra_body(extra_body)
    assert FireworksParams(extra_body=extra_body).extra_body == extra_body


@pytest.mark.parametrize(
    ("extra_body", "expected"),
    [
        ({"model": "m"}, "extra_body.model cannot be set: the model is model.model_name"),
        ({"messages": []}, "extra_body.messages cannot be set"),
        ({"stream": True}, "extra_body.stream cannot be true: say it with"),
        ({"stream_options": {}}, "extra_body.stream_options cannot be set"),
        ({"n": 2}, "extra_body.n cannot be 2: Oumi keeps one answer"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens and max_completion_tokens"),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, "thinking and reasoning_e"),
        ({"top_k": 101}, "extra_body.top_k: Fireworks takes a whole number from 0 to 100; got 101"),
        ({"top_k": 5.5}, "top_k: Fireworks takes a whole number from 0 to 100; got 5.5"),
        ({"typical_p": "high"}, "typical_p: Fireworks takes a number from 0 to 1; got 'high'"),
        ({"temperature": float("nan")}, "temperature: Fireworks takes .* from 0 to 2; got nan"),
        ({"min_p": True}, "min_p: Fireworks takes a number from 0 to 1; got True"),
        ({"logprobs": 20}, "logprobs: .* true or false, or a whole number from 0 to 5; got 20"),
        ({"max_completion_tokens": "50"}, "max_completion_tokens: .* whole number, 1 or more"),
        ({"max_tokens": 0}, "max_tokens: Fireworks takes a whole number, 1 or more; got 0"),
        ({"thinking": True}, "thinking: Fireworks takes a mapping such as"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "whose budget is 1024 or more"),
        ({"reasoning_effort": "hihg"}, "reasoning_effort: .* Did you mean 'high'?"),
        ({"service_tier": "fast"}, "service_tier: Fireworks takes 'auto' or"),
        ({"tool_choice": "get_weather"}, "tool_choice: Fireworks takes 'none', 'auto'"),
        ({"tool_choice": {"type": "function"}}, "tool_choice: Fireworks takes 'none', 'auto'"),
        ({"logit_bias": {"hello": 1}}, "logit_bias: .* token ids to numbers from -100 to 100"),
        ({"logit_bias": {"5": 101}}, "logit_bias: .* token ids to numbers from -100 to 100"),
        ({"metadata": {"a": 1}}, "metadata: Fireworks takes a mapping of texts"),
        ({"response_format": {"type": "json"}}, "response_format: .* json_object"),
        ({"response_format": {"type": "json_schema"}}, "with a json_schema or a grammar"),
        ({"stop": ["a"] * 5}, "stop: Fireworks takes a text, or a list of 4 texts at most"),
        ({"stop": [1]}, "stop: Fireworks takes a text, or a list of 4 texts at most"),
        ({"guided_json": {"minimum": float("inf")}}, "guided_json.minimum is Infinity"),
        ({"unchecked": 5}, "extra_body.unchecked must be a mapping"),
        ({"unchecked": {"a": float("nan")}}, "extra_body.unchecked.a is NaN"),
    ],
)
def test_extra_body_refuses_what_cannot_work(extra_body: dict[Any, Any], expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        check_extra_body(extra_body)
    with pytest.raises(OptionError, match=expected):
        FireworksParams.from_dict({"extra_body": extra_body})


def test_a_field_that_is_not_known_is_left_out_with_a_warning_unless_the_user_insists() -> None:
    params = FireworksParams(extra_body={"top_kk": 40, 5: 5, "top_k": 1, "unchecked": {"new": 2}})  # type: ignore[dict-item]
    first, second = params.warnings
    assert first.startswith("extra_body.top_kk is left out: it is not known")
    assert "Did you mean 'top_k'? To send it all the same" in first
    assert second.startswith("extra_body.5 is left out")
    assert fields_to_send(params.extra_body) == {"top_k": 1, "new": 2}


def test_the_request_fields_are_those_of_the_official_client_and_of_the_guide() -> None:
    from fireworks.types.chat import completion_create_params as sdk

    fields = set(get_type_hints(sdk.CompletionCreateParamsNonStreaming))
    of_the_guide = {"chat_template_kwargs", "min_tokens", "truncate_prompt_tokens"}
    of_the_guide |= {"guided_json", "guided_grammar", "guided_choice"}
    # The client has stream_options only where it streams.
    assert fields | of_the_guide | {"stream_options"} == set(RULES)


SAMPLES: list[Any] = [
    None, True, 0, 1, 5, 101, -1, 0.5, 5.5, 2**70, "", "low", "auto", "text", [], ["a"], [1], {},
    {"type": "text"}, {"5": 1.0}, {"a": "b"}, {"type": "enabled"}, {"type": "disabled"},
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(RULES))
def test_no_rule_takes_what_the_official_client_s_type_rules_out(name: str) -> None:
    from fireworks.types.chat import completion_create_params as sdk

    hint = get_type_hints(sdk.CompletionCreateParamsNonStreaming).get(name)
    if hint is None or name in ("messages", "tools", "functions", "function_call"):
        return
    official = TypeAdapter(hint)
    for value in SAMPLES:
        if value is None or value in LATER_VALUES.get(name, ()):
            continue
        try:
            official.validate_python(value, strict=isinstance(value, str | bool | int | float))
        except ValidationError:
            assert not RULES[name].holds(value), f"{name}: {value!r}"


LATER_VALUES: dict[str, list[Any]] = {"stream": [True]}
"""What the service takes though this version of the client does not know it."""


def test_the_table_says_the_truth_about_every_option() -> None:
    table = options_table()
    assert [row.name for row in table] == NAMES
    for row in table:
        assert row.default == getattr(FireworksParams(), row.name)
        assert row.summary.endswith(".")
        assert len(row.summary) < 100
    types = {row.name: row.type for row in table}
    assert types["mode"] == "Literal['online', 'batch']"
    assert types["max_shard_rows"] == "int | None"


words = st.text("abc", max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
some_options = st.dictionaries(st.sampled_from([*NAMES, "pol_interval", "top_k"]), json_values)


@given(raw=some_options)
@settings(deadline=None)
def test_options_are_taken_as_they_are_or_refused_and_nothing_else(raw: dict[str, Any]) -> None:
    try:
        params = FireworksParams.from_dict(raw)
    except OptionError as error:
        complaint = str(error)
        assert any(name in complaint for name in raw)
    else:
        assert {name: getattr(params, name) for name in raw} == raw
