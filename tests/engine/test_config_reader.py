"""Our reader of Oumi's configuration: the same as Oumi's, field by field, and light."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from oumi.core import configs as oumis
from oumi.core.configs.params.guided_decoding_params import GuidedDecodingParams

from oumi_fireworks.engine import config_fields as ours
from oumi_fireworks.engine.config_reader import read_config
from oumi_fireworks.errors import ConfigurationError

PAIRS: list[tuple[type, type]] = [
    (ours.InferenceConfig, oumis.InferenceConfig),
    (ours.ModelParams, oumis.ModelParams),
    (ours.GenerationParams, oumis.GenerationParams),
    (ours.RemoteParams, oumis.RemoteParams),
    (ours.GuidedDecodingParams, GuidedDecodingParams),
]

GOOD = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy-chat
  model_kwargs:
    fireworks: {mode: batch, extra_body: {user: '${not.resolved}', top_k: 5}}
generation:
  max_new_tokens: "77"
  temperature: 1
  stop_strings: [a, "\\n"]
  logit_bias: {17: 5, "18": -3.5}
  guided_decoding: {json: {type: object, properties: {n: {type: integer}}}, strict: true}
  tool_choice: {type: function, function: {name: look}}
remote_params:
  api_key_env_varname: OTHER_KEY
  requests_per_minute: 100
"""


def a_default(field: Field[Any]) -> object:
    if field.default_factory is MISSING:
        return field.default
    made = field.default_factory()
    return type(made).__name__ if is_dataclass(made) else made


def written(hint: object) -> str:
    """A type as text, with our classes and Oumi's known by their names."""
    return re.sub(r"oumi[\w.]*\.", "", str(hint))


@pytest.mark.parametrize(("our", "oumi"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_class_has_oumis_fields_with_oumis_types_and_defaults(our: type, oumi: type) -> None:
    assert our.__name__ == oumi.__name__
    assert [(each.name, a_default(each)) for each in fields(our)] == [
        (each.name, a_default(each)) for each in fields(oumi)
    ]
    types, oumi_types = get_type_hints(our), get_type_hints(oumi)
    for each in fields(our):
        assert written(types[each.name]) == written(oumi_types[each.name]), each.name


def test_the_engines_are_oumis() -> None:
    assert {each.name: each.value for each in ours.InferenceEngineType} == {
        each.name: each.value for each in oumis.InferenceEngineType
    }


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["generation.max_new_tokens=5", "generation.stop_strings[0]=b", "engine=OPENAI"],
        ["generation.stop_strings.1=c", "generation.seed=12345678901234567890"],
        ["generation.max_new_tokens=${generation.batch_size}", "generation.top_p=1e-1"],
        ["model.model_kwargs.fireworks.extra_body.top_k=9", "model.model_kwargs.new=[1, a]"],
        ["generation.guided_decoding.json={type: string}", "generation.guided_decoding.strict=no"],
        ["input_path=~/in.jsonl", "output_path=a=b.jsonl", "generation.logit_bias={1: 2}"],
        ["generation.tool_choice=required", "remote_params.num_workers=3"],
    ],
)
def test_a_file_with_overrides_is_read_as_oumi_reads_it(
    tmp_path: Path, overrides: list[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    our = asdict(read_config(str(path), overrides))
    oumi = asdict(oumis.InferenceConfig.from_yaml_and_arg_list(str(path), overrides))
    our_engine, oumi_engine = our.pop("engine"), oumi.pop("engine")
    assert our == oumi
    assert our_engine.name == oumi_engine.name


def refusal(path: Path, overrides: list[str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_config(str(path), overrides)
    return str(refused.value)


REFUSED = [
    ("generation.batch_size=0", "Batch size must be positive."),
    ("generation.num_beams=0", "num_beams must be"),
    ("generation.temperature=-1", "Temperature must be"),
    ("generation.top_p=1.5", "top_p must be"),
    ("generation.logit_bias={1.5: 2}", "Logit bias token ID 1.5"),
    ("generation.logit_bias={5: 101}", "Logit bias for token 5"),
    ("generation.min_p=2", "min_p must be"),
    ("generation.prompt_cache_ttl=9h", "prompt_cache_ttl must be"),
    ("generation.guided_decoding.regex=x", "Only one of 'json'"),
    ("remote_params.num_workers=0", "num_workers must be"),
    ("remote_params.requests_per_minute=0", "requests_per_minute must be"),
    ("remote_params.input_tokens_per_minute=0", "input_tokens_per_minute must be"),
    ("remote_params.output_tokens_per_minute=0", "output_tokens_per_minute must be"),
    ("remote_params.politeness_policy=-1", "Politeness policy must be greater"),
    ("remote_params.politeness_policy=.inf", "Politeness policy must be finite."),
    ("remote_params.connection_timeout=-1", "Connection timeout must be"),
    ("remote_params.max_retries=-1", "Max retries must be"),
    ("remote_params.retry_backoff_base=0", "Retry backoff base must be"),
    ("remote_params.retry_backoff_max=0.5", "Retry backoff max must be"),
]


@pytest.mark.parametrize(("override", "message"), REFUSED)
def test_values_that_oumi_refuses_are_refused_in_oumis_words(
    tmp_path: Path, override: str, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    with pytest.raises(Exception) as oumi:  # noqa: PT011  # the text is what is compared
        oumis.InferenceConfig.from_yaml_and_arg_list(str(path), [override])
    assert message in str(oumi.value)
    assert str(oumi.value) in refusal(path, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("genration.max_new_tokens=5", "no setting genration. Did you mean generation?"),
        ("generation.max_new_tokns=5",
         "no setting generation.max_new_tokns. Did you mean generation.max_new_tokens?"),
        ("generation.guided_decoding={jsno: {}}", "Did you mean generation.guided_decoding.json?"),
        ("generation.max_new_tokens=five", "generation.max_new_tokens: Value 'five'"),
        ("generation.max_new_tokens=null", "generation.max_new_tokens: "),
        ("generation=5", "generation must be a mapping of settings, not int."),
        ("engine=FIREWORK", "engine: Invalid value 'FIREWORK', expected one of [NATIVE,"),
        ("engine.name=5", "engine: "),
        ("generation.seed=[", "no YAML"),
        ("generation.stop_strings[7]=x", "generation.stop_strings[7]: "),
        ("model.model_name=???", "model.model_name is missing (???)."),
        ("model.model_name=${nowhere}", "model.model_name: "),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_is_named(tmp_path: Path, override: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    assert message in refusal(path, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "it is a list"),
        ("just text", "no setting just text"),
        ("a: [", "no YAML"),
        ("model: {model_nam: x}", "no setting model.model_nam. Did you mean model.model_name?"),
        ("model: {model_name: x, model_name: y}", "duplicate key model_name"),
        ("model: 5", "ModelParams must be a mapping of settings, not int."),
        ("", "model.model_name is missing"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    said = refusal(path, [])
    assert str(path) in said
    assert message in said


def test_sections_that_are_null_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {model_name: m, model_kwargs: {fireworks: null}}")
    config = read_config(
        str(path),
        [
            "generation.guided_decoding={json: {type: object}}",
            "remote_params.num_workers=5",
            "model.model_kwargs.fireworks.row_retries=2",
            "model.chat_template_kwargs.a=1",
        ],
    )
    assert config.generation.guided_decoding == ours.GuidedDecodingParams(json={"type": "object"})
    assert config.remote_params == ours.RemoteParams(num_workers=5)
    assert config.model.model_kwargs == {"fireworks": {"row_retries": 2}}
    assert config.model.chat_template_kwargs == {"a": 1}


@pytest.mark.parametrize("name", ["nowhere.yaml", "nothing-of-oumi", "."])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigurationError, match="There is no configuration file"):
        read_config(name)


def test_reading_loads_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    code = (
        "import sys\n"
        "from oumi_fireworks.engine.config_reader import read_config\n"
        f"read_config({str(path)!r})\n"
        "assert not {'oumi', 'torch', 'transformers', 'aiohttp'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
