"""What a batch was asked: its input datasets, read back from the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

from oumi_fireworks.api import FireworksClient, Job
from oumi_fireworks.api.lenient_json import lenient_loads
from oumi_fireworks.batch.ids import input_dataset_id
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.shared_prompt import with_prompt
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.files import make_private_folder
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


@dataclass(frozen=True)
class JobInput:
    """A file of requests on the local disk.

    Attributes:
        path: Where it is.
        system_prompt: What its job puts before each row that has no system message.
    """

    path: Path
    system_prompt: str = ""


async def collect_inputs(
    client: FireworksClient, jobs: Sequence[Job], folder: Path
) -> list[JobInput] | None:
    """Download the inputs of some jobs.

    Args:
        client: The account.
        jobs: The jobs, in the order of their rows.
        folder: Where to put the files. The names that come over the network are not used.

    Returns:
        The files, in the order of the jobs; None where the service no longer has all of them, or
        does not give them back.
    """
    make_private_folder(folder)
    files: list[JobInput] = []
    try:
        for job in jobs:
            dataset = job.input_dataset or input_dataset_id(job.id)
            for name in sorted(await client.datasets.download_urls(dataset)):
                path = folder / f"input-{len(files)}.jsonl"

                async def url(dataset: str = dataset, name: str = name) -> str:
                    return (await client.datasets.download_urls(dataset))[name]

                await client.storage.get(url, path, durable=False)
                files.append(JobInput(path, job.system_prompt))
    except (FireworksError, KeyError) as error:
        logger.debug("The input of %s cannot be read back: %s", job.id, error)
        return None
    return files or None


def read_requests(files: Iterable[JobInput]) -> Iterator[tuple[RowId, Mapping[str, Any]]]:
    """Yield the rows of inputs whose ids are of our form, with what was asked, in their order.

    Each file of ours holds its rows in order, and two of them may take turns. Others may have
    submitted anything: what cannot be read is passed over.
    """
    return merge(*map(_read, files), key=lambda row: row[0].index)


def _read(file: JobInput) -> Iterator[tuple[RowId, Mapping[str, Any]]]:
    with file.path.open("rb") as lines:
        for line in lines:
            try:
                request = lenient_loads(line)
            except ValueError:
                continue
            if not isinstance(request, dict):
                continue
            name, body = RowId.parse(request.get("custom_id")), request.get("body")
            if name is not None and isinstance(body, dict):
                yield name, with_prompt(body, file.system_prompt)
