"""Local files: replaced as a whole or not at all, appended to by whole lines, private if need be.

A run that is killed, or a disk that is full, leaves the file that was there before. Nothing here
follows a symbolic link that somebody else put in the place of one of our own temporary files.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from oumi_fireworks.errors import FireworksError, WriteError
from oumi_fireworks.grammar import ended

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PRIVATE_FILE = 0o600
"""What only the user may read and write: prompts, answers, the state of a run."""
_PUBLIC_FILE = 0o666
"""What the umask decides about."""
PRIVATE_FOLDER = 0o700

_BUFFER_BYTES = 1 << 20

_BLOCK_BYTES = 64 * 1024
"""Bytes read at a time from the end of a file."""

_LONGEST_NAME_BYTES = 255
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Flag that refuses a symbolic link; Windows does not have it."""
_WRITE = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
"""Flags to write; on Windows one that keeps ``\\n`` from becoming ``\\r\\n``."""


def cache_folder() -> Path:
    """Return where this package keeps what belongs beside no output.

    Raises:
        RuntimeError: If the user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oumi-fireworks"


@contextmanager
def replacing(
    path: Path,
    *,
    advice: str,
    private: bool = False,
    unless_empty: bool = False,
    error: type[WriteError] = WriteError,
) -> Iterator[BinaryIO]:
    """Write a file beside its place, and move it there when the block has come to its end.

    Its folder is made if need be. A symbolic link stays one: its target is replaced. A file that
    is replaced keeps its mode; a new one has what the umask allows. What is no regular file, such
    as a pipe, is written to directly. The content has reached the disk when the block has ended.

    Args:
        path: The file.
        advice: Ends the message of an error: what is not lost, and what to do.
        private: Whether nobody else may read it: mode 0600, whatever the umask.
        unless_empty: Whether a file without content is to be no file at all.
        error: The class of the error.

    Raises:
        WriteError: If the disk does not take it. What was there before is still there.
    """

    def refusal(problem: OSError) -> WriteError:
        return error(f"Cannot write {path}: {ended(problem.strerror or problem)} {advice}")

    target = Path(os.path.realpath(path))
    try:
        _make_folder(target.parent)
        descriptor, temporary = _open_beside(target, private)
    except OSError as problem:
        raise refusal(problem) from problem
    ours = os.fstat(descriptor)
    file = io.BufferedWriter(_Reporting(descriptor, refusal), _BUFFER_BYTES)
    try:
        yield file
        file.flush()
        if temporary is None:
            return
        try:
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
            file.close()
            if not _is_same(ours, temporary):
                raise FileExistsError(0, "another process writes the same file")
            if size or not unless_empty:
                temporary.replace(target)
            else:
                target.unlink(missing_ok=True)
            sync_folder(target.parent)
        except OSError as problem:
            raise refusal(problem) from problem
    finally:
        with suppress(OSError, FireworksError):
            file.close()  # after a failure it tries once more to write what it holds
        if temporary is not None and _is_same(ours, temporary):
            temporary.unlink()


def write_whole(
    path: Path,
    content: bytes,
    *,
    advice: str,
    private: bool = False,
    error: type[WriteError] = WriteError,
) -> None:
    """Replace a file by some content. See :func:`replacing`."""
    with replacing(path, advice=advice, private=private, error=error) as file:
        file.write(content)


def open_private(path: Path, *, append: bool = False) -> BinaryIO:
    """Open a file of our own to write to it, mode 0600 whatever the umask.

    Args:
        path: The file, in a folder of ours; made if need be.
        append: Whether to go on at its end, instead of beginning anew.

    Raises:
        OSError: If it cannot be written, or is a symbolic link.
    """
    flags = _WRITE | _NO_FOLLOW | (os.O_APPEND if append else os.O_TRUNC)
    descriptor = os.open(path, flags, PRIVATE_FILE)
    _set_mode(descriptor, PRIVATE_FILE)
    return os.fdopen(descriptor, "ab" if append else "wb", _BUFFER_BYTES)


def make_private_folder(path: Path) -> bool:
    """Make a folder that only the user may enter, whatever the umask; False if it is there.

    A folder that is there already stays as it is. Missing folders above it are made as usual, but
    inside of a private folder they are private as well.

    Raises:
        OSError: If it cannot be made.
    """
    above = path.parent
    if not above.exists():
        if _is_private(next(each for each in above.parents if each.exists())):
            make_private_folder(above)
        else:
            above.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        if not path.is_dir():
            raise
        return False
    path.chmod(PRIVATE_FOLDER)
    return True


def _is_private(folder: Path) -> bool:
    return stat.S_IMODE(folder.stat().st_mode) == PRIVATE_FOLDER


def sync_file(path: Path) -> None:
    """Have the system write to the disk what it holds of a file in memory."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make a replaced file outlast a crash of the machine, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class AppendedFile:
    """Append whole lines to a file through one open handle; made with the first line.

    Each line is handed to the system before :meth:`append` returns, so that a killed process loses
    none. Use it in one thread at a time.

    Args:
        path: The file, in a folder that need not exist yet.
        private: Whether a new one is for the user alone: mode 0600, else what the umask allows.
    """

    def __init__(self, path: str | os.PathLike[str], *, private: bool = True) -> None:
        self.path = Path(path)
        self._mode = PRIVATE_FILE if private else _PUBLIC_FILE
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, line: bytes) -> None:
        """Append one line, which brings its line break.

        Raises:
            OSError: If the file cannot be written.
        """
        descriptor = self.open()
        # One call for the line: with O_APPEND it stays whole even if others write, too.
        written = os.write(descriptor, line)
        while written < len(line):
            written += os.write(descriptor, line[written:])

    def sync(self) -> None:
        """Let what was appended outlast a crash of the machine."""
        os.fsync(self.open())

    def close(self) -> None:
        """Close the file. Safe to repeat; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def open(self) -> int:
        """Return the descriptor of the file, opened unless it is open.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            cut_unfinished_line(self.path)
            self._descriptor = os.open(self.path, _WRITE | os.O_APPEND, self._mode)
        return self._descriptor


def cut_unfinished_line(path: str | os.PathLike[str]) -> int:
    """Cut off a last line that a kill or a full disk left unfinished.

    Args:
        path: The file; it need not exist.

    Returns:
        How many bytes were cut off.

    Raises:
        OSError: If the file cannot be read or written.
    """
    try:
        file = Path(path).open("r+b")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return 0
    with file:
        size = file.seek(0, os.SEEK_END)
        whole = _end_of_last_line(file, size)
        if whole < size:
            file.truncate(whole)
        return size - whole


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, after :func:`cut_unfinished_line`; none where there is no file.

    Raises:
        OSError: If the file cannot be read or written.
    """
    cut_unfinished_line(path)
    return path.read_bytes().splitlines() if path.exists() else []


class _Reporting(io.FileIO):
    """A file whose failures to write name the file and say what to do."""

    def __init__(self, descriptor: int, refusal: Callable[[OSError], WriteError]) -> None:
        super().__init__(descriptor, "wb")
        self._refusal = refusal

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            raise self._refusal(problem) from problem


def _open_beside(target: Path, private: bool) -> tuple[int, Path | None]:
    """Open the temporary file for a target; the target itself where it is no regular file."""
    try:
        found = target.stat()
    except FileNotFoundError:
        mode = PRIVATE_FILE if private else None
    else:
        if not stat.S_ISREG(found.st_mode):
            return os.open(target, os.O_WRONLY), None
        mode = PRIVATE_FILE if private else stat.S_IMODE(found.st_mode)
    temporary = _temporary_for(target)
    temporary.unlink(missing_ok=True)  # what an earlier process left, or a link
    flags = _WRITE | os.O_EXCL | _NO_FOLLOW
    descriptor = os.open(temporary, flags, _PUBLIC_FILE if mode is None else mode)
    if mode is not None:
        _set_mode(descriptor, mode)
    return descriptor, temporary


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def _temporary_for(target: Path) -> Path:
    """Return the hidden file beside a target that its content is written to first."""
    name = f".{target.name}.part"
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}.part"
    return target.with_name(name)


def _is_same(ours: os.stat_result, path: Path) -> bool:
    """Tell whether a path is still our own file, and not one that another process put there."""
    try:
        return os.path.samestat(ours, path.lstat())
    except FileNotFoundError:
        return False


def _set_mode(descriptor: int, mode: int) -> None:
    if hasattr(os, "fchmod"):  # not on Windows
        os.fchmod(descriptor, mode)


def _end_of_last_line(file: BinaryIO, size: int) -> int:
    """Return the offset behind the last line break, 0 if there is none."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
