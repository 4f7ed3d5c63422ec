"""Files as a Ray dataset whose rows are in the same order each time."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray.data
from ray.data import Dataset

from oumi_fireworks.errors import ConfigurationError, InputError

_READERS: Mapping[str, Callable[..., Dataset]] = {
    "parquet": ray.data.read_parquet,
    "csv": ray.data.read_csv,
    "jsonl": ray.data.read_json,
}
_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".json": "jsonl",
}


def read(names: Sequence[str], kind: str | None) -> Dataset:
    """Return the rows of files.

    Args:
        names: Paths, patterns, folders or URLs that Ray can read.
        kind: What they are; None tells it by their names.

    Raises:
        InputError: If a pattern stands for nothing.
        ConfigurationError: If Ray has no reader for them, or there is no telling what they are.
    """
    paths = [path for name in names for path in _matching(name)]
    kinds = {kind} if kind is not None else {_SUFFIXES.get(Path(path).suffix) for path in paths}
    reader = _READERS.get(kinds.pop() or "") if len(kinds) == 1 else None
    if reader is None:
        raise ConfigurationError(
            f"With --ray an input is {', '.join(_READERS)}, all files alike. Say which with "
            "--input-format."
        )
    return reader(paths)


def _matching(name: str) -> list[str]:
    if "://" in name or not any(letter in name for letter in "*?["):
        if "://" not in name and not Path(name).expanduser().exists():
            raise InputError(f"There is no file {name}.")
        return [name if "://" in name else str(Path(name).expanduser().absolute())]
    found = sorted(glob.glob(str(Path(name).expanduser().absolute()), recursive=True))
    if not found:
        raise InputError(f"{name} stands for no file.")
    return found


def connect(address: str | None) -> None:
    """Join a cluster, or begin one on this machine where there is none.

    Args:
        address: The cluster's; None is that of the environment variable ``RAY_ADDRESS``, else one
            on this machine.

    Raises:
        ConfigurationError: If it cannot be reached.
    """
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    try:
        ray.init(address=address, ignore_reinit_error=True, **settings)
    except (ConnectionError, ValueError) as error:
        raise ConfigurationError(f"The Ray cluster cannot be reached: {error}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
