"""Object storage: signatures, their conditions, and downloads."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import google_crc32c
import httpx
import pytest

from oumi_fireworks.emulator.wire.signing import sign, verify
from tests.emulator.service import Service, jsonl, row

CONTENT = jsonl([row(number) for number in range(50)])


def code_of(response: httpx.Response, status: int) -> str:
    """The code of a storage error, which must have this status."""
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("application/xml")
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


@pytest.fixture
def url(service: Service) -> str:
    """A signed URL that takes CONTENT."""
    service.create_dataset()
    return service.upload_url(len(CONTENT))


@pytest.fixture
def source(service: Service) -> str:
    """A signed URL that gives CONTENT."""
    service.ready_dataset(CONTENT, "source")
    return service.urls("source")["dataset/source/input.jsonl"]


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    pairs = {**dict(parse_qsl(parts.query)), **query}
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def test_a_key_is_refused(service: Service, url: str, source: str) -> None:
    assert code_of(service.put(url, CONTENT, Authorization="Bearer x"), 400) == "InvalidArgument"
    answer = service.fetch(source, Authorization="Bearer x")
    assert code_of(answer, 400) == "InvalidArgument"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Type", "text/plain"),
        ("Content-Type", ""),
        ("x-goog-content-length-range", "0,999999"),
        ("x-goog-content-length-range", ""),
    ],
)
def test_the_signed_headers_must_be_sent_exactly(
    service: Service, url: str, header: str, value: str
) -> None:
    assert code_of(service.put(url, CONTENT, **{header: value}), 403) == "SignatureDoesNotMatch"


def test_the_length_must_be_the_one_that_was_announced(service: Service, url: str) -> None:
    size = f"{len(CONTENT)},{len(CONTENT)}"
    small = service.put(url, CONTENT[1:], **{"x-goog-content-length-range": size})
    assert code_of(small, 400) == "EntityTooSmall"
    large = service.put(url, CONTENT + b"x", **{"x-goog-content-length-range": size})
    assert code_of(large, 400) == "EntityTooLarge"


def test_the_length_must_be_known(service: Service, url: str) -> None:
    size = len(CONTENT)
    chunked = service.storage.put(
        url,
        content=iter([CONTENT]),
        headers={
            "Content-Type": "application/octet-stream",
            "x-goog-content-length-range": f"{size},{size}",
        },
    )
    assert code_of(chunked, 411) == "MissingContentLength"


def test_an_upload_expires_after_an_hour(service: Service, url: str) -> None:
    assert re.search(r"X-Goog-Date=[0-9]{8}T[0-9]{6}Z&X-Goog-Expires=3600&", url)
    service.emulator.clock.advance(3595)
    assert service.put(url, CONTENT).status_code == 200
    service.emulator.clock.advance(10)
    assert code_of(service.put(url, CONTENT), 400) == "ExpiredToken"


def test_a_download_expires_after_ten_minutes(service: Service, source: str) -> None:
    service.emulator.clock.advance(605)
    assert code_of(service.fetch(source), 400) == "ExpiredToken"
    fresh = service.urls("source")["dataset/source/input.jsonl"]
    assert service.fetch(fresh).content == CONTENT


@pytest.mark.parametrize(
    "query",
    [
        {"X-Goog-Signature": "00"},
        {"X-Goog-Signature": "é"},
        {"X-Goog-Expires": "999999"},
        {"X-Goog-Date": "99999999999"},
        {"X-Goog-Date": "soon"},
        {"X-Goog-Date": "9" * 5000},
        {"X-Goog-SignedHeaders": "host;range"},
    ],
)
def test_a_tampered_url_is_refused(service: Service, source: str, query: dict[str, str]) -> None:
    assert code_of(service.fetch(changed(source, **query)), 403) == "SignatureDoesNotMatch"


def test_a_url_is_good_for_its_method_and_file_alone(
    service: Service, url: str, source: str
) -> None:
    assert code_of(service.put(source, CONTENT), 403) == "SignatureDoesNotMatch"
    assert code_of(service.fetch(url), 403) == "SignatureDoesNotMatch"
    other = source.replace("input.jsonl", "other.jsonl")
    assert code_of(service.fetch(other), 403) == "SignatureDoesNotMatch"


def test_a_download_carries_its_hashes(service: Service, source: str) -> None:
    answer = service.fetch(source)
    crc = base64.b64encode(google_crc32c.value(CONTENT).to_bytes(4, "big")).decode()
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert answer.headers["x-goog-hash"] == f"crc32c={crc},md5={md5}"
    assert answer.content == CONTENT


@pytest.mark.parametrize(
    ("given", "expected"),
    [("bytes=100-", CONTENT[100:]), ("bytes=5-9", CONTENT[5:10]), ("bytes=-7", CONTENT[-7:])],
)
def test_a_download_can_be_had_in_parts(
    service: Service, source: str, given: str, expected: bytes
) -> None:
    answer = service.fetch(source, Range=given)
    assert answer.status_code == 206
    assert answer.content == expected
    assert answer.headers["Content-Range"].endswith(f"/{len(CONTENT)}")


def test_a_range_beyond_the_end_is_refused(service: Service, source: str) -> None:
    answer = service.fetch(source, Range=f"bytes={len(CONTENT)}-")
    assert answer.status_code == 416


def test_the_recorded_status_tells_whether_a_part_was_sent(service: Service, source: str) -> None:
    service.fetch(source, Range="bytes=1-")
    service.fetch(source)
    assert [each.status for each in service.emulator.requests_to("GET", "^/storage")] == [206, 200]


def test_an_upload_to_a_deleted_dataset_is_refused(service: Service, url: str) -> None:
    service.delete("/datasets/input")
    assert code_of(service.put(url, CONTENT), 404) == "NoSuchBucket"


def test_a_download_of_a_deleted_dataset_is_refused(service: Service, source: str) -> None:
    service.delete("/datasets/source")
    assert code_of(service.fetch(source), 404) == "NoSuchKey"


def test_an_upload_replaces_the_one_before(service: Service, url: str) -> None:
    service.put(url, b"x" * len(CONTENT))
    service.put(url, CONTENT)
    service.post("/datasets/input:validateUpload")
    service.emulator.clock.advance(5)
    assert service.files("input") == {"input.jsonl": CONTENT}
    (seen,) = service.emulator.datasets
    assert seen.uploads == 2


def test_a_large_file_goes_through_whole(service: Service) -> None:
    content = os.urandom(5_000_000)
    service.create_dataset()
    assert service.put(service.upload_url(len(content)), content).status_code == 200
    service.post("/datasets/input:validateUpload")
    service.emulator.clock.advance(5)
    assert service.files("input") == {"input.jsonl": content}


def test_a_signature_covers_all_that_was_signed() -> None:
    headers = {"content-type": "x"}
    query = dict(parse_qsl(sign("s", "PUT", "/p", date=100, lifetime=10, headers=headers)))
    assert verify("s", "PUT", "/p", query, headers, 105) is None
    assert verify("s", "PUT", "/p", query, headers, 110) == "ExpiredToken"
    assert verify("t", "PUT", "/p", query, headers, 105) == "SignatureDoesNotMatch"
    assert verify("s", "GET", "/p", query, headers, 105) == "SignatureDoesNotMatch"
    assert verify("s", "PUT", "/q", query, headers, 105) == "SignatureDoesNotMatch"
    assert verify("s", "PUT", "/p", query, {}, 105) == "SignatureDoesNotMatch"
