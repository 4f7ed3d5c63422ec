"""Datasets: creation, upload in both ways, reading, changing, deletion."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from tests.emulator.service import Service, jsonl, message_of, row


def test_a_new_dataset_waits_for_its_upload(service: Service) -> None:
    made = service.create_dataset("input", 3).json()
    assert made["name"] == "accounts/emulator/datasets/input"
    assert made["state"] == "UPLOADING"
    assert made["exampleCount"] == "3"
    assert made["userUploaded"] == {}
    assert made["createTime"].endswith("Z")
    assert len(made["createTime"].partition(".")[2]) == len("123456789Z")
    assert service.get("/datasets/input").json() == made


@pytest.mark.parametrize("fields", [{"exampleCount": "3"}, {"example_count": 3}])
@pytest.mark.parametrize("name", ["datasetId", "dataset_id"])
def test_both_spellings_are_understood(service: Service, name: str, fields: dict[str, Any]) -> None:
    made = service.post("/datasets", {name: "input", "dataset": fields})
    assert made.json()["exampleCount"] == "3"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"datasetId": "x", "dataset": {"userUploaded": {}}}, "example_count is required"),
        ({"datasetId": "x"}, "dataset is required"),
        ({"datasetId": "x", "dataset": {"exampleCount": "-1"}}, "must not be negative"),
        ({"datasetId": "x", "dataset": {"exampleCount": "1", "rows": 1}}, 'unknown field "rows"'),
        ({"id": "x", "dataset": {"exampleCount": "1"}}, 'unknown field "id"'),
        ({"datasetId": "x", "dataset": {"exampleCount": "1", "format": "CSV"}}, "invalid format"),
        ({"dataset": {"exampleCount": "1"}}, "invalid dataset id"),
    ],
)
def test_what_is_wrong_with_a_creation_is_said(
    service: Service, body: dict[str, Any], complaint: str
) -> None:
    assert complaint in message_of(service.post("/datasets", body), 400, 3)


@pytest.mark.parametrize(
    "dataset", ["Upper", "1st", "-x", "x-", "a_b", "a.b", "a" * 64, "", "../x", "a/b", "ü"]
)
def test_a_malformed_id_is_refused(service: Service, dataset: str) -> None:
    assert "invalid dataset id" in message_of(service.create_dataset(dataset), 400, 3)


def test_63_characters_are_a_fine_id(service: Service) -> None:
    assert service.create_dataset("a" * 63).status_code == 200


def test_datasets_are_not_copied(service: Service) -> None:
    body = {"datasetId": "x", "dataset": {"exampleCount": "1"}, "sourceDatasetId": "y"}
    assert "does not copy" in message_of(service.post("/datasets", body), 501, 12)


def test_an_id_is_taken_only_once(service: Service) -> None:
    service.create_dataset()
    assert "already exists" in message_of(service.create_dataset(), 409, 6)


def test_a_direct_upload_makes_it_ready_in_a_moment(service: Service) -> None:
    service.create_dataset()
    content = jsonl([row(0)])
    answer = service.upload(content).json()
    assert answer.pop("created_at") > 1_700_000_000
    assert answer == {
        "id": "accounts/emulator/datasets/input",
        "object": "file",
        "bytes": len(content),
        "filename": "input.jsonl",
        "purpose": "dataset",
    }
    assert service.get("/datasets/input").json()["state"] == "UPLOADING"
    service.emulator.clock.advance(2)
    assert service.get("/datasets/input").json()["state"] == "READY"
    assert service.files("input") == {"input.jsonl": content}


def test_what_is_ready_takes_no_other_upload(service: Service) -> None:
    service.ready_dataset([row(0)])
    assert "is READY" in message_of(service.upload(b"x"), 400, 9)
    again = service.post("/datasets/input:getUploadEndpoint", {"filenameToSize": {"x": "1"}})
    assert "is READY" in message_of(again, 400, 9)


def test_every_upload_is_counted(service: Service) -> None:
    service.create_dataset()
    service.upload(b"one\n")
    service.upload(b"two\nthree\n")
    (seen,) = service.emulator.datasets
    assert (seen.uploads, seen.rows, seen.bytes) == (2, 2, 10)


def test_a_direct_upload_has_a_limit() -> None:
    with Emulator(speed=0, max_direct_upload=1000) as emulator:
        service = Service(emulator)
        service.create_dataset()
        refused = service.upload(b"x" * 1001)
        assert refused.status_code == 413
        assert "getUploadEndpoint" in refused.json()["message"]
        assert service.upload(b"x" * 200_000).status_code == 413
        assert service.upload(b"x" * 1000).status_code == 200
        service.close()


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", ".hidden", "x" * 256])
def test_a_file_name_is_never_a_path(service: Service, name: str) -> None:
    service.create_dataset()
    endpoint = service.post("/datasets/input:getUploadEndpoint", {"filenameToSize": {name: "1"}})
    assert "invalid file name" in message_of(endpoint, 400, 3)
    assert "invalid file name" in message_of(service.upload(b"x", name=name), 400, 3)


def test_an_upload_needs_its_field(service: Service) -> None:
    service.create_dataset()
    other = service.request("POST", "/datasets/input:upload", files={"data": ("x", b"x")})
    assert "'file'" in message_of(other, 400, 3)
    plain = service.request("POST", "/datasets/input:upload", content=b"x")
    assert "multipart" in message_of(plain, 400, 3)


def form(*lines: str) -> dict[str, Any]:
    """A request with these lines as its form, whether they make one or not."""
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    return {"headers": kind, "content": "\r\n".join(lines)}


FILE = ("--edge", 'Content-Disposition: form-data; name="file"; filename="input.jsonl"', "", "{}")


def test_an_upload_that_was_cut_off_is_refused(service: Service) -> None:
    service.create_dataset()
    upload = "/datasets/input:upload"
    for lines in ((), ("--edge", "nonsense"), FILE[:2], FILE, (*FILE, "--ed")):
        refused = service.request("POST", upload, **form(*lines))
        assert "malformed multipart body" in message_of(refused, 400, 3)
    assert service.emulator.datasets[0].files == ()
    assert service.request("POST", upload, **form(*FILE, "--edge--", "")).json()["bytes"] == 2


def test_a_signed_upload_in_three_steps(service: Service) -> None:
    service.create_dataset()
    content = jsonl([row(0), row(1)])
    url = service.upload_url(len(content))
    assert service.put(url, content).status_code == 200
    assert service.get("/datasets/input").json()["state"] == "UPLOADING"
    assert service.post("/datasets/input:validateUpload").json() == {}
    service.emulator.clock.advance(5)
    assert service.get("/datasets/input").json()["state"] == "READY"
    assert service.files("input") == {"input.jsonl": content}
    (seen,) = service.emulator.datasets
    assert (seen.uploads, seen.rows) == (1, 2)


def test_an_empty_file_is_refused(service: Service) -> None:
    service.create_dataset()
    assert "is empty" in message_of(service.upload(b""), 400, 3)


def test_several_files_make_one_dataset_and_the_latest_list_of_them_counts(
    service: Service,
) -> None:
    service.create_dataset(count=2)
    parts = {f"part-{number}.jsonl": jsonl([row(number)]) for number in range(2)}
    service.put(service.upload_url(5, name="stray.jsonl"), b"stray").raise_for_status()
    sizes = {name: str(len(content)) for name, content in parts.items()}
    endpoint = service.post("/datasets/input:getUploadEndpoint", {"filenameToSize": sizes})
    for name, url in endpoint.json()["filenameToSignedUrls"].items():
        service.put(url, parts[name]).raise_for_status()
    service.post("/datasets/input:validateUpload").raise_for_status()
    service.emulator.clock.advance(5)
    assert service.files("input") == parts
    service.create_job().raise_for_status()
    service.emulator.clock.advance(600)
    assert len(service.results()) == 2


def test_a_dataset_has_the_captured_fields(service: Service) -> None:
    service.create_dataset()
    shown = service.get("/datasets/input").json()
    assert shown["format"] == "FORMAT_UNSPECIFIED"
    assert shown["encryptionState"] == "ENCRYPTION_STATE_PLAINTEXT"
    assert {"averageTurnCount", "externalUrl", "sourceJobName"} <= shown.keys()
    assert service.get("/datasets/none").json()["message"] == "resource not found"


def test_an_account_without_data_retention_has_no_datasets_and_no_jobs() -> None:
    with Emulator(speed=0, zero_data_retention=True) as emulator:
        service = Service(emulator)
        assert "Zero Data Retention" in message_of(service.create_dataset(), 400, 9)
        assert "Zero Data Retention" in message_of(service.create_job(), 400, 9)
        service.close()


def test_validation_may_be_repeated(service: Service) -> None:
    service.ready_dataset([row(0)])
    assert service.post("/datasets/input:validateUpload").json() == {}


def test_validation_misses_what_was_announced_and_not_sent(service: Service) -> None:
    service.create_dataset()
    validate = "/datasets/input:validateUpload"
    assert "nothing was uploaded" in message_of(service.post(validate), 400, 9)
    service.upload_url(10)
    assert "has not been uploaded" in message_of(service.post(validate), 400, 9)


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [({}, "required"), ({"x": "0"}, "positive"), ({"x": str((80 << 30) + 1)}, "too large")],
)
def test_an_upload_endpoint_wants_sensible_sizes(
    service: Service, sizes: dict[str, str], complaint: str
) -> None:
    service.create_dataset()
    response = service.post("/datasets/input:getUploadEndpoint", {"filenameToSize": sizes})
    assert complaint in message_of(response, 400, 3)


def test_a_download_endpoint_refuses_a_body_and_what_is_not_ready(service: Service) -> None:
    path = "/datasets/input:getDownloadEndpoint"
    service.create_dataset()
    assert "not READY" in message_of(service.get(path), 400, 9)
    with_body = service.request("GET", path, json={})
    assert "must not have a body" in message_of(with_body, 400, 3)


def test_fields_can_be_changed(service: Service) -> None:
    before = service.create_dataset().json()
    after = service.request("PATCH", "/datasets/input", json={"displayName": "Mine"}).json()
    assert after["displayName"] == "Mine"
    assert after["exampleCount"] == before["exampleCount"]
    assert after["updateTime"] > before["updateTime"]


def test_a_deleted_dataset_is_gone_and_its_id_free(service: Service) -> None:
    service.ready_dataset([row(0)])
    assert service.delete("/datasets/input").json() == {}
    for response in (
        service.get("/datasets/input"),
        service.delete("/datasets/input"),
        service.get("/datasets/input:getDownloadEndpoint"),
        service.upload(b"x"),
    ):
        assert "not found" in message_of(response, 404, 5)
    (seen,) = service.emulator.datasets
    assert seen.deleted
    assert service.create_dataset().status_code == 200


def test_a_dataset_in_use_is_not_deleted(service: Service) -> None:
    service.ready_dataset([row(0)])
    service.create_job()
    assert "in use by batch inference job job" in message_of(
        service.delete("/datasets/input"), 400, 9
    )
    service.emulator.clock.advance(600)
    assert service.delete("/datasets/input").status_code == 200


def test_a_read_mask_narrows_the_answer(service: Service) -> None:
    service.create_dataset()
    assert service.get("/datasets/input", readMask="state,example_count").json() == {
        "state": "UPLOADING",
        "exampleCount": "1",
    }
