"""Where the run of a batch keeps its manifest and files. Light: the command line uses it, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import xxhash

from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.files import cache_folder
from oumi_fireworks.user_json import dumps


def run_folder(output_path: str | None, run_dir: str | None, key: str) -> Path:
    """Return where a run keeps its manifest and files.

    Args:
        output_path: The output; the folder is beside it, unless it is a URL.
        run_dir: The option that names another place.
        key: Tells inputs apart where there is no output to stand beside.
    """
    is_here = output_path is None or "://" not in output_path
    if output_path is not None and run_dir is None and is_here:
        return Path(f"{output_path}.run")
    if output_path is not None:
        key = f"{Path(output_path).name}-{_short_hash(_whole_name(output_path, is_here=is_here))}"
    if run_dir is not None:
        return Path(run_dir) / key
    return cache_folder() / "runs" / key


def _whole_name(output_path: str, *, is_here: bool) -> str:
    return str(Path(output_path).resolve()) if is_here else output_path


def requests_key(requests: Iterable[Request], settings: object) -> str:
    """Return a name for a run without an output: the same requests and settings, the same name.

    Args:
        requests: The rows.
        settings: What else shapes the answers, as JSON values.
    """
    digest = xxhash.xxh3_64(dumps(settings, sort_keys=True))
    for request in requests:
        digest.update(encode_row(request))
    return digest.hexdigest()


def key_of(values: object) -> str:
    """Return a name for a run that differs where some JSON values differ."""
    return _short_hash(dumps(values, sort_keys=True).decode())


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
