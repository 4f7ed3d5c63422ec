"""Folders that the library ``datasets`` writes, read without it.

``save_to_disk`` leaves Arrow files, and ``state.json`` that names them in their order; a
``DatasetDict`` is a folder of such, with ``dataset_dict.json``. What ``load_dataset`` has
downloaded is in its cache, ``NAMESPACE___NAME/CONFIG/VERSION/HASH/NAME-SPLIT*.arrow``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from oumi_fireworks.errors import InputError

_NAME = re.compile(r"(?:([\w.-]+)/)?([\w.-]+)(?::([\w.-]+))?", re.ASCII)


def files_in_dataset(folder: Path) -> list[Path] | None:
    """Return the files of a dataset that ``save_to_disk`` has written; None if the folder is none.

    Raises:
        InputError: If it has several splits, or cannot be read.
    """
    splits = folder / "dataset_dict.json"
    if splits.is_file():
        names = _read(splits).get("splits") or []
        if len(names) != 1:
            raise InputError(
                f"{folder} has the splits {', '.join(map(str, names))}. Name one: "
                f"{folder / str(names[0]) if names else folder}"
            )
        return files_in_dataset(folder / str(names[0]))
    state = folder / "state.json"
    if not state.is_file():
        return None
    return [folder / Path(str(each["filename"])).name for each in _read(state)["_data_files"]]


def files_in_cache(name: str) -> list[Path] | None:
    """Return the files of a dataset in the cache of ``datasets``; None if it is not there.

    Args:
        name: ``NAMESPACE/NAME`` or ``NAME``, and ``:SPLIT`` where there are several.

    Raises:
        InputError: If it has several splits or configurations, and there is no telling which.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    namespace, short, split = match.groups()
    folder = _cache() / (short if namespace is None else f"{namespace}___{short}")
    found: dict[tuple[str, str], dict[Path, list[Path]]] = {}
    pattern = re.compile(rf"{re.escape(short)}-(.+?)(?:-\d{{5}}-of-\d{{5}})?\.arrow")
    for file in sorted(folder.glob("*/*/*/*.arrow")):
        if part := pattern.fullmatch(file.name):
            config = file.relative_to(folder).parts[0]
            found.setdefault((config, part[1]), {}).setdefault(file.parent, []).append(file)
    wanted = {each: places for each, places in found.items() if split in (None, each[1])}
    if not wanted:
        if found:
            raise InputError(f"{name} has no split {split}; it has {_listed(found)}.")
        return None
    if len(wanted) > 1:
        raise InputError(
            f"{name} has several parts in the cache of datasets: {_listed(wanted)}. Name the split "
            f"({name.partition(':')[0]}:{next(iter(wanted))[1]}), or write what you mean with "
            "save_to_disk."
        )
    (places,) = wanted.values()
    newest = max(places, key=lambda place: place.stat().st_mtime)
    return places[newest]


def _cache() -> Path:
    environ = os.environ
    if place := environ.get("HF_DATASETS_CACHE"):
        return Path(place)
    default = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(environ.get("HF_HOME") or default) / "datasets"


def _listed(parts: dict[tuple[str, str], dict[Path, list[Path]]]) -> str:
    return ", ".join(f"{config}/{split}" for config, split in parts)


def _read(path: Path) -> dict[str, list[dict[str, object]]]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not what datasets writes.")
    return value
