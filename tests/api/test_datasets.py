"""Datasets: their calls, direct upload, and the way to storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from oumi_fireworks.api import Dataset, FireworksClient, every
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    ConflictError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from tests.api.support import make_ready_dataset, until_ready, with_client


def test_a_dataset_waits_for_its_file_and_knows_its_rows(emulator: Emulator) -> None:
    made = with_client(emulator, lambda client: client.datasets.create("d", example_count=3))
    assert made.id == "d"
    assert made.name == "accounts/emulator/datasets/d"
    assert made.state == "UPLOADING"
    assert not made.is_ready
    assert made.example_count == 3
    assert made.created is not None
    [request] = emulator.requests_to("POST", "/datasets$")
    assert request.body == {
        "datasetId": "d",
        "dataset": {"userUploaded": {}, "exampleCount": "3"},
    }


def test_nothing_of_what_the_service_sends_is_needed() -> None:
    raw = {
        "name": "accounts/a/datasets/d",
        "state": "STATE_READY",
        "exampleCount": None,
        "status": {"message": "odd", "code": "OK"},
        "sourceJobName": "accounts/a/batchInferenceJobs/j",
        "brandNew": [1],
    }
    dataset = Dataset.parse(raw)
    assert dataset.is_ready
    assert dataset.example_count == 0
    assert dataset.status_message == "odd"
    assert Dataset.parse({}) == Dataset("", "", "")


def test_a_direct_upload_arrives_byte_for_byte(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": "\xe2\x80\xa8"}\n' * 50_000)

    async def upload(client: FireworksClient) -> Dataset:
        await client.datasets.create("d", example_count=50_000)
        await client.datasets.upload("d", path)
        return await until_ready(client, "d")

    assert with_client(emulator, upload).is_ready
    [stored] = emulator.datasets
    assert (stored.bytes, stored.rows, stored.uploads) == (path.stat().st_size, 50_000, 1)
    assert stored.files == ("rows.jsonl",)
    [request] = emulator.requests_to("POST", ":upload$")
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert request.headers["authorization"] == f"Bearer {emulator.api_key}"


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "status", "truncated_json"])
def test_a_direct_upload_is_sent_once_and_its_fate_is_the_callers_to_find_out(
    emulator: Emulator, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n")
    emulator.faults.add(Fault(path=":upload$", kind=kind))  # type: ignore[arg-type]

    async def upload(client: FireworksClient) -> None:
        await client.datasets.create("d", example_count=1)
        await client.datasets.upload("d", path)

    with pytest.raises(FireworksError):
        with_client(emulator, upload)
    assert len(emulator.requests_to("POST", ":upload$")) == 1


def test_an_id_that_is_taken_is_a_conflict(emulator: Emulator) -> None:
    async def twice(client: FireworksClient) -> None:
        await client.datasets.create("d", example_count=3)
        await client.datasets.create("d", example_count=3)

    with pytest.raises(ConflictError, match="dataset d already exists"):
        with_client(emulator, twice)


@pytest.mark.parametrize("kind", ["lost_answer", "truncated_json", "cut"])
def test_a_create_whose_answer_was_lost_is_told_as_a_conflict(
    emulator: Emulator, kind: str
) -> None:
    emulator.faults.add(Fault(method="POST", path="/datasets$", kind=kind))  # type: ignore[arg-type]
    with pytest.raises(ConflictError):
        with_client(emulator, lambda client: client.datasets.create("d", example_count=3))
    assert len(emulator.datasets) == 1


def test_an_id_that_is_none_is_refused_in_the_service_s_words(emulator: Emulator) -> None:
    with pytest.raises(InvalidRequestError, match="invalid dataset id 'No Id'"):
        with_client(emulator, lambda client: client.datasets.create("No Id", example_count=3))


def test_what_is_not_there_is_not_found(emulator: Emulator) -> None:
    for use in (
        lambda client: client.datasets.get("nothing"),
        lambda client: client.datasets.delete("nothing"),
        lambda client: client.datasets.download_urls("nothing"),
        lambda client: client.datasets.upload_urls("nothing", {"f": 1}),
        lambda client: client.datasets.validate_upload("nothing"),
    ):
        with pytest.raises(NotFoundError, match=r"datasets/nothing.*resource not found"):
            with_client(emulator, use)


def test_delete_removes_it(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> None:
        await make_ready_dataset(client, "d", 1, tmp_path)
        await client.datasets.delete("accounts/emulator/datasets/d")

    with_client(emulator, run)
    assert [dataset.deleted for dataset in emulator.datasets] == [True]


def test_pages_hold_every_dataset_once(emulator: Emulator) -> None:
    async def run(client: FireworksClient) -> tuple[list[int], list[str]]:
        for number in range(5):
            await client.datasets.create(f"d-{number}", example_count=1)
        sizes, token = [], ""
        while True:
            page = await client.datasets.page(token, size=2)
            assert page.total == 5
            sizes.append(len(page.items))
            token = page.next_token
            if not token:
                break
        everything = [dataset.id async for dataset in every(client.datasets.page)]
        return sizes, everything

    sizes, everything = with_client(emulator, run)
    assert sizes == [2, 2, 1]
    assert sorted(everything) == [f"d-{number}" for number in range(5)]


def test_the_download_endpoint_is_asked_without_a_body(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> dict[str, str]:
        await make_ready_dataset(client, "d", 1, tmp_path)
        return await client.datasets.download_urls("d")

    urls = with_client(emulator, run)
    assert list(urls) == ["dataset/d/d.jsonl"]
    [request] = emulator.requests_to("GET", ":getDownloadEndpoint$")
    assert request.headers.get("content-length", "0") == "0"
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("body", [{}, {"filenameToSignedUrls": None}])
def test_no_url_to_upload_to_is_an_error_and_none_to_download_from_is_no_file(
    emulator: Emulator, body: object
) -> None:
    emulator.faults.add(Fault(path="Endpoint$", kind="garbage", body=body, times=None))

    async def run(client: FireworksClient) -> dict[str, str]:
        await client.datasets.create("d", example_count=1)
        with pytest.raises(MalformedAnswerError, match="no URL to upload to d"):
            await client.datasets.upload_urls("d", {"f": 1})
        return await client.datasets.download_urls("d")

    assert with_client(emulator, run) == {}


def test_an_answer_about_another_dataset_is_asked_for_again(
    emulator: Emulator, tmp_path: Path
) -> None:
    wrong = {"name": "accounts/emulator/datasets/theirs"}
    files = {"filenameToSignedUrls": {"dataset/theirs/rows.jsonl": "https://a.example/"}}

    async def run(client: FireworksClient) -> None:
        await make_ready_dataset(client, "ours", 1, tmp_path)
        emulator.faults.add(Fault("GET", "ours$", "garbage", body=wrong))
        assert (await client.datasets.get("ours")).id == "ours"
        emulator.faults.add(Fault("GET", ":getDownloadEndpoint$", "garbage", body=files))
        [name] = await client.datasets.download_urls("ours")
        assert name.startswith("dataset/ours/")

    with_client(emulator, run)
    assert len(emulator.requests_to("GET", ":getDownloadEndpoint$")) == 2
