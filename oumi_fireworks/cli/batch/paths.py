"""The files that a command reads and writes, settled before anything is done."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables import STDIN, InputFile, find_files
from oumi_fireworks.tables.files import spool_stdin
from oumi_fireworks.tables.output import LocalOutput, Output, StandardOutput
from oumi_fireworks.tables.remote import (
    RemoteFile,
    RemoteOutput,
    find_remote,
    local_name,
    scheme_of,
)

STDOUT = "-"
"""The argument that stands for standard output, where that is possible."""


def require_writable(*paths: Path | None) -> None:
    """Try to write, before anything is sent, beside each file that will be written in the end.

    So a name that is too long or a folder that is read-only is found out before it costs.

    Args:
        paths: The files; None for one that is not wanted.

    Raises:
        WrongUseError: If one cannot be written.
    """
    for path in paths:
        if path is None:
            continue
        target = Path(os.path.realpath(path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                target.lstat()  # notices a name that is too long
            with tempfile.TemporaryFile(dir=target.parent):
                pass
        except OSError as error:
            reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
            raise WrongUseError(
                f"Cannot write {path}: {ended(reason)} Nothing was sent. Name another place for it."
            ) from error


def choose_inputs(
    arguments: Sequence[str], configured: str | None, leave_out: Iterable[Path], stdin: Path
) -> list[InputFile | RemoteFile]:
    """Return the input's files.

    Args:
        arguments: What the command line names.
        configured: ``input_path`` of the configuration, where the command line names nothing.
        leave_out: Files that a pattern does not stand for.
        stdin: Where standard input will be, when it is the input.

    Raises:
        WrongUseError: If there is no input.
        InputError: If a file is not there.
    """
    named = list(arguments) or ([configured] if configured else [])
    if not named:
        raise WrongUseError("There is no input. Name one with --input FILE, or - to pipe it in.")
    if STDIN not in named:
        return _find_all(named, leave_out, stdin.parent)
    if len(named) > 1:
        raise WrongUseError("Standard input (-) cannot be mixed with files.")
    return [InputFile.piped(stdin)]


def _find_all(
    named: Sequence[str], leave_out: Iterable[Path], folder: Path
) -> list[InputFile | RemoteFile]:
    """Find files; a pipe, such as /dev/stdin or a shell's <(...), is read once, and to a copy."""
    hidden = list(leave_out)
    found: dict[Path | str, InputFile | RemoteFile] = {}
    for number, name in enumerate(map(local_name, named)):
        if scheme_of(name) is not None:
            found |= {file.url: file for file in find_remote(name)}
        elif _is_pipe(Path(name).expanduser()):
            copy = folder / f"pipe-{number}"
            found[copy] = InputFile(copy, name, is_piped=True)
        else:
            found |= {file.path.resolve(): file for file in find_files([name], hidden)}
    return list(found.values())


def _is_pipe(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def spool_inputs(files: Iterable[InputFile | RemoteFile], *, keep: bool = False) -> None:
    """Put standard input and pipes on the disk; see :func:`spool_stdin`."""
    for file in files:
        if isinstance(file, RemoteFile):
            continue
        if file.is_piped and _is_pipe(source := Path(file.name).expanduser()):
            with source.open("rb") as stream:
                spool_stdin(stream, file, keep=keep)
        elif file.is_piped:
            spool_stdin(sys.stdin.buffer, file, keep=keep)


def require_usable(output: Path) -> None:
    """Refuse an output that is no file.

    Raises:
        WrongUseError: If it is something else.
    """
    if output.exists() and not output.is_file():
        raise WrongUseError(f"The output {output} is not a regular file.")


def results_output(name: str | None, folder: Path, *, overwrite: bool) -> Output:
    """Return where results go, standard output by default.

    Args:
        name: A path, a URL, or :data:`STDOUT`.
        folder: Where something that goes elsewhere is kept meanwhile.
        overwrite: Whether what is there may be replaced.

    Raises:
        WrongUseError: If they cannot go there.
    """
    output = output_named(name or STDOUT, folder)
    require_free(output, overwrite=overwrite)
    require_writable(*local_files(output))
    return output


def local_inputs(files: Iterable[InputFile | RemoteFile]) -> list[Path]:
    """Return the files of an input that are on this machine."""
    return [file.path for file in files if isinstance(file, InputFile)]


def require_report_apart(report: Path | None, files: Iterable[Path]) -> None:
    """Refuse a report where a file of the batch is.

    Args:
        report: Where it goes, if one is wanted.
        files: What is read and written beside it.

    Raises:
        WrongUseError: If it would replace one of them, or is a folder.
    """
    if report is None:
        return
    if report.is_dir():
        raise WrongUseError(f"The report {report} is a folder. Name a file: {report / 'r.html'}")
    if report.resolve() in {file.resolve() for file in files}:
        raise WrongUseError(
            f"The report {report} would replace a file of the batch. Call it {report}.html, "
            "for example."
        )


def output_named(name: str, folder: Path) -> Output:
    """Return the place of that name.

    Args:
        name: A path, a URL, or :data:`STDOUT`.
        folder: Where something that goes elsewhere is kept meanwhile.

    Raises:
        WrongUseError: If it is no file.
        ConfigurationError: If its driver is not installed.
    """
    if name == STDOUT:
        return StandardOutput()
    if scheme_of(name := local_name(name)) is not None:
        return RemoteOutput(name, folder)
    require_usable(path := Path(name))
    return LocalOutput(path)


def local_files(output: Output) -> list[Path]:
    """Return the files of an output that are on this machine."""
    both = (output, output.errors)
    return [each.path for each in both if isinstance(each, LocalOutput)]


def require_free(output: Output, *, overwrite: bool) -> None:
    """Refuse an output that would replace something, unless that is wanted.

    Raises:
        WrongUseError: If it exists.
        WriteError: If its store cannot be reached.
    """
    exists = output.exists()  # also asked where it does not matter: a store that is out of reach
    if exists and not overwrite:
        raise WrongUseError(
            f"{output.name} exists already. Nothing was sent, so nothing is paid twice. Say "
            "--overwrite to go ahead and replace it."
        )
