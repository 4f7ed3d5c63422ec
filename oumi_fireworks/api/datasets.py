"""Datasets: the files that go into a batch job and come out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from oumi_fireworks.api.bodies import FileBody
from oumi_fireworks.api.pages import Page
from oumi_fireworks.api.transport import Transport
from oumi_fireworks.api.values import id_of, int_at, mapping_at, objects_at, text_at, time_at
from oumi_fireworks.errors import ConfigurationError, MalformedAnswerError

DIRECT_UPLOAD_BYTES = 150_000_000
"""Largest file that ``:upload`` takes (Fireworks' batch guide); beyond, use a signed URL."""

READY = "READY"

_PLAIN = frozenset({"", "ENCRYPTION_STATE_UNSPECIFIED", "ENCRYPTION_STATE_PLAINTEXT"})
"""States of a dataset that takes an upload as it is. Source: ``dataset_upload`` of fireworks-ai."""

_OWNER = re.compile(r"dataset/([^/]+)/")
"""Finds the dataset in the name of a listed file: ``dataset/<id>/<file>``."""


@dataclass(frozen=True)
class Dataset:
    """A dataset's description.

    Attributes:
        id: The last part of its name.
        name: ``accounts/<account>/datasets/<id>``.
        state: ``UPLOADING`` or ``READY``.
        example_count: Rows, as declared when it was made; the service does not count them.
        display_name: For people; ours says which content was to go in.
        created: When it was made.
        status_message: What the service says is wrong with it, if anything.
        encryption_state: ``ENCRYPTION_STATE_...`` where the account has a key of its own for its
            datasets; empty for most.
    """

    id: str
    name: str
    state: str
    example_count: int = 0
    display_name: str = ""
    created: datetime | None = None
    status_message: str = ""
    encryption_state: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether its file is in place and a job may use it."""
        return self.state == READY

    @property
    def is_plain(self) -> bool:
        """Whether it takes a file as it is, not encrypted with a key of the customer's."""
        return self.encryption_state in _PLAIN

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Dataset:
        """Read the service's JSON."""
        name = text_at(raw, "name")
        return cls(
            id=id_of(name),
            name=name,
            state=text_at(raw, "state").removeprefix("STATE_"),
            example_count=int_at(raw, "exampleCount"),
            display_name=text_at(raw, "displayName"),
            created=time_at(raw, "createTime"),
            status_message=text_at(mapping_at(raw, "status"), "message"),
            encryption_state=text_at(raw, "encryptionState"),
        )


@dataclass(frozen=True)
class Datasets:
    """``/v1/accounts/<account>/datasets`` of one account."""

    transport: Transport
    account: str

    @property
    def _path(self) -> str:
        return f"/v1/accounts/{self.account}/datasets"

    def name(self, dataset_id: str) -> str:
        """Return the resource name for an id; a name stays as it is."""
        if dataset_id.startswith("accounts/"):
            return dataset_id
        return f"accounts/{self.account}/datasets/{dataset_id}"

    async def create(
        self, dataset_id: str, *, example_count: int, display_name: str = ""
    ) -> Dataset:
        """Make an empty dataset that waits for its upload.

        Args:
            dataset_id: Lower-case letters, digits and hyphens; at most 63.
            example_count: Rows that the file will have. Required by the service.
            display_name: For people; the service keeps it as it is.

        Raises:
            ConflictError: If it exists, maybe because an earlier answer to this was lost.
            ConfigurationError: If the account encrypts its datasets with a key of its own.
        """
        fields: dict[str, Any] = {"userUploaded": {}, "exampleCount": str(example_count)}
        if display_name:
            fields["displayName"] = display_name
        body = {
            "datasetId": dataset_id,
            "dataset": fields,
        }
        dataset = Dataset.parse(
            await self.transport.request("POST", self._path, json=body, about=dataset_id)
        )
        if not dataset.is_plain:
            raise ConfigurationError(
                f"The account {self.account} encrypts its datasets with a key of its own "
                f"({dataset.encryption_state}), and files that are not encrypted with it cannot "
                f"be uploaded. Nothing was uploaded to {dataset_id}. Use online inference, or an "
                "account without such a key."
            )
        return dataset

    async def get(self, dataset_id: str) -> Dataset:
        """Fetch one. Raises NotFoundError if there is none."""
        path = f"/v1/{self.name(dataset_id)}"
        return Dataset.parse(await self.transport.request("GET", path, about=dataset_id))

    async def delete(self, dataset_id: str) -> None:
        """Remove one with its files. Raises NotFoundError if there is none."""
        await self.transport.request("DELETE", f"/v1/{self.name(dataset_id)}")

    async def page(self, token: str = "", *, size: int = 200) -> Page[Dataset]:
        """Fetch one page of ``size`` datasets at the most, 200 at the most."""
        params = {"pageSize": str(size)}
        if token:
            params["pageToken"] = token
        answer = await self.transport.request("GET", self._path, params=params)
        return Page(
            items=[Dataset.parse(raw) for raw in objects_at(answer, "datasets")],
            next_token=text_at(answer, "nextPageToken"),
            total=int_at(answer, "totalSize"),
        )

    async def upload(self, dataset_id: str, path: Path) -> None:
        """Send a file of at most :data:`DIRECT_UPLOAD_BYTES` straight to Fireworks, once.

        Not repeated here: whether a lost answer means a lost file is for the caller to find
        out, by looking at the dataset's state.
        """
        await self.transport.exchange(
            "POST", f"/v1/{self.name(dataset_id)}:upload", body=FileBody.form(path)
        )

    async def upload_urls(self, dataset_id: str, sizes: Mapping[str, int]) -> dict[str, str]:
        """Ask for signed URLs to PUT files to.

        Args:
            dataset_id: The dataset.
            sizes: Bytes by file name.

        Returns:
            URLs by file name.

        Raises:
            MalformedAnswerError: If there are none.
        """
        answer = await self.transport.request(
            "POST",
            f"/v1/{self.name(dataset_id)}:getUploadEndpoint",
            json={"filenameToSize": {name: str(size) for name, size in sizes.items()}},
        )
        urls = _urls(answer)
        if not urls:
            raise MalformedAnswerError(f"Fireworks gave no URL to upload to {dataset_id} with.")
        return urls

    async def validate_upload(self, dataset_id: str) -> None:
        """Tell Fireworks that the signed upload is complete."""
        await self.transport.request("POST", f"/v1/{self.name(dataset_id)}:validateUpload", json={})

    async def download_urls(self, dataset_id: str) -> dict[str, str]:
        """Ask for signed URLs to GET a dataset's files from; they live about ten minutes.

        Returns:
            URLs by file name. A name carries a path (``dataset/<id>/BIJOutputSet.jsonl``) and
            is for reading only: never make a local path of it.
        """

        async def ask() -> dict[str, str]:
            path = f"/v1/{self.name(dataset_id)}:getDownloadEndpoint"
            urls = _urls(await self.transport.exchange("GET", path))
            for name in urls:
                owner = _OWNER.match(name)
                if owner and owner[1] != id_of(dataset_id):
                    raise MalformedAnswerError(
                        f"Fireworks was asked for the files of {dataset_id}, and sent {name}."
                    )
            return urls

        return await self.transport.retry.run(ask)


def _urls(answer: Mapping[str, Any]) -> dict[str, str]:
    urls = mapping_at(answer, "filenameToSignedUrls")
    return {name: url for name, url in urls.items() if isinstance(url, str)}
