"""Models, and what their names look like."""

from __future__ import annotations

import pytest

from oumi_fireworks.api import check_model_name
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import ConfigurationError
from tests.api.support import with_client


def test_models_are_listed_by_id_with_what_they_can_do(emulator: Emulator) -> None:
    models = with_client(emulator, lambda client: client.models.list())
    assert [model.id for model in models] == sorted(model.id for model in models)
    by_name = {model.id.rpartition("/")[2]: model for model in models}
    assert by_name["toy-chat"].chat
    assert by_name["toy-chat"].tools
    assert not by_name["toy-chat"].images
    assert by_name["toy-vision"].images
    assert not by_name["toy-embedding"].chat
    assert by_name["toy-chat"].context_length > 0


def test_what_is_no_model_is_left_out(emulator: Emulator) -> None:
    body = {"data": [{"id": "b"}, {"id": None}, "odd", {"id": "a", "context_length": None}]}
    emulator.faults.add(Fault(kind="garbage", body=body))
    models = with_client(emulator, lambda client: client.models.list())
    assert [(model.id, model.chat, model.context_length) for model in models] == [
        ("a", False, 0),
        ("b", False, 0),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "accounts/acme/models/My_model.2",
        "accounts/fireworks/models/m#accounts/acme/deployments/d1",
        "accounts/acme/deployments/d1",
    ],
)
def test_resource_names_are_models(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("llama-v3p1-8b-instruct", "accounts/fireworks/models/llama-v3p1-8b-instruct"),
        ("meta-llama/Llama-3.1-8B", "accounts/fireworks/models/llama-3.1-8b"),
        ("accounts/fireworks/models/a b", None),
        ("accounts/fireworks/models/m\n", None),
        ("accounts/fireworks/models/m#d1", None),
        ("/etc/passwd/../", None),
        ("", None),
    ],
)
def test_other_names_are_refused_with_the_form_and_a_guess(name: str, guess: str | None) -> None:
    with pytest.raises(ConfigurationError, match="should look like accounts/fireworks/mod") as said:
        check_model_name(name)
    assert ("Did you mean" in str(said.value)) == (guess is not None)
    if guess:
        assert f"Did you mean {guess}?" in str(said.value)
