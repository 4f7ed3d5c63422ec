"""What cannot work is refused before anything is uploaded, with words that say what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from oumi.core.configs import ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault
from tests.engine.conftest import MODEL, EngineFactory, questions

Use = Callable[[FireworksInferenceEngine], object]

WAYS: dict[str, Use] = {
    "infer_batch": lambda engine: engine.infer_batch(questions(1)),
    "infer": lambda engine: engine.infer(questions(1)),
}


@pytest.fixture(params=WAYS)
def use(request: pytest.FixtureRequest) -> Use:
    return WAYS[request.param]


def assert_untouched(emulator: Emulator) -> None:
    assert not emulator.datasets
    assert not emulator.jobs
    assert not emulator.requests_to("POST", "chat/completions")


def test_a_missing_key_is_named_with_its_variable(
    make_engine: EngineFactory, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    monkeypatch.delenv("FIREWORKS_API_KEY")
    with pytest.raises(ValueError, match="FIREWORKS_API_KEY"):
        use(make_engine())
    assert_untouched(at_emulator)


def test_another_variable_for_the_key_is_named(
    make_engine: EngineFactory, at_emulator: Emulator, use: Use
) -> None:
    remote = RemoteParams(api_key_env_varname="MY_FIREWORKS_KEY")
    with pytest.raises(ValueError, match="MY_FIREWORKS_KEY"):
        use(make_engine(remote=remote))
    assert_untouched(at_emulator)


@pytest.mark.parametrize("model", ["llama-v3p1-8b-instruct", "meta-llama/Llama-3.1-8B", "", "a b"])
def test_a_model_that_is_no_resource_name(
    make_engine: EngineFactory, at_emulator: Emulator, use: Use, model: str
) -> None:
    with pytest.raises(ValueError, match="accounts/fireworks/models/"):
        use(make_engine(model))
    assert_untouched(at_emulator)


@pytest.mark.parametrize(
    "model",
    [MODEL, f"{MODEL}#accounts/acme/deployments/abc123", "accounts/acme/models/tuned"],
)
def test_models_and_deployments_are_accepted(
    make_engine: EngineFactory, at_emulator: Emulator, model: str
) -> None:
    make_engine(model).infer_batch(questions(1))
    assert at_emulator.jobs[0].model == model


def test_plain_http_to_another_machine(
    make_engine: EngineFactory, at_emulator: Emulator, use: Use
) -> None:
    remote = RemoteParams(api_url="http://fireworks.example/inference/v1/chat/completions")
    with pytest.raises(ValueError, match="plain http"):
        use(make_engine(remote=remote))
    assert_untouched(at_emulator)


def test_plain_http_from_the_environment(
    make_engine: EngineFactory, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    monkeypatch.setenv("FIREWORKS_BASE_URL", "http://fireworks.example")
    with pytest.raises(ValueError, match="FIREWORKS_BASE_URL"):
        use(make_engine())


def test_no_conversations(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="no conversations"):
        engine.infer_batch([])
    with pytest.raises(ValueError, match="no conversations"):
        engine.infer_batch(iter([]))
    assert_untouched(at_emulator)


def test_a_conversation_without_messages(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    with pytest.raises(ValueError, match="Conversation 2 has no messages"):
        engine.infer_batch([*questions(2), Conversation(messages=[])])
    assert_untouched(at_emulator)


def test_a_key_with_several_accounts_names_the_choices(
    make_engine: EngineFactory, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIREWORKS_ACCOUNT_ID")
    accounts = {"accounts": [{"name": "accounts/beta"}, {"name": "accounts/alpha"}]}
    at_emulator.faults.add(Fault(path="/v1/accounts$", kind="garbage", body=accounts, times=None))
    with pytest.raises(ValueError, match=r"alpha, beta.*FIREWORKS_ACCOUNT_ID"):
        make_engine().infer_batch(questions(1))
    assert_untouched(at_emulator)


def test_a_key_with_one_account_needs_no_account(
    make_engine: EngineFactory, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIREWORKS_ACCOUNT_ID")
    make_engine().infer_batch(questions(1))
    assert len(at_emulator.jobs) == 1


def test_a_wrong_key_keeps_the_words_of_the_service(
    make_engine: EngineFactory, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    monkeypatch.setenv("FIREWORKS_API_KEY", "fw_wrong_and_secret")
    with pytest.raises(RuntimeError, match="The API key you provided is invalid") as caught:
        use(make_engine())
    assert "fw_wrong_and_secret" not in str(caught.value)
    assert_untouched_but_for_chat(at_emulator)


def assert_untouched_but_for_chat(emulator: Emulator) -> None:
    assert not emulator.datasets
    assert not emulator.jobs


def test_a_typo_in_an_option_names_the_nearest() -> None:
    model = ModelParams(model_name=MODEL, model_kwargs={"fireworks": {"mod": "batch"}})
    with pytest.raises(ValueError, match="Did you mean 'mode'"):
        FireworksInferenceEngine(model)
    with pytest.raises(ValueError, match="Did you mean 'batch'"):
        FireworksInferenceEngine(ModelParams(model_name=MODEL), mode="batsh")


def test_options_come_from_yaml_and_from_keywords() -> None:
    model = ModelParams(
        model_name=MODEL, model_kwargs={"fireworks": {"mode": "batch", "row_retries": 3}}
    )
    engine = FireworksInferenceEngine(model, row_retries=2)
    assert engine.options.mode == "batch"
    assert engine.options.row_retries == 2
