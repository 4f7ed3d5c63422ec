"""Finished blocks into a folder, by Ray's own writers; a run that was killed goes on there.

The files of a part are named after its place in the dataset, and replace what an earlier run has
left of it. ``_SUCCESS`` shows that all parts are there, as with Spark and Hadoop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import ray.data
from ray.data import Dataset
from ray.data.datasource import FilenameProvider

from oumi_fireworks.distributed.cluster import FinishedBlock
from oumi_fireworks.errors import WriteError

_BLOCKS_A_PART = 16
"""Blocks that are written together: Ray needs moments to begin, however little is written."""

_RUN, _SUCCESS, _PART = "_oumi_fireworks.json", "_SUCCESS", "part-"

WRITERS: Mapping[str, Callable[[Dataset], Callable[..., None]]] = {
    "parquet": lambda dataset: dataset.write_parquet,
    "csv": lambda dataset: dataset.write_csv,
    "rows": lambda dataset: dataset.write_json,
}
"""How Ray writes each format."""

_SUFFIXES = {"parquet": "parquet", "csv": "csv", "rows": "jsonl"}


class PartNames(FilenameProvider):  # type: ignore[misc]  # Ray need not be there to check types
    """Names files after the part that they belong to.

    Args:
        part: The part.
        suffix: The end of the names.
    """

    def __init__(self, part: int, suffix: str) -> None:
        super().__init__(file_format=suffix)
        self._part = part

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        """Return the name of a file."""
        return f"{prefix_of(self._part)}{task_index:04}.{self.file_format}"


def prefix_of(part: int) -> str:
    """Return how the names of the files of a part begin."""
    return f"{_PART}{part:06}-"


@dataclass(frozen=True)
class Folder:
    """The folder of an output, here or in a bucket.

    Attributes:
        name: Its path or URL, as Ray takes it.
        files: The file system.
        path: Its path there.
    """

    name: str
    files: pafs.FileSystem
    path: str

    @classmethod
    def of(cls, name: str) -> Folder:
        """Return the folder of that name.

        Raises:
            WriteError: If it is on nothing that can be reached.
        """
        if "://" not in name:
            path = str(Path(name).expanduser().absolute())
            return cls(path, pafs.LocalFileSystem(), path)
        try:
            files, path = pafs.FileSystem.from_uri(name)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise WriteError(f"Cannot write to {name}: {error}") from error
        return cls(name, files, path)

    def begin(self, run: str, *, overwrite: bool) -> None:
        """Prepare it for a run, or find that the same run has begun here.

        Args:
            run: Differs where the run does.
            overwrite: Whether what an earlier run has written here may go.

        Raises:
            WriteError: If something else is there.
        """
        names = set(self._names())
        if names and self._run() == run and _SUCCESS not in names:
            return
        if names and not overwrite:
            raise WriteError(
                f"{self.name} exists and is not empty. Name another folder, or say --overwrite to "
                "replace what an earlier run has written there. Nothing was sent."
            )
        for name in names:
            if name.startswith(_PART) or name in (_RUN, _SUCCESS):
                self.files.delete_file(f"{self.path}/{name}")
        self.files.create_dir(self.path, recursive=True)
        self._put(_RUN, json.dumps({"run": run}).encode())

    def finish(self) -> None:
        """Show that everything is there."""
        self._put(_SUCCESS, b"")

    def clear(self, part: int) -> None:
        """Remove what an earlier run has written of a part."""
        for name in self._names():
            if name.startswith(prefix_of(part)):
                self.files.delete_file(f"{self.path}/{name}")

    def _names(self) -> Iterator[str]:
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return (info.base_name for info in self.files.get_file_info(selector))

    def _run(self) -> str | None:
        try:
            with self.files.open_input_file(f"{self.path}/{_RUN}") as file:
                found = json.loads(file.read())
        except (OSError, ValueError):
            return None
        return found.get("run") if isinstance(found, dict) else None

    def _put(self, name: str, content: bytes) -> None:
        with self.files.open_output_stream(f"{self.path}/{name}") as file:
            file.write(content)


def write(blocks: Iterable[FinishedBlock], folder: Folder, kind: str) -> None:
    """Write blocks as they are finished, some at a time. The cluster keeps none of them for long.

    Args:
        blocks: The blocks, in any order.
        folder: Where to; see :meth:`Folder.begin`.
        kind: One of :data:`WRITERS`.
    """
    waiting: dict[int, dict[int, Any]] = {}
    for block in blocks:
        number = block.number // _BLOCKS_A_PART
        part = waiting.setdefault(number, {})
        part[block.number] = block.table
        if len(part) == _BLOCKS_A_PART:
            _write_part(number, waiting.pop(number), folder, kind)
    for number, part in sorted(waiting.items()):
        _write_part(number, part, folder, kind)
    folder.finish()


def _write_part(number: int, tables: Mapping[int, Any], folder: Folder, kind: str) -> None:
    folder.clear(number)
    dataset = ray.data.from_arrow_refs([tables[each] for each in sorted(tables)])
    WRITERS[kind](dataset)(
        folder.name, filename_provider=PartNames(number, _SUFFIXES[kind]), filesystem=folder.files
    )
