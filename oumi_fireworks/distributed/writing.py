"""Finished blocks into a folder, by Ray's own writers; a run that was killed goes on there.

The files of a part are named after its first block. When they are there, a note says which they
are, and what their blocks asked: blocks that ask the same the next time are finished, and only
looked at. Files that no note speaks of are removed at the end. ``_SUCCESS`` shows that all parts
are there, as with Spark and Hadoop.

Blocks that the budget did not allow are parts of their own, with notes of their own. There is no
``_SUCCESS`` beside these: the same run goes on there, and first removes them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import ray.data
from ray.data import Dataset
from ray.data.datasource import FilenameProvider

from oumi_fireworks.distributed.driver import FinishedBlock
from oumi_fireworks.distributed.stages import Collected
from oumi_fireworks.errors import WriteError

_BLOCKS_A_PART = 16
"""Blocks that are written together: Ray needs moments to begin, however little is written."""

_RUN, _SUCCESS, _PART = "_oumi_fireworks.json", "_SUCCESS", "part-"
_NOTE, _OPEN_NOTE = "_done-", "_open-"

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
            self._remove_open_parts()
            return
        if names and not overwrite:
            raise WriteError(
                f"{self.name} exists and is not empty. Name another folder, or say --overwrite to "
                "replace what an earlier run has written there. Nothing was sent."
            )
        for name in names:
            if name.startswith((_PART, _NOTE, _OPEN_NOTE)) or name in (_RUN, _SUCCESS):
                self.files.delete_file(f"{self.path}/{name}")
        self.files.create_dir(self.path, recursive=True)
        self._put(_RUN, json.dumps({"run": run}).encode())

    def finish(self) -> None:
        """Remove what is of no use, and show that everything is there, if it is.

        A writer that was thought dead may have left files until now.
        """
        waiting = self._prefixes(_OPEN_NOTE)
        self._remove_parts_but((*self._prefixes(_NOTE), *waiting))
        if not waiting:
            self._put(_SUCCESS, b"")

    def note(self, prefix: str, blocks: Sequence[FinishedBlock]) -> None:
        """Note that a part is written, and what has become of its blocks.

        Args:
            prefix: How the names of its files begin.
            blocks: All done, or all over budget.
        """
        said = [[each.number, each.digest, each.collected.to_json()] for each in blocks]
        kind = _OPEN_NOTE if _is_open(blocks[0]) else _NOTE
        note = json.dumps({"prefix": prefix, "blocks": said})
        self._put(f"{kind}{blocks[0].number:06}.json", note.encode())

    def written(self) -> dict[int, tuple[str, Collected]]:
        """Return what the blocks that are written asked, and what has become of them."""
        return {
            number: (digest, Collected.from_json(collected))
            for note in self._notes(_NOTE)
            for number, digest, collected in note["blocks"]
        }

    def _remove_open_parts(self) -> None:
        """Remove the rows that were over budget: they are made anew, or are sent now."""
        prefixes = self._prefixes(_OPEN_NOTE)
        for name in list(self._names()):
            if prefixes and name.startswith(prefixes):
                self.files.delete_file(f"{self.path}/{name}")
        for name in list(self._names()):
            if name.startswith(_OPEN_NOTE):
                self.files.delete_file(f"{self.path}/{name}")

    def _remove_parts_but(self, prefixes: tuple[str, ...]) -> None:
        for name in list(self._names()):
            if name.startswith(_PART) and not name.startswith(prefixes):
                self.files.delete_file(f"{self.path}/{name}")

    def _prefixes(self, kind: str) -> tuple[str, ...]:
        return tuple(note["prefix"] for note in self._notes(kind))

    def _notes(self, kind: str) -> Iterator[dict[str, Any]]:
        for name in sorted(self._names()):
            if name.startswith(kind) and (note := self._read(name)) is not None:
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
            _write_parts(waiting.pop(number), folder, kind)
    for _, part in sorted(waiting.items()):
        _write_parts(part, folder, kind)
    folder.finish()


def _write_parts(blocks: list[FinishedBlock], folder: Folder, kind: str) -> None:
    """Write the blocks of a part; some that are over budget are a part of their own."""
    blocks.sort(key=lambda block: block.number)
    for (is_written, _), alike in groupby(
        blocks, lambda each: (each.table is None, _is_open(each))
    ):
        if not is_written:
            _write_part(list(alike), folder, kind)


def _write_part(blocks: Sequence[FinishedBlock], folder: Folder, kind: str) -> None:
    prefix = f"{_PART}{blocks[0].number:06}-{secrets.token_hex(4)}-"
    dataset = ray.data.from_arrow_refs([block.table for block in blocks])
    WRITERS[kind](dataset)(
        folder.name, filename_provider=PartNames(prefix, _SUFFIXES[kind]), filesystem=folder.files
    )
    folder.note(prefix, blocks)


def _is_open(block: FinishedBlock) -> bool:
    """Tell whether a block was left out since the budget did not allow it."""
    return block.collected.over_budget > 0
