"""Whether what a folder remembers is the run that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.delivery import is_delivered
from oumi_fireworks.batch.manifest import Manifest, Stage
from oumi_fireworks.batch.run_input import RunInput
from oumi_fireworks.errors import RunMismatchError
from oumi_fireworks.grammar import ended


async def require_same_run(
    manifest: Manifest, client: FireworksClient, settings: Mapping[str, Any], rows: RunInput
) -> None:
    """Refuse to go on with a run that was begun with something else.

    Its rows are read; if they were not uploaded yet, their requests are written anew.

    Raises:
        RunMismatchError: The message names what differs.
        RowError: If a row cannot be sent any more.
        SpoolError: If the disk does not take the requests.
    """
    manifest.require_same(client.account, client.connection.root_url, settings)
    rows.recall(manifest.unsent)
    if manifest.attempts[0].stage is Stage.PLANNED:
        shards = await rows.spool_again(manifest)
    else:
        shards = await rows.reread(manifest)
    manifest.require_same_input(rows.count, shards)


def has_same_settings(
    manifest: Manifest, client: FireworksClient, settings: Mapping[str, Any]
) -> bool:
    """Tell whether a run asks what it asked before, though maybe for other rows."""
    try:
        manifest.require_same(client.account, client.connection.root_url, settings)
    except RunMismatchError:
        return False
    return True


def explained(error: RunMismatchError, manifest: Manifest, folder: Path) -> RunMismatchError:
    """Return the error with what can be done about it."""
    batch = manifest.attempts[0].batch_id
    where = f" in {manifest.delivery.path}" if manifest.delivery and is_delivered(manifest) else ""
    return RunMismatchError(
        f"{folder} holds the unfinished batch {batch} of something else: {ended(error)} To finish "
        f"that one, run it as it was begun. To begin anew, and pay anew, remove {folder}; what it "
        f"has done is kept{where}, and can be fetched with `oumi-fireworks batch results {batch}`."
    )


def with_new_round(manifest: Manifest) -> Manifest:
    """Return a run whose caller has all answers and comes again: the open rows may be run."""
    return replace(manifest.with_stage(Stage.COLLECTED), round_begins_at=len(manifest.attempts))
