"""Where the run of a batch keeps its manifest and files. Light: the command line uses it, too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from oumi_fireworks.user_json import dumps


def run_folder(output_path: str | None, run_dir: str | None, dataset_key: str) -> Path:
    """Return where a run keeps its manifest and files.

    Args:
        output_path: The output of ``infer``; the folder is beside it.
        run_dir: The option that names another place.
        dataset_key: Tells inputs apart where there is no output to stand beside.
    """
    if output_path is not None and run_dir is None:
        return Path(f"{output_path}.run")
    if output_path is not None:
        dataset_key = f"{Path(output_path).name}-{_short_hash(str(Path(output_path).resolve()))}"
    if run_dir is not None:
        return Path(run_dir) / dataset_key
    return cache_folder() / "runs" / dataset_key


def errors_path(output: str | Path) -> Path:
    """Return where the failures of an output are written."""
    return Path(f"{output}.errors.jsonl")


def cache_folder() -> Path:
    """Return where this package keeps what belongs beside no output."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oumi-fireworks"


def dataset_key(dataset_hash: str | None, settings: object) -> str:
    """Return a name for a run without an output: the same input and settings, the same name.

    Args:
        dataset_hash: Oumi's hash of the conversations, with a random part that is left out.
        settings: What shapes the requests, as JSON values.
    """
    stable = (dataset_hash or "").partition("_")[0]
    return _short_hash(stable + dumps(settings, sort_keys=True).decode())


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
