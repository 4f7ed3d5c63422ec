"""Finished blocks into a folder, by Ray's own writers; a run that was killed goes on there.

The files of a part are named after its place in the dataset. When they are there, a note says which
they are, and what their blocks asked: blocks that ask the same the next time are finished, and only
looked at. Files that no note speaks of are removed at the end. ``_SUCCESS`` shows that all parts
are there, as with Spark and Hadoop.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import ray.data
from ray.data import Dataset
from ray.data.datasource import FilenameProvider

from oumi_fireworks.distributed.cluster import FinishedBlock
from oumi_fireworks.distributed.stages import Collected
from oumi_fireworks.errors import WriteError

_BLOCKS_A_PART = 16
"""Blocks that are written together: Ray needs moments to begin, however little is written."""

_RUN, _SUCCESS, _PART, _NOTE = "_oumi_fireworks.json", "_SUCCESS", "part-", "_done-"

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
        prefix: How the names of the part begin.
        suffix: How they end.
    """

    def __init__(self, prefix: str, suffix: str) -> None:
        super().__init__(file_format=suffix)
        self._prefix = prefix

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        """Return the name of a file; Ray insists on its own id of the write being in it."""
        return f"{self._prefix}{task_index:04}-{write_uuid}.{self.file_format}"


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
            if name.startswith((_PART, _NOTE)) or name in (_RUN, _SUCCESS):
                self.files.delete_file(f"{self.path}/{name}")
        self.files.create_dir(self.path, recursive=True)
        self._put(_RUN, json.dumps({"run": run}).encode())

    def finish(self) -> None:
        """Show that everything is there, and remove what is of no use.

        A writer that was thought dead may have left files until now.
        """
        whole = tuple(note["prefix"] for note in self._notes())
        for name in list(self._names()):
            if name.startswith(_PART) and not name.startswith(whole):
                self.files.delete_file(f"{self.path}/{name}")
        self._put(_SUCCESS, b"")

    def note(self, part: int, prefix: str, blocks: Iterable[FinishedBlock]) -> None:
        """Note that a part is written, and what has become of its blocks."""
        said = [[each.number, each.digest, asdict(each.collected)] for each in blocks]
        note = json.dumps({"prefix": prefix, "blocks": said})
        self._put(f"{_NOTE}{part:06}.json", note.encode())

    def written(self) -> dict[int, tuple[str, Collected]]:
        """Return what the blocks that are written asked, and what has become of them."""
        return {
            number: (digest, Collected(**collected))
            for note in self._notes()
            for number, digest, collected in note["blocks"]
        }

    def _notes(self) -> Iterator[dict[str, Any]]:
        for name in sorted(self._names()):
            if name.startswith(_NOTE) and (note := self._read(name)) is not None:
                yield note

    def _names(self) -> Iterator[str]:
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return (info.base_name for info in self.files.get_file_info(selector))

    def _run(self) -> str | None:
        found = self._read(_RUN)
        return found.get("run") if isinstance(found, dict) else None

    def _read(self, name: str) -> Any:
        """Return what a file of JSON holds; None where it is not whole."""
        try:
            with self.files.open_input_file(f"{self.path}/{name}") as file:
                return json.loads(file.read())
        except (OSError, ValueError):
            return None

    def _put(self, name: str, content: bytes) -> None:
        with self.files.open_output_stream(f"{self.path}/{name}") as file:
            file.write(content)


def write(blocks: Iterable[FinishedBlock], folder: Folder, kind: str) -> None:
    """Write blocks as they are finished, some at a time. The cluster keeps none of them for long.

    Args:
        blocks: The blocks, in any order; those that are written already have no table.
        folder: Where to; see :meth:`Folder.begin`.
        kind: One of :data:`WRITERS`.
    """
    waiting: dict[int, list[FinishedBlock]] = {}
    for block in blocks:
        number = block.number // _BLOCKS_A_PART
        part = waiting.setdefault(number, [])
        part.append(block)
        if len(part) == _BLOCKS_A_PART:
            _write_part(number, waiting.pop(number), folder, kind)
    for number, part in sorted(waiting.items()):
        _write_part(number, part, folder, kind)
    folder.finish()


def _write_part(number: int, blocks: list[FinishedBlock], folder: Folder, kind: str) -> None:
    if all(block.table is None for block in blocks):
        return
    blocks.sort(key=lambda block: block.number)
    prefix = f"{_PART}{number:06}-{secrets.token_hex(4)}-"
    dataset = ray.data.from_arrow_refs([block.table for block in blocks])
    WRITERS[kind](dataset)(
        folder.name, filename_provider=PartNames(prefix, _SUFFIXES[kind]), filesystem=folder.files
    )
    folder.note(number, prefix, blocks)
