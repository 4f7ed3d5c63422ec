"""Files in buckets, on the web and on the Hugging Face Hub, by way of fsspec."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from oumi_fireworks.errors import ConfigurationError, InputError, WriteError
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables.output import BeforeReplacing, packed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_PATTERN = frozenset("*?[")
_BUFFER_BYTES = 1 << 20

_EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hf",
}  # fmt: skip
"""The extra of this package that brings a driver."""

_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "hf", "memory", "oss"})
"""Stores in which a file is there when all of it has arrived, and not before."""


def scheme_of(name: str) -> str | None:
    """Return the scheme of a URL, None for anything else, such as a path."""
    match = _SCHEME.match(name)
    return None if match is None else match[1].lower()


def local_name(name: str) -> str:
    """Return the path of a ``file:`` URL; any other name as it is."""
    return unquote(urlsplit(name).path) if scheme_of(name) == "file" else name


@dataclass(frozen=True)
class RemoteFile:
    """A file that is somewhere else.

    Attributes:
        url: Where.
    """

    url: str

    @property
    def name(self) -> str:
        """Its URL."""
        return self.url

    def open(self) -> BufferedReader:
        """Open it for reading.

        Raises:
            OSError: If it cannot be read.
            ConfigurationError: If its driver is not installed.
        """
        file_system, path = _file_system(self.url)
        raw = _attempt(lambda: file_system.open(path, "rb"))
        return io.BufferedReader(_Raw(raw), _BUFFER_BYTES)


def find_remote(url: str) -> list[RemoteFile]:
    """Return the files of a URL: itself, or those that match its pattern, by name.

    Raises:
        InputError: If there is none.
        ConfigurationError: If its driver is not installed.
    """
    file_system, path = _file_system(url)
    try:
        if not _PATTERN & set(path):
            if _attempt(lambda: file_system.isdir(path)):
                raise InputError(f"{url} is a folder. Name its files: {url.rstrip('/')}/*.parquet")
            if not _attempt(lambda: file_system.exists(path)):
                raise InputError(f"There is no file {url}.")
            return [RemoteFile(url)]
        found = sorted(_attempt(lambda: file_system.glob(path)))
        files = [each for each in found if _attempt(partial(file_system.isfile, each))]
    except OSError as error:
        raise InputError(f"Cannot look for {url}: {error}") from error
    if not files:
        raise InputError(f"No file matches {url}.")
    return [RemoteFile(file_system.unstrip_protocol(each)) for each in files]


class RemoteOutput:
    """A file that goes somewhere else: written on this machine, then uploaded as a whole.

    Args:
        url: Where to; packed if it is named .gz or .zst.
        folder: Where it is written meanwhile. What is kept there beside it tells a later process
            that it had been begun.

    Raises:
        ConfigurationError: If its driver is not installed.
    """

    def __init__(self, url: str, folder: Path) -> None:
        _file_system(url)  # before anything is paid, also where nothing is looked up
        self.url = url
        self._folder = folder
        self._begun = folder / "stdin.uploading"

    @property
    def name(self) -> str:
        """Its URL."""
        return self.url

    @property
    def errors(self) -> RemoteOutput:
        """The file beside it."""
        return RemoteOutput(f"{self.url}.errors.jsonl", self._folder)

    def exists(self) -> bool:
        """Tell whether there is something.

        Raises:
            ConfigurationError: If its driver is not installed.
            WriteError: If it cannot be found out.
        """
        file_system, path = _file_system(self.url)
        try:
            return bool(_attempt(lambda: file_system.exists(path)))
        except OSError as error:
            raise WriteError(
                f"Cannot look at {self.url}: {ended(error)} Nothing was sent."
            ) from error

    def was_begun(self) -> bool:
        """Tell whether an earlier process of this run has begun to upload it."""
        return self._begun.exists()

    @contextmanager
    def writing(
        self, *, unless_empty: bool = False, before_replacing: BeforeReplacing | None = None
    ) -> Iterator[BinaryIO]:
        """Write it on this machine, and upload it when the block has come to its end."""
        file_system, path = _file_system(self.url)
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="stdin.upload-") as file:
            with packed(cast(BinaryIO, file), path) as stream:
                yield stream
            file.flush()
            self._begun.touch()
            try:
                if unless_empty and not Path(file.name).stat().st_size:
                    if _attempt(lambda: file_system.exists(path)):
                        _attempt(lambda: file_system.rm_file(path))
                else:
                    self._upload(file_system, file.name, path)
            except OSError as error:
                raise WriteError(
                    f"Cannot write {self.url}: {ended(error)} Nothing is lost: what was answered "
                    "is kept. Run the same command again; nothing is paid twice."
                ) from error

    def _upload(self, file_system: Any, local: str, path: str) -> None:
        if scheme_of(self.url) in _WHOLE:
            _attempt(lambda: file_system.put_file(local, path))
            return
        if parent := path.rpartition("/")[0]:
            _attempt(lambda: file_system.makedirs(parent, exist_ok=True))
        part = f"{path}.part"
        _attempt(lambda: file_system.put_file(local, part))
        _attempt(lambda: file_system.mv(part, path))


class _Raw(io.RawIOBase):
    """A file of a driver, whose errors are those of files."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(_attempt(lambda: self._file.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: WriteableBuffer) -> int:
        with memoryview(buffer).cast("B") as view:
            data = _attempt(lambda: self._file.read(len(view)))
            view[: len(data)] = data
            return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _attempt(action: Callable[[], T]) -> T:
    """Do something with a driver; whatever goes wrong there is an OSError."""
    try:
        return action()
    except OSError as error:
        if error.strerror or str(error):
            raise
        raise OSError(type(error).__name__) from error
    except Exception as error:  # each driver has errors of its own
        raise OSError(f"{type(error).__name__}: {error}") from error


def _file_system(url: str) -> tuple[Any, str]:
    """Return the driver for a URL, and what it calls the file.

    Raises:
        ConfigurationError: If there is no such driver, or it is not installed.
    """
    from fsspec.core import url_to_fs

    scheme = scheme_of(url) or ""
    try:
        file_system, path = url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        install = f"pip install 'oumi-fireworks[{extra}]'" if extra else str(error)
        raise ConfigurationError(
            f"{scheme}:// needs a driver that is not installed: {install}."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{url} cannot be used: {ended(error)}") from error
    except Exception as error:  # a driver may look for credentials at once
        raise ConfigurationError(f"{url} cannot be reached: {ended(error)}") from error
    return file_system, str(path)
