"""Options that a way of running rows cannot follow: they are refused before anything is sent.

To leave one out in silence could cost, or break what it promises. An option that only says how
batches are made (``max_shard_rows``, ``poll_interval``) promises nothing where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from oumi_fireworks.errors import OptionError
from oumi_fireworks.params import FireworksParams


class Way(StrEnum):
    """A way of running rows, as an error names it."""

    INFER_ONLINE = "`infer` with mode: online"
    INFER_AS_BATCH = "`infer` with mode: batch"
    RUN_ONLINE = "`batch run --mode online`"
    RUN = "`batch run`"
    SUBMIT = "`batch submit`"
    INFER_BATCH = "`infer_batch`"
    RETRY = "`batch retry ID`"
    RETRY_BATCH = "`retry_batch`"
    RAY = "a run on a cluster"


_AT_ONCE = "Rows that run online are not waited for: run a batch, or leave it out."
_ONLINE = {
    "key": "A key names a batch, and rows that run online are none: run a batch, or leave it out.",
    "deadline": _AT_ONCE,
    "then": _AT_ONCE,
}
_RUNS = "`batch run` and `infer` with mode: batch do: use one of them, or leave it out."
_GOES_AWAY = f"It submits and does not stay. {_RUNS}"
_ALL_ROWS = f"It sends every row, so that results need nothing but the input. {_RUNS}"
_SUBMITTED = {
    "deadline": _GOES_AWAY,
    "then": _GOES_AWAY,
    "cache": _ALL_ROWS,
    "dedupe": _ALL_ROWS,
    "events": _GOES_AWAY,
    "notify": _GOES_AWAY,
}
_RETRIES = "`batch retry OUTPUT` and `infer` with mode: batch do: use one of them, or leave it out."
_SUBMITS_AGAIN = f"It submits and does not stay. {_RETRIES}"
_AS_BEFORE = f"It sends each open row that the batch has sent, and no other. {_RETRIES}"
_OF_A_BATCH = {
    "deadline": _SUBMITS_AGAIN,
    "then": _SUBMITS_AGAIN,
    "cache": _AS_BEFORE,
    "dedupe": _AS_BEFORE,
    "events": _SUBMITS_AGAIN,
    "notify": _SUBMITS_AGAIN,
}
"""A key is followed: the further batch has an id of its own, which follows from the first one's."""
_LATE = "After a deadline rows run online, from one machine: run the urgent ones without a cluster."
_ON_A_CLUSTER = {
    "key": "Each block is a batch with a key of its own, which follows from its rows.",
    "deadline": _LATE,
    "then": _LATE,
    "cache": "The answer cache is a database on the disk of one machine. A block is not paid twice "
    "without it: its batch is found by its key.",
    "delete_datasets": "Blocks are found again by what is on the account.",
}
_NOT_FOLLOWED: Mapping[Way, Mapping[str, str]] = {
    Way.INFER_ONLINE: _ONLINE,
    Way.INFER_AS_BATCH: {},
    Way.RUN_ONLINE: _ONLINE,
    Way.RUN: {},
    Way.SUBMIT: _SUBMITTED,
    Way.INFER_BATCH: _SUBMITTED,
    Way.RETRY: _OF_A_BATCH,
    Way.RETRY_BATCH: _OF_A_BATCH,
    Way.RAY: _ON_A_CLUSTER,
}
"""The options by name, with why, and what to do instead."""


def require_followed(options: FireworksParams, way: Way) -> None:
    """Refuse options that a way of running rows cannot follow, wherever they were set.

    Raises:
        OptionError: With each of them, and why.
    """
    reasons: dict[str, list[str]] = {}
    for shown, reason in _unfit(options, way):
        reasons.setdefault(reason, []).append(shown)
    if reasons:
        said = " ".join(
            f"{' and '.join(names)} cannot be followed by {way}. {reason}"
            for reason, names in reasons.items()
        )
        raise OptionError(f"fireworks option {said} Nothing was sent.")
    # After the others: where neither is followed, it is no use to leave out one of them.
    if options.deadline is not None and options.key is not None:
        raise OptionError(
            "fireworks option deadline: it stops the batch, which under a key may be somebody "
            "else's as well. Leave out one of them, deadline or key. Nothing was sent."
        )


def _unfit(options: FireworksParams, way: Way) -> Iterator[tuple[str, str]]:
    for name, reason in _NOT_FOLLOWED[way].items():
        value = getattr(options, name)
        if name == "dedupe":
            if value == "on":
                yield "dedupe: on", reason
        elif value:
            yield name, reason
