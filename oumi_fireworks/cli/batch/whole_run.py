"""A resumable run, from wherever it stands to its delivery."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults, BatchRun
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.batch.delivery import require_answers
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.engine.conversations import why_unreadable
from oumi_fireworks.errors import BatchError
from oumi_fireworks.tables.conversations import ConversationReader

T = TypeVar("T")


def batch_run(folder: Path, reader: ConversationReader, settings: BatchSettings) -> BatchRun:
    """Return the run that keeps its files in a folder."""
    return BatchRun(
        folder,
        lambda: reader.prepared(settings.prepare),
        settings.spec,
        settings.template.shared_fields,
        settings.options,
        why_unreadable,
    )


@contextmanager
def held(batch: BatchRun, require_output: Callable[[], None]) -> Iterator[None]:
    """Hold a run while it is at work. One that has not begun when it fails leaves nothing behind.

    Args:
        batch: The run.
        require_output: Refuses to begin where there is nothing to go on with, and an output to be
            lost.
    """
    if not batch.manifest_path.exists():
        require_output()
    with batch.lock():
        if not batch.manifest_path.exists():
            # Again: another process may have finished the run in this very moment.
            require_output()
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_on_interruption(batch)) from None
        finally:
            if not batch.manifest_path.exists():
                shutil.rmtree(batch.folder, ignore_errors=True)


async def go(
    client: FireworksClient, batch: BatchRun, deliver: Callable[[BatchResults], Awaitable[T]]
) -> tuple[T, BatchResults]:
    """Go all the way, from wherever the run stands, and forget the run at the end.

    Args:
        client: The account.
        batch: The run.
        deliver: Puts the results where they belong.
    """
    with BatchProgress() as on_progress:
        results = await batch.advance(client, on_progress)
    try:
        require_answers(results)
    except BatchError:
        await batch.finish(client)
        raise
    delivery = await deliver(results)
    await batch.finish(client)
    return delivery, results


def _on_interruption(batch: BatchRun) -> str:
    if not batch.manifest_path.exists():
        return "Interrupted. Nothing was submitted."
    if batch.batch_id is None:
        return (
            "Interrupted while the batch was being submitted. The same command goes on from "
            "there; `oumi-fireworks batch list` shows what there is."
        )
    return (
        f"Interrupted. Batch {batch.batch_id} goes on at Fireworks.\n"
        "  Resume: the same command again\n"
        f"  Stop:   oumi-fireworks batch cancel {batch.batch_id}"
    )
