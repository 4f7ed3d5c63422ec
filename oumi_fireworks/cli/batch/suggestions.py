"""The command that goes on from here, with all that was given before and matters to it as well."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.table_flags import (
    FETCHED_ROWS,
    INPUT_FLAGS,
    flag_of,
    option_in,
    override,
)
from oumi_fireworks.cli.terminal import say_command

if TYPE_CHECKING:
    from oumi_fireworks.cli.batch.configuration import BatchSettings

Suggested: TypeAlias = Literal["results", "retry", "status"]

_NO_FLAGS, _NO_PRICES = OnceFlags(), PriceFlags(None, None, None)
_PRICES = ("--price-in", "--price-cached", "--price-out")

TAKES: Mapping[Suggested, frozenset[str]] = {
    "results": frozenset(
        {"-c", "--input", "--cost-in-metadata", *_PRICES, *map(flag_of, FETCHED_ROWS)}
    ),
    "retry": frozenset(
        {
            "-c",
            "--input",
            *_PRICES,
            "--max-cost",
            "--events",
            "--notify",
            *map(flag_of, INPUT_FLAGS),
        }
    ),
    "status": frozenset(_PRICES),
}
"""Options that a command takes over from the one that suggests it."""

_WITH_OVERRIDES = {"retry"}
"""Commands that take settings of the configuration as well."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a command was given.

    Attributes:
        config: The configuration.
        inputs: The files of the input.
        overrides: Settings that win over the configuration, as ``key=value``; flags for tables
            are among them.
        once: What it was told of rows that need not be sent.
        prices: The prices.
        max_cost: Dollars that the run never exceeds.
        cost_in_metadata: Whether the metadata of an answer say what it has cost.
        events: The file of events.
        notify: Where messages go.
    """

    config: str | None = None
    inputs: Sequence[str] = ()
    overrides: Sequence[str] = ()
    once: OnceFlags = _NO_FLAGS
    prices: PriceFlags = _NO_PRICES
    max_cost: float | None = None
    cost_in_metadata: bool | None = None
    events: str | None = None
    notify: Sequence[str] = ()

    def flags(self) -> Iterator[tuple[str, str | None]]:
        """Yield the options, each with its value; None for one without a value."""
        if self.config is not None:
            yield "-c", self.config
        for name in self.inputs:
            yield "--input", name
        for name, price in zip(_PRICES, self.prices, strict=True):
            if price is not None:
                yield name, _digits(price)
        if self.max_cost is not None:
            yield "--max-cost", _digits(self.max_cost)
        if self.cost_in_metadata:
            yield "--cost-in-metadata", None
        if self.events is not None:
            yield "--events", self.events
        for url in self.notify:
            # What follows is as good as a password, and this goes to a terminal or a log.
            yield "--notify", f"{url.partition('://')[0]}://..."

    def settings(self) -> Iterator[str]:
        """Yield the settings that win over the configuration, those that have a flag included."""
        yield from self.overrides
        for name, value in self.once._asdict().items():
            if value is not None and name != "key":  # which is the name of all rows, not of some
                yield override(name, value)


def _digits(amount: float) -> str:
    """Return a number with all of its digits, as somebody would type it."""
    return f"{Decimal(repr(amount)).normalize():f}"


def given_to_submit(settings: BatchSettings, config: str, inputs: Sequence[str]) -> Given:
    """Return what the results of a batch have to know of its submission.

    ``results`` reads no more of a configuration than what answers have to be, so that what this
    one says of tables and prices goes along as flags.

    Args:
        settings: What the configuration says.
        config: The configuration.
        inputs: The files of the input that were named.
    """
    options = settings.fireworks
    sections = {"input": options.input_options, "output": options.output_options}
    return Given(
        config=None if settings.rules is None else config,
        inputs=inputs or [name for name in [settings.input_path] if name],
        overrides=[
            override(f"{section}.{name}", value)
            for section, given in sections.items()
            for name, value in given.given().items()
        ],
        prices=PriceFlags(*((options.price or {}).get(name) for name in PriceFlags._fields)),
        cost_in_metadata=options.cost_in_metadata,
    )


def say_next(ids: Sequence[str], given: Given) -> None:
    """Say how a batch that was submitted is waited for, and how its answers are fetched.

    Args:
        ids: The batch; the last of them is the one that has just been submitted.
        given: What it was submitted with.
    """
    fetch = suggested("results", ids, given)
    files = "" if given.inputs else " --input FILE"
    say_command("Wait: ", f"{suggested('status', ids[-1:], given)} --watch", "dim")
    say_command("Fetch:", f"{fetch}{files} --output FILE", "dim")


def suggested(command: Suggested, subjects: Sequence[str], given: Given) -> str:
    """Return a command to run, quoted for a shell.

    Args:
        command: Its name.
        subjects: Its arguments.
        given: What the one that suggests it was given.
    """
    words = ["oumi-fireworks", "batch", command, *subjects]
    takes = TAKES[command]
    for flag, value in given.flags():
        if flag in takes:
            words += [flag] if value is None else [flag, value]
    for setting in given.settings():
        option = option_in(setting)
        if option is not None and (flag := flag_of(option[0])) in takes:
            words += [flag, option[1]]
        elif command in _WITH_OVERRIDES:
            words.append(f"--{setting}")
    return shlex.join(words)
