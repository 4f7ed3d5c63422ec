"""One error tree: by status, in the service's words, without the key."""

from __future__ import annotations

import logging
import pickle

import pytest

from oumi_fireworks import errors
from oumi_fireworks.api import (
    Connection,
    FireworksClient,
    RetryPolicy,
    Transport,
    is_retryable,
)
from oumi_fireworks.api.refusals import error_from_answer, message_and_code
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    APIError,
    AuthenticationError,
    ConflictError,
    FireworksError,
    IncompleteBatchError,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RouteError,
    RowError,
    ServerError,
    StorageError,
    SuspendedError,
)
from tests.api.support import connection, with_client, with_key

ONCE = RetryPolicy(attempts=1)

BY_STATUS = [
    (302, APIError),
    (400, InvalidRequestError),
    (401, AuthenticationError),
    (402, PaymentRequiredError),
    (403, AuthenticationError),
    (404, RouteError),  # code 3 is no absence
    (405, RouteError),
    (408, ServerError),
    (409, ConflictError),
    (412, SuspendedError),
    (413, InvalidRequestError),
    (418, APIError),
    (422, InvalidRequestError),
    (429, RateLimitError),
    (500, ServerError),
    (501, RouteError),
    (502, ServerError),
    (503, ServerError),
    (504, ServerError),
    (520, ServerError),
]


async def get_a_job(client: FireworksClient) -> object:
    return await client.jobs.get("some-job")


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_each_status_has_its_class_and_keeps_the_message(
    emulator: Emulator, status: int, kind: type[APIError]
) -> None:
    body = {"code": 3, "message": "the service's own words", "details": []}
    emulator.faults.add(Fault(path="some-job", status=status, body=body))
    with pytest.raises(APIError) as caught:
        with_client(connection(emulator, ONCE), get_a_job)
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, RuntimeError)
    assert error.status == error.status_code == status
    assert error.code == 3
    assert "the service's own words" in str(error)
    assert f"GET /v1/accounts/emulator/batchInferenceJobs/some-job answered {status}" in str(error)


JOB = "GET /v1/accounts/acme/batchInferenceJobs/some-job"
CHAT = "POST http://127.0.0.1/inference/v1/chat/completions"
ABSENT = {"code": 5, "message": "resource not found", "details": []}
NO_MODEL = {"error": {"message": "Model not found", "code": "NOT_FOUND", "type": "error"}}


@pytest.mark.parametrize(
    ("where", "status", "answer", "kind"),
    [
        (JOB, 404, ABSENT, NotFoundError),
        (JOB, 404, NO_MODEL, RouteError),
        (JOB, 404, {"code": 12, "message": "Not Implemented"}, RouteError),
        (JOB, 404, "<html>404 page not found</html>", RouteError),
        (JOB, 404, {}, RouteError),
        (JOB, 404, None, RouteError),
        (JOB, 405, ABSENT, RouteError),
        (JOB, 501, ABSENT, RouteError),
        (CHAT, 404, NO_MODEL, NotFoundError),
        (CHAT, 404, {"object": "error", "message": "no such model", "code": 404}, NotFoundError),
        (CHAT, 404, ABSENT, NotFoundError),
        (CHAT, 404, {"detail": "Not Found"}, RouteError),
        (CHAT, 404, {"error": "Not Found"}, RouteError),
        (CHAT, 404, "404 page not found", RouteError),
    ],
)
def test_only_the_service_s_own_404_means_that_something_is_absent(
    where: str, status: int, answer: object, kind: type[APIError]
) -> None:
    error = error_from_answer(where, status, answer)
    assert type(error) is kind
    assert is_retryable(error) is (kind is RouteError)


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        ({"code": 5, "message": "gone", "details": []}, "gone", 5),
        ({"error": {"message": "bad key", "code": "UNAUTHORIZED"}}, "bad key", "UNAUTHORIZED"),
        ({"error": "in short"}, "in short", None),
        ({"error": None, "message": "beside it"}, "beside it", None),
        ({"error": ["a", "list"]}, '["a","list"]', None),
        ({"detail": "of another shape"}, '{"detail":"of another shape"}', None),
        ({"error": {"code": 7}}, '{"code":7}', 7),
        ("plain text\n", "plain text", None),
        ("<html>" + "x" * 1000, "<html>" + "x" * 494, None),
        ({}, "", None),
        ("", "", None),
        ([], "", None),
        (None, "", None),
    ],
)
def test_the_message_is_found_in_every_shape(
    answer: object, message: str, code: int | str | None
) -> None:
    assert message_and_code(answer) == (message, code)


def test_an_answer_nested_too_deeply_to_show_is_an_error_all_the_same() -> None:
    answer: object = "bottom"
    for _ in range(300):
        answer = [answer]
    assert str(error_from_answer("GET /", 400, answer)) == "GET / answered 400: no message"


def test_a_bad_key_says_which_variable_to_look_at(emulator: Emulator) -> None:
    with pytest.raises(AuthenticationError, match=r"key you provided is invalid.*FIREWORKS_API"):
        with_client(with_key(emulator, "wrong"), get_a_job)


@pytest.mark.parametrize(("refusal", "kind"), [(402, PaymentRequiredError), (412, SuspendedError)])
def test_unpaid_and_suspended_accounts_say_what_to_do(
    emulator: Emulator, refusal: int, kind: type[APIError]
) -> None:
    emulator.faults.add(Fault(path="some-job", status=refusal, times=None))
    with pytest.raises(kind, match="Fireworks account") as caught:
        with_client(emulator, get_a_job)
    assert caught.value.status == refusal


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "key fw_s3cret is bad", "code": "fw_s3cret"}},
        {"code": 16, "message": "fw_s3cret"},
        "no JSON, but fw_s3cret",
        ["fw_s3cret"],
    ],
)
@pytest.mark.parametrize("status", [403, 400, 503])
def test_a_key_that_the_server_repeats_is_not_in_the_error_nor_the_log(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, body: object, status: int
) -> None:
    caplog.set_level(logging.DEBUG, logger="oumi_fireworks")
    emulator.faults.add(Fault(path="some-job", status=status, body=body, times=None))
    with pytest.raises(FireworksError) as caught:
        with_client(with_key(emulator, "fw_s3cret"), get_a_job)
    shown = [str(caught.value), repr(caught.value), repr(vars(caught.value)), caplog.text]
    assert "***" in str(caught.value)
    assert not [text for text in shown if "fw_s3cret" in text]


def test_a_key_is_not_in_any_repr() -> None:
    connected = Connection("https://a.example", "fw_s3cret", "acme")
    things = [connected, Transport("https://a.example", "fw_s3cret"), FireworksClient(connected)]
    assert not [thing for thing in things if "fw_s3cret" in repr(thing)]
    assert "acme" in repr(connected)


def test_every_error_crosses_a_process_border() -> None:
    classes = [
        found
        for name, found in vars(errors).items()
        if name.endswith("Error") and found is not errors.BadLinesError  # made of its problems
    ]
    assert len(classes) > 20
    for kind in classes:
        back = pickle.loads(pickle.dumps(kind("what happened")))
        assert type(back) is kind
        assert str(back) == "what happened"


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slow", status=429, code=8, retry_after=3.5),
        StorageError("no", status=403),
        RowError("row", 7),
        IncompleteBatchError("rest", {"a": 1}, {"failed": 2}, ["why"]),
    ],
)
def test_what_an_error_carries_crosses_with_it(error: FireworksError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert vars(back) == vars(error)
