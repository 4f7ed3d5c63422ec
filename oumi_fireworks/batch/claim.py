"""A key stands for one batch, whoever uses it, and wherever: the account itself remembers which.

The first to use a key creates an empty dataset whose id follows from the key alone. Its number of
rows and its display name say what the key stands for: the digest of the requests, and how they
are split. Creating it is one step at the service, so of two processes that do it at once one is
first, and the other one finds out by a 409. No file is ever uploaded to it.

So the ids of the batch follow from the key, and from what stands in its claim. Nothing else is
needed on another machine to find the same jobs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import xxhash

from oumi_fireworks.api import Dataset, FireworksClient
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.ids import BatchId, batch_id, claim_dataset_id, stem_of_key
from oumi_fireworks.batch.plan import Split
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.shards import Shard, ShardLimits
from oumi_fireworks.errors import (
    BatchError,
    ConflictError,
    KeyTakenError,
    NoRowsError,
    NotFoundError,
)
from oumi_fireworks.grammar import number

Spool = Callable[[Split], Awaitable[list[Shard]]]
"""Writes the requests, split as it is told."""

_NAME = re.compile(
    r"oumi-fireworks key (?P<digest>[0-9a-f]{32}) (?P<shards>\d+)x "
    r"(?P<bytes>\d+)b (?P<output>\d+)o (?P<rows>\d+)r (?P<flags>[kh]*)(?: (?P<dedupe>auto|on))?\."
)

_DIGITS_SHOWN = 12
"""Hexadecimal digits of a digest that an error shows."""


@dataclass(frozen=True)
class Claim:
    """What a key stands for.

    Attributes:
        rows: How many requests are sent.
        digest: Of all of them, 128 bits in hex.
        shards: Into how many jobs they are split.
        split: How.
    """

    rows: int
    digest: str
    shards: int
    split: Split

    @classmethod
    def of(cls, shards: Sequence[Shard], split: Split) -> Claim:
        """Return what a key is to stand for."""
        whole = xxhash.xxh3_128()
        for shard in shards:
            whole.update(f"{shard.rows} {shard.digest}\n".encode())
        return cls(sum(shard.rows for shard in shards), whole.hexdigest(), len(shards), split)

    @classmethod
    def read(cls, dataset: Dataset) -> Claim | None:
        """Read a claim; None if the dataset is none."""
        match = _NAME.fullmatch(dataset.display_name)
        if match is None:
            return None
        limits = ShardLimits(
            max_bytes=int(match["bytes"]),
            max_output_bytes=int(match["output"]) or None,
            max_rows=int(match["rows"]) or None,
            by_kind="k" in match["flags"],
            hoist="h" in match["flags"],
        )
        split = Split(limits, Dedupe(match["dedupe"] or Dedupe.OFF))
        return cls(dataset.example_count, match["digest"], int(match["shards"]), split)

    @property
    def display_name(self) -> str:
        """The claim as a dataset's display name, without its number of rows."""
        limits, dedupe = self.split.limits, self.split.dedupe
        flags = "k" * limits.by_kind + "h" * limits.hoist
        flags += "" if dedupe is Dedupe.OFF else f" {dedupe}"
        return (
            f"oumi-fireworks key {self.digest} {self.shards}x {limits.max_bytes}b "
            f"{limits.max_output_bytes or 0}o {limits.max_rows or 0}r {flags}."
        )


@dataclass(frozen=True)
class Claimed:
    """The requests of a key, on the disk.

    Attributes:
        batch_id: The id of the key's batch.
        shards: The files, split as the claim says.
        split: How.
    """

    batch_id: str
    shards: list[Shard]
    split: Split


async def claim(client: FireworksClient, key: str, spool: Spool, split: Split) -> Claimed:
    """Make a key stand for some requests, or find that it does. Idempotent, on any machine.

    Args:
        client: The account.
        key: The key.
        spool: Writes the requests; called once.
        split: How to split them where the key's first user has not decided that.

    Raises:
        NoRowsError: If there are no requests.
        KeyTakenError: If the key stands for others.
        FireworksError: What stopped it.
    """
    stem = stem_of_key(key)
    dataset_id = claim_dataset_id(stem)

    async def look() -> Claim:
        return _read(key, await client.datasets.get(dataset_id))

    with suppress(NotFoundError):
        split = (await look()).split
    shards = await spool(split)
    if not shards:
        raise NoRowsError("There are no conversations to run. Nothing was submitted.")
    wanted = Claim.of(shards, split)
    try:
        await client.datasets.create(
            dataset_id, example_count=wanted.rows, display_name=wanted.display_name
        )
    except ConflictError:
        _require_same(key, stem, await until_visible(client, look), wanted)
    return Claimed(batch_id(stem, len(shards)), shards, split)


async def has_begun(client: FireworksClient, key: str) -> bool:
    """Tell at one look whether all jobs of a key's batch exist.

    Raises:
        KeyTakenError: If what has the place of the key's claim is none.
        FireworksError: What stopped it.
    """
    stem = stem_of_key(key)
    with suppress(NotFoundError):
        found = _read(key, await client.datasets.get(claim_dataset_id(stem)))
        for job_id in BatchId.parse(batch_id(stem, found.shards)).job_ids:
            await client.jobs.get(job_id)
        return True
    return False


def _read(key: str, dataset: Dataset) -> Claim:
    found = Claim.read(dataset)
    if found is None:
        raise KeyTakenError(
            f"The key {key!r} cannot be used: the dataset {dataset.id} exists, and does not say "
            "what for. Nothing was submitted. Use another key."
        )
    return found


def _require_same(key: str, stem: str, found: Claim, wanted: Claim) -> None:
    first = batch_id(stem, found.shards)
    if found.rows != wanted.rows:
        differs = f"{number(found.rows, 'row')}, not {wanted.rows:,}"
    elif found.split != wanted.split:
        raise BatchError(
            f"Batch {first} of the key {key!r} is being submitted elsewhere at this moment, split "
            "by other limits. Nothing was submitted here; do the same again to go on with it."
        )
    elif found.digest != wanted.digest:
        differs = (
            f"as many rows ({found.rows:,}) with other content or other parameters: their digest "
            f"is {found.digest[:_DIGITS_SHOWN]}…, that of these {wanted.digest[:_DIGITS_SHOWN]}…"
        )
    else:
        return
    raise KeyTakenError(
        f"The key {key!r} stands for batch {first}, which has {differs}. Nothing was submitted. "
        "Use another key for other rows; with the same rows and parameters the same key goes on "
        f"with {first}."
    )
