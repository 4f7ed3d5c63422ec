"""Models and accounts, on both planes."""

from __future__ import annotations

from oumi_fireworks.emulator import Emulator
from tests.emulator.service import Service, message_of


def test_the_served_models_have_the_openai_form(service: Service) -> None:
    answer = service.http.get("/inference/v1/models").json()
    assert answer["object"] == "list"
    models = {model["id"]: model for model in answer["data"]}
    chat = models["accounts/fireworks/models/toy-chat"]
    assert (chat["supports_chat"], chat["supports_image_input"]) == (True, False)
    assert chat["context_length"] > 0
    assert not models["accounts/fireworks/models/toy-embedding"]["supports_chat"]
    assert models["accounts/fireworks/models/toy-vision"]["supports_image_input"]
    assert service.http.get("/v1/models").json() == answer


def test_the_control_plane_lists_models_by_account(service: Service) -> None:
    answer = service.http.get("/v1/accounts/fireworks/models").json()
    assert answer["totalSize"] == len(answer["models"]) > 1
    name = answer["models"][0]["name"]
    assert service.http.get(f"/v1/{name}").json() == answer["models"][0]
    assert service.get("/models").json()["models"] == []


def test_a_model_that_is_not_there_is_not_found(service: Service) -> None:
    path = "/v1/accounts/fireworks/models/nothing"
    assert "not found" in message_of(service.http.get(path), 404, 5)


def test_models_can_be_chosen() -> None:
    mine = "accounts/me/models/mine"
    with Emulator(models=(mine,), account="me") as emulator:
        service = Service(emulator)
        listed = service.http.get("/inference/v1/models").json()["data"]
        assert [model["id"] for model in listed] == [mine]
        assert [model["name"] for model in service.get("/models").json()["models"]] == [mine]
        service.close()


def test_a_key_has_one_account(service: Service) -> None:
    answer = service.http.get("/v1/accounts").json()
    (account,) = answer["accounts"]
    assert account["name"] == "accounts/emulator"
    assert (answer["nextPageToken"], answer["totalSize"]) == ("", 1)
    assert service.get("").json() == account


def test_other_accounts_are_closed(service: Service) -> None:
    for path in ("", "/datasets", "/batchInferenceJobs", "/models"):
        response = service.http.get(f"/v1/accounts/other{path}")
        assert "does not have access to account 'other'" in message_of(response, 403, 7)


def test_unknown_routes_answer_as_the_gateway_does(service: Service) -> None:
    assert message_of(service.http.get("/v1/nothing"), 404, 5) == "Not Found"
    put = service.request("PUT", "/datasets")
    assert message_of(put, 501, 12) == "Method Not Allowed"
