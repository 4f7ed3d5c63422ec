"""A thin client of the emulator, for tests that look at the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx

from oumi_fireworks.emulator import Emulator

MODEL = "accounts/fireworks/models/toy-chat"
MINUTES_10 = 600.0

Row = dict[str, Any]


def row(number: int, text: str = "hello", **body: Any) -> Row:
    """An input row."""
    messages = [{"role": "user", "content": text}]
    return {"custom_id": f"request-{number}", "body": {"messages": messages, **body}}


def jsonl(rows: Iterable[Any]) -> bytes:
    """Rows as the bytes of a file."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def message_of(response: httpx.Response, status: int, code: int) -> str:
    """The message of a gRPC-gateway error, which must be of this kind."""
    assert response.status_code == status
    body = response.json()
    assert body.keys() == {"code", "message", "details"}
    assert body["code"] == code
    return str(body["message"])


class Service:
    """The emulator over HTTP, one method a thing that tests do often."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        # Without verification no certificates are loaded, which would take most of the time.
        self.http = httpx.Client(
            base_url=emulator.url,
            headers={"Authorization": f"Bearer {emulator.api_key}"},
            verify=False,
        )
        self.storage = httpx.Client(verify=False)
        self.account = f"/v1/accounts/{emulator.account}"

    def close(self) -> None:
        self.http.close()
        self.storage.close()

    def name(self, collection: str, resource: str) -> str:
        return f"accounts/{self.emulator.account}/{collection}/{resource}"

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"{self.account}{path}", **more)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.request("POST", path, json={} if body is None else body, params=params)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def create_dataset(self, dataset: str = "input", count: int = 1) -> httpx.Response:
        fields = {"userUploaded": {}, "exampleCount": str(count)}
        return self.post("/datasets", {"datasetId": dataset, "dataset": fields})

    def upload(
        self, content: bytes, dataset: str = "input", name: str = "input.jsonl"
    ) -> httpx.Response:
        return self.request("POST", f"/datasets/{dataset}:upload", files={"file": (name, content)})

    def upload_url(self, size: int, dataset: str = "input", name: str = "input.jsonl") -> str:
        response = self.post(
            f"/datasets/{dataset}:getUploadEndpoint", {"filenameToSize": {name: str(size)}}
        )
        response.raise_for_status()
        return str(response.json()["filenameToSignedUrls"][name])

    def put(self, url: str, content: bytes, **headers: str) -> httpx.Response:
        """Send a file to a signed URL, with the headers that it wants unless told otherwise."""
        usual = {
            "Content-Type": "application/octet-stream",
            "x-goog-content-length-range": f"{len(content)},{len(content)}",
        }
        return self.storage.put(url, content=content, headers={**usual, **headers})

    def fetch(self, url: str, **headers: str) -> httpx.Response:
        """Get a signed URL."""
        return self.storage.get(url, headers=headers)

    def ready_dataset(self, rows: Iterable[Any] | bytes, dataset: str = "input") -> None:
        content = rows if isinstance(rows, bytes) else jsonl(rows)
        self.create_dataset(dataset, content.count(b"\n")).raise_for_status()
        self.upload(content, dataset).raise_for_status()
        self.emulator.clock.advance(5)

    def create_job(
        self,
        job: str = "job",
        input: str = "input",
        output: str = "output",
        **fields: Any,
    ) -> httpx.Response:
        body = {
            "model": MODEL,
            "inputDatasetId": self.name("datasets", input),
            "outputDatasetId": self.name("datasets", output),
            **fields,
        }
        return self.post("/batchInferenceJobs", body, batchInferenceJobId=job)

    def job(self, job: str = "job") -> dict[str, Any]:
        response = self.get(f"/batchInferenceJobs/{job}")
        response.raise_for_status()
        return dict(response.json())

    def state(self, job: str = "job") -> str:
        return str(self.job(job)["state"]).removeprefix("JOB_STATE_")

    def finished_job(self, rows: Iterable[Any] | bytes, **fields: Any) -> dict[str, Any]:
        """Upload, submit, and let enough time pass for a few hundred rows."""
        self.ready_dataset(rows)
        self.create_job(**fields).raise_for_status()
        self.emulator.clock.advance(MINUTES_10)
        return self.job()

    def urls(self, dataset: str = "output", **params: Any) -> dict[str, str]:
        response = self.get(f"/datasets/{dataset}:getDownloadEndpoint", **params)
        response.raise_for_status()
        return dict(response.json()["filenameToSignedUrls"])

    def files(self, dataset: str = "output") -> dict[str, bytes]:
        """The files of a dataset by their plain names."""
        urls = self.urls(dataset)
        return {
            name.rpartition("/")[2]: self.storage.get(url).content for name, url in urls.items()
        }

    def results(self, dataset: str = "output") -> list[dict[str, Any]]:
        """The rows of all result files, in their order there."""
        files = self.files(dataset)
        return [
            json.loads(line)
            for name in sorted(files)
            if name != "error-data"
            for line in files[name].split(b"\n")[:-1]
        ]

    def errors(self, dataset: str = "output") -> list[dict[str, Any]]:
        """The rows of the error file."""
        return [json.loads(line) for line in self.files(dataset)["error-data"].split(b"\n")[:-1]]

    def chat(self, text: str = "hello", **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.http.post(
            "/inference/v1/chat/completions", json={"model": MODEL, "messages": messages, **body}
        )

    def said(self, text: str = "hello", **body: Any) -> str:
        response = self.chat(text, **body)
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])
