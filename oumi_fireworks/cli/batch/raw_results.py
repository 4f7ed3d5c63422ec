"""``oumi-fireworks batch results`` without the input: the rows as the service gives them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Snapshot, take_snapshot
from oumi_fireworks.batch.collect import collect
from oumi_fireworks.cli.batch.arguments import batch_ids, own_prices
from oumi_fireworks.cli.batch.fetching import fetch_folder, require_ended
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.paths import results_output
from oumi_fireworks.cli.batch.snapshots import code_of, ending, usage
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, say, show_logs
from oumi_fireworks.engine.costs import prices_for


def raw_results(
    ids: Sequence[str],
    output: str | None,
    *,
    overwrite: bool,
    price_flags: PriceFlags,
) -> ExitCode:
    """Fetch rows."""
    show_logs()
    chosen, own = batch_ids(ids), own_prices(price_flags)
    with fetch_folder(output) as folder, ExitStack() as stack:
        place = results_output(output, folder, overwrite=overwrite)
        with busy("Fetching results"):
            files, snapshots = with_client(lambda client: _collect(client, chosen, folder))
        sink = stack.enter_context(place.writing())
        for file in files:
            with file.open("rb") as rows:
                shutil.copyfileobj(rows, sink, 1 << 20)
    last = snapshots[-1]
    if last.error:
        say(ending(last), "yellow")
    if used := usage(snapshots, prices_for(snapshots, own)):
        say(used)
    return code_of(last)


async def _collect(
    client: FireworksClient, ids: Sequence[str], folder: Path
) -> tuple[list[Path], list[Snapshot]]:
    files: list[Path] = []
    snapshots: list[Snapshot] = []
    for number, batch_id in enumerate(ids):
        snapshot = await take_snapshot(client, batch_id)
        require_ended(snapshot)
        snapshots.append(snapshot)
        found = await collect(client, snapshot.jobs, folder / str(number))
        files += found.files
    return files, snapshots
