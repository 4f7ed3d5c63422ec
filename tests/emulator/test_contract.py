"""The official client drives every route and understands every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fireworks
import httpx
import pytest
from fireworks import Fireworks

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.emulator.app import routes
from tests.emulator.service import MODEL, jsonl, row

ROWS = [row(number, f"question {number}") for number in range(12)]
CONTENT = jsonl(ROWS)
TOOL: Any = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}


@contextmanager
def official(emulator: Emulator) -> Iterator[Fireworks]:
    """The official client, as its environment variables would set it up."""
    with (
        httpx.Client(verify=False) as http,
        Fireworks(
            base_url=emulator.url,
            api_key=emulator.api_key,
            account_id=emulator.account,
            max_retries=0,
            http_client=http,
        ) as client,
    ):
        yield client


@pytest.fixture
def client(still: Emulator) -> Iterator[Fireworks]:
    """The official client of the still emulator."""
    with official(still) as client:
        yield client


@pytest.fixture
def dataset(client: Fireworks, still: Emulator) -> str:
    """The name of a dataset that is ready."""
    made = client.datasets.create(
        dataset_id="input", dataset={"user_uploaded": {}, "example_count": "12"}
    )
    client.datasets.upload("input", file=("input.jsonl", CONTENT))
    still.clock.advance(5)
    assert made.name is not None
    return made.name


def test_a_batch_from_end_to_end(client: Fireworks, still: Emulator, dataset: str) -> None:
    ready = client.datasets.get("input")
    assert (ready.state, ready.example_count, ready.format) == ("READY", "12", "FORMAT_UNSPECIFIED")
    assert ready.create_time is not None

    made = client.batch_inference_jobs.create(
        batch_inference_job_id="job",
        model=MODEL,
        input_dataset_id=dataset,
        output_dataset_id="accounts/emulator/datasets/output",
        display_name="Mine",
        inference_parameters={"max_tokens": 100, "temperature": 0.5, "extra_body": '{"n": 2}'},
    )
    assert made.state == "JOB_STATE_VALIDATING"
    assert made.job_progress is None
    assert made.inference_parameters is not None
    assert made.inference_parameters.max_tokens == 100

    still.clock.advance(400)
    running = client.batch_inference_jobs.get("job")
    assert running.state == "JOB_STATE_RUNNING"
    assert running.job_progress is not None
    assert 0 < (running.job_progress.total_processed_requests or 0) < 12

    still.clock.advance(600)
    done = client.batch_inference_jobs.get("job")
    assert done.state == "JOB_STATE_COMPLETED"
    assert done.status is not None
    assert done.status.code == "OK"
    assert done.job_progress is not None
    assert done.job_progress.percent == 100
    assert done.job_progress.successfully_processed_requests == 12
    assert done.update_time is not None
    assert done.create_time is not None
    assert done.update_time > done.create_time

    urls = client.datasets.get_download_endpoint("output").filename_to_signed_urls
    assert urls is not None
    results = httpx.get(urls["dataset/output/BIJOutputSet.jsonl"], verify=False).content
    lines = [json.loads(line) for line in results.splitlines()]
    assert {line["custom_id"] for line in lines} == {each["custom_id"] for each in ROWS}
    assert all(len(line["response"]["choices"]) == 2 for line in lines)


def upload_signed(client: Fireworks, dataset: str) -> None:
    endpoint = client.datasets.get_upload_endpoint(
        dataset, filename_to_size={"input.jsonl": str(len(CONTENT))}
    )
    assert endpoint.filename_to_signed_urls is not None
    size = f"{len(CONTENT)},{len(CONTENT)}"
    headers = {"Content-Type": "application/octet-stream", "x-goog-content-length-range": size}
    url = endpoint.filename_to_signed_urls["input.jsonl"]
    httpx.put(url, content=CONTENT, headers=headers, verify=False).raise_for_status()
    client.datasets.validate_upload(dataset, body={})


def test_a_signed_upload(client: Fireworks, still: Emulator) -> None:
    client.datasets.create(dataset_id="input", dataset={"example_count": "12"})
    upload_signed(client, "input")
    still.clock.advance(5)
    assert client.datasets.get("input").state == "READY"


def test_a_direct_upload_answers_with_the_file(client: Fireworks) -> None:
    client.datasets.create(dataset_id="input", dataset={"example_count": "12"})
    answer = client.datasets.upload("input", file=("input.jsonl", CONTENT))
    assert (answer.id, answer.object, answer.bytes) == (
        "accounts/emulator/datasets/input",
        "file",
        len(CONTENT),
    )
    assert (answer.filename, answer.purpose) == ("input.jsonl", "dataset")


def test_datasets_are_listed_changed_and_deleted(client: Fireworks) -> None:
    for number in range(5):
        client.datasets.create(dataset_id=f"d-{number}", dataset={"example_count": "1"})
    names = [dataset.name for dataset in client.datasets.list(page_size=2)]
    assert names == [f"accounts/emulator/datasets/d-{number}" for number in range(5)]
    changed = client.datasets.update("d-0", display_name="First")
    assert changed.display_name == "First"
    (found,) = client.datasets.list(filter='display_name="First"')
    assert found.name == "accounts/emulator/datasets/d-0"
    client.datasets.delete("d-0")
    with pytest.raises(fireworks.NotFoundError):
        client.datasets.get("d-0")


def test_jobs_are_listed_page_by_page(client: Fireworks, dataset: str) -> None:
    for number in range(5):
        client.batch_inference_jobs.create(
            batch_inference_job_id=f"job-{number}", model=MODEL, input_dataset_id=dataset
        )
    found = client.batch_inference_jobs.list(page_size=2, order_by="create_time desc")
    assert [(job.name or "")[-5:] for job in found] == [f"job-{n}" for n in (4, 3, 2, 1, 0)]
    masked = client.batch_inference_jobs.get("job-0", read_mask="state")
    assert masked.to_dict() == {"state": "JOB_STATE_VALIDATING"}


def test_a_job_is_stopped_by_deleting_it(client: Fireworks, still: Emulator, dataset: str) -> None:
    client.batch_inference_jobs.create(
        batch_inference_job_id="job", model=MODEL, input_dataset_id=dataset
    )
    assert client.batch_inference_jobs.delete("job") == {}
    assert client.batch_inference_jobs.get("job").state == "JOB_STATE_DELETING_CLEANING_UP"
    still.clock.advance(60)
    with pytest.raises(fireworks.NotFoundError):
        client.batch_inference_jobs.get("job")


@pytest.mark.parametrize(
    ("state", "name"),
    [("PAUSED", "one"), ("EXPIRED", "two"), ("RE_QUEUEING", "three"), ("WRITING_RESULTS", "four")],
)
def test_states_arrive_as_they_are(
    client: Fireworks, still: Emulator, dataset: str, state: str, name: str
) -> None:
    client.batch_inference_jobs.create(
        batch_inference_job_id=name, model=MODEL, input_dataset_id=dataset
    )
    still.set_job(name, f"JOB_STATE_{state}")
    assert client.batch_inference_jobs.get(name).state == f"JOB_STATE_{state}"


def test_errors_have_their_kinds(client: Fireworks, still: Emulator, dataset: str) -> None:
    with pytest.raises(fireworks.ConflictError):
        client.datasets.create(dataset_id="input", dataset={"example_count": "1"})
    with pytest.raises(fireworks.BadRequestError):
        client.datasets.create(dataset_id="Input", dataset={"example_count": "1"})
    with pytest.raises(fireworks.BadRequestError, match="Extra inputs"):
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "hi"}],
            extra_body={"stop_token_ids": [1]},
        )
    with pytest.raises(fireworks.PermissionDeniedError, match="API key you provided is invalid"):
        client.with_options(api_key="wrong").accounts.get()
    with pytest.raises(fireworks.PermissionDeniedError):
        client.datasets.get("input", account_id="other")


def test_accounts_and_models(client: Fireworks) -> None:
    (account,) = client.accounts.list()
    assert account.name == "accounts/emulator"
    assert client.accounts.get().name == account.name
    models = list(client.models.list(account_id="fireworks", page_size=1))
    assert len(models) > 1
    one = client.models.get("toy-chat", account_id="fireworks")
    assert (one.state, one.supports_tools) == ("READY", True)


def test_chat(client: Fireworks) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=1000,
        reasoning_effort="low",
    )
    message = answer.choices[0].message
    assert "toy model" in str(message.content)
    assert message.reasoning_content
    assert answer.usage is not None
    assert answer.usage.completion_tokens is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


def test_chat_with_tools(client: Fireworks) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hi"}], tools=[TOOL]
    )
    message: dict[str, Any] = answer.to_dict()["choices"][0]["message"]  # type: ignore[index]
    (call,) = message["tool_calls"]
    assert call["function"] == {"name": "now", "arguments": "{}"}
    assert answer.choices[0].finish_reason == "tool_calls"


def test_chat_in_a_stream(client: Fireworks) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        extra_body={"stream_options": {"include_usage": True}},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.endswith("You wrote: hi")
    assert chunks[-1].usage is not None
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_chat_honours_what_it_is_asked_for(client: Fireworks) -> None:
    hello: Any = [{"role": "user", "content": "hi"}]
    plain = client.chat.completions.create(model=MODEL, messages=hello)
    again = client.chat.completions.create(model=MODEL, messages=hello)
    assert again.choices[0].message.content == plain.choices[0].message.content
    cut = client.chat.completions.create(model=MODEL, messages=hello, max_tokens=2)
    assert (cut.choices[0].finish_reason, cut.usage and cut.usage.completion_tokens) == (
        "length",
        2,
    )
    stopped = client.chat.completions.create(model=MODEL, messages=hello, stop=["toy"])
    assert stopped.choices[0].message.content == "This is the emulator's "
    several = client.chat.completions.create(model=MODEL, messages=hello, n=3)
    assert len({choice.message.content for choice in several.choices}) == 3
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    formed = client.chat.completions.create(
        model=MODEL,
        messages=hello,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    )
    assert isinstance(json.loads(str(formed.choices[0].message.content))["n"], int)


def driven(emulator: Emulator) -> set[tuple[str, str]]:
    """The routes that were asked for something and gave it."""
    found = set()
    for route in routes():
        path = re.sub(r"{[^:{}]+(?::([^{}]+))?}", lambda slot: slot[1] or "[^/]+", route.path)
        for seen in emulator.requests_to(route.method, f"^{path}$"):
            if seen.status == 200:
                found.add((route.method, route.path))
    return found


def test_every_route_is_driven() -> None:
    """Storage by signed URLs; where the official client has no method, by its `get` and `post`."""
    with Emulator(speed=0, cancel_route=True) as emulator, official(emulator) as client:
        assert [account.name for account in client.accounts.list()] == ["accounts/emulator"]
        client.accounts.get()
        assert list(client.models.list(account_id="fireworks"))
        client.models.get("toy-chat", account_id="fireworks")

        client.datasets.create(dataset_id="direct", dataset={"example_count": "12"})
        client.datasets.upload("direct", file=("input.jsonl", CONTENT))
        client.datasets.create(dataset_id="signed", dataset={"example_count": "12"})
        upload_signed(client, "signed")
        client.datasets.update("signed", display_name="Signed")
        emulator.clock.advance(5)
        assert {each.state for each in client.datasets.list()} == {"READY"}
        assert client.datasets.get("signed").display_name == "Signed"
        urls = client.datasets.get_download_endpoint("signed").filename_to_signed_urls
        assert urls is not None
        fetched = httpx.get(urls["dataset/signed/input.jsonl"], verify=False)
        assert fetched.content == CONTENT
        client.datasets.delete("direct")

        made = client.batch_inference_jobs.create(
            batch_inference_job_id="job",
            model=MODEL,
            input_dataset_id="accounts/emulator/datasets/signed",
        )
        assert made.name == "accounts/emulator/batchInferenceJobs/job"
        client.post(f"/v1/{made.name}:cancel", cast_to=object, body={})
        assert client.batch_inference_jobs.get("job").state == "JOB_STATE_CANCELLING"
        assert [job.name for job in client.batch_inference_jobs.list()] == [made.name]
        client.batch_inference_jobs.delete("job")

        ask: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
        client.chat.completions.create(**ask)
        at_inference = client.with_options(base_url=f"{emulator.url}/inference")
        answer = at_inference.chat.completions.create(**ask)
        assert "toy model" in str(answer.choices[0].message.content)
        for each in (client, at_inference):
            listed: Any = each.get("/v1/models", cast_to=object)
            assert MODEL in [model["id"] for model in listed["data"]]

        assert driven(emulator) == {(route.method, route.path) for route in routes()}
