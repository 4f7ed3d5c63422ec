"""Finding the files of an input: names, patterns, and what is piped in."""

from __future__ import annotations

import errno
import filecmp
import glob
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol

from oumi_fireworks.errors import InputError
from oumi_fireworks.files import make_private_folder, open_private
from oumi_fireworks.tables.datasets_folder import files_in_cache, files_in_dataset

STDIN = "-"
"""The argument that stands for standard input."""

_STDIN_NAME = "standard input"
_PATTERN = frozenset("*?[")


class ReadableFile(Protocol):
    """A file of an input, wherever it is."""

    @property
    def name(self) -> str:
        """What to call it, for people."""

    def open(self) -> BufferedReader:
        """Open it for reading.

        Raises:
            OSError: If it cannot be read.
        """


def first_names(files: Sequence[ReadableFile]) -> str:
    """Name the first files of an input, for people."""
    names = ", ".join(file.name for file in files[:3])
    return f"{names}{', ...' if len(files) > 3 else ''}"


@dataclass(frozen=True)
class InputFile:
    """A file of an input.

    Attributes:
        path: Where it is.
        name: What to call it.
        is_piped: Whether it is a copy of standard input, which :func:`spool_stdin` makes.
    """

    path: Path
    name: str
    is_piped: bool = False

    def open(self) -> BufferedReader:
        """Open it for reading.

        Raises:
            OSError: If it cannot be read.
        """
        return self.path.open("rb")

    @classmethod
    def piped(cls, path: Path) -> InputFile:
        """Return the file that standard input will be put into."""
        return cls(path, _STDIN_NAME, is_piped=True)


def find_files(arguments: Iterable[str], leave_out: Iterable[Path] = ()) -> list[InputFile]:
    """Find the files that arguments name, in their order; those of a pattern by name.

    A file that is named twice, by overlapping patterns say, is read once.

    Args:
        arguments: Paths and glob patterns (``**`` reaches into folders); not :data:`STDIN`.
        leave_out: Files that a pattern does not stand for, such as the output.

    Raises:
        InputError: If there is no such file.
    """
    found: dict[Path, InputFile] = {}
    hidden = {path.resolve() for path in leave_out}
    for argument in arguments:
        for path in _matches(argument, hidden):
            found.setdefault(path.resolve(), InputFile(path, _name(path)))
    return list(found.values())


def _matches(argument: str, hidden: set[Path]) -> list[Path]:
    path = Path(argument).expanduser()
    if path.is_dir():
        files = files_in_dataset(path)
        if files is None:
            raise InputError(f"{argument} is a folder. Name its files: {path / '*.jsonl'}")
        return files
    if path.exists():
        if path.resolve() in hidden:
            raise InputError(f"{argument} is both an input and the output.")
        if not path.is_file():
            raise InputError(
                f"{argument} is no file but a pipe or a device, and an input is read more than "
                f"once. Pipe it in instead: --input - < {argument}"
            )
        return [path]
    if not _PATTERN & set(argument):
        if (files := files_in_cache(argument)) is not None:
            return files
        raise InputError(f"There is no file {argument}.")
    names = sorted(glob.glob(str(path), recursive=True))
    files = [each for name in names if (each := Path(name)).is_file()]
    if not (files := [each for each in files if each.resolve() not in hidden]):
        raise InputError(f"No file matches {argument}.")
    return files


def _name(path: Path) -> str:
    """Return a path as text, also where its bytes are no text."""
    return os.fsencode(path).decode("utf-8", "replace")


def _is_closed(stream: BinaryIO) -> bool:
    """Tell whether a process was started without the stream (``<&-``)."""
    try:
        os.read(stream.fileno(), 0)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def spool_stdin(stream: BinaryIO, file: InputFile, *, keep: bool = False) -> None:
    """Put standard input on the disk, since it is read more than once.

    When nothing is piped in (a terminal, an empty stream, a closed one) and an earlier process has
    put its own there, that one is used: so a run can be resumed without the command before the
    pipe.

    Args:
        stream: Standard input.
        file: Where to put it.
        keep: Whether what is there belongs to a run that is not finished, and must stay.

    Raises:
        InputError: If there is nothing, if it is not what must stay, or if the disk does not take
            it.
    """
    path = file.path
    if stream.isatty() or _is_closed(stream):
        if path.exists():
            return
        raise InputError("Nothing is piped into standard input.")
    temporary = path.with_name(path.name + ".new")
    try:
        make_private_folder(path.parent)
        with open_private(temporary) as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
            size = copy.tell()
        if not path.exists() or (size and not keep):
            temporary.replace(path)
        elif size and not filecmp.cmp(path, temporary, shallow=False):
            raise InputError(
                "Standard input is not what the unfinished run was begun with. Pipe the same in "
                f"again, or nothing: what was piped in then is in {path}."
            )
    except OSError as error:
        raise InputError(f"Cannot put standard input to {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
