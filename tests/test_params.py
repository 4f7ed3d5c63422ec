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

from oumi_fireworks.errors import OptionError
from oumi_fireworks.params import REQUEST_FIELDS, FireworksParams, check_extra_body, options_table

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
        batch_min_rows: 100
        max_shard_bytes: 1_000_000
        max_shard_rows: 1000
        upload_concurrency: 2
        row_retries: 0
        on_failed_rows: keep
        resend_refused: true
        delete_datasets: true
        run_dir: runs/one
        display_name: Nightly
        precision: FP8
        """
    )
    assert list(given_options) == NAMES, "this test should set every option"
    params = FireworksParams.from_dict(given_options)
    assert dataclasses.asdict(params) == OmegaConf.to_container(given_options, resolve=True)
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
        ("row_retries", False, "a whole number, 0 or more, got False"),
        ("delete_datasets", "yes", "true or false, got 'yes'"),
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
        ({"top_kk": 40}, "extra_body.top_kk is not a field .* Did you mean 'top_k'?"),
        ({"stop_token_ids": [1]}, "extra_body.stop_token_ids is not a field"),
        ({5: 5}, "extra_body.5 is not a field"),
        ({"model": "m"}, "extra_body.model cannot be set: the model is model.model_name"),
        ({"messages": []}, "extra_body.messages cannot be set"),
        ({"stream": True}, "extra_body.stream cannot be true"),
        ({"stream_options": {}}, "extra_body.stream_options cannot be set"),
        ({"n": 2}, "extra_body.n cannot be 2: Oumi keeps one answer"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens and max_completion_tokens"),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, "thinking and reasoning_e"),
        ({"top_k": 101}, "top_k: Fireworks takes numbers from 0 to 100, got 101"),
        ({"typical_p": "high"}, "typical_p: Fireworks takes numbers from 0 to 1, got 'high'"),
        (
            {"temperature": float("nan")},
            "temperature: Fireworks takes numbers from 0 to 2, got nan",
        ),
        ({"stop": ["a"] * 5}, "stop: Fireworks takes 4 sequences at most, got 5"),
    ],
)
def test_extra_body_refuses_what_cannot_work(extra_body: dict[Any, Any], expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        check_extra_body(extra_body)
    with pytest.raises(OptionError, match=expected):
        FireworksParams.from_dict({"extra_body": extra_body})


def test_the_request_fields_are_those_of_the_official_client() -> None:
    from fireworks.types.chat import completion_create_params as sdk

    fields = set(get_type_hints(sdk.CompletionCreateParamsNonStreaming))
    # The client has stream_options only where it streams.
    assert fields | {"stream_options"} == REQUEST_FIELDS


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
