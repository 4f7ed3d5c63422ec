"""Options that several batch commands have, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oumi_fireworks.cli.exit_codes import WrongUseError

if TYPE_CHECKING:
    from oumi_fireworks.report import Prices

ConfigPath: TypeAlias = Annotated[
    str,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Oumi's inference configuration: YAML, or a name."
    ),
]
InputPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help="Conversations as JSONL, also packed (.gz, .zst). A quoted pattern, or - for standard "
        "input. May be repeated. Default: input_path of the configuration.",
    ),
]
OutputPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the answered conversations go. Default: output_path of the configuration.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace OUTPUT where it exists.")
]
SkipBad: TypeAlias = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out lines that cannot be sent, and write them down."),
]
PriceIn: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="$", help="Price of a million input tokens, to tell the cost."),
]
PriceOut: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="$", help="Price of a million output tokens."),
]
ReportPath: TypeAlias = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.html", help="Also write a report for a browser."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def prices_of(price_in: float | None, price_out: float | None) -> Prices | None:
    """Return the prices, None where none are given.

    Raises:
        WrongUseError: If only one is given: half a cost is misleading.
    """
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise WrongUseError("Give both, --price-in and --price-out, to tell the cost.")
    if price_in < 0 or price_out < 0:
        raise WrongUseError("A price cannot be negative.")
    from oumi_fireworks.report import Prices

    return Prices(price_in, price_out)


def batch_ids(texts: Iterable[str]) -> list[str]:
    """Return ids as the service knows them, each once.

    Raises:
        WrongUseError: If one cannot be the id of a batch.
    """
    from oumi_fireworks.batch.ids import BatchId

    try:
        return list(dict.fromkeys(BatchId.parse(text).text for text in texts))
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def duration(text: str) -> timedelta:
    """Read ``7d``, ``36h``, ``90m`` or ``0``.

    Raises:
        WrongUseError: If it is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or (not match[2] and float(match[1])):
        raise WrongUseError(f"{text!r} is not a duration. Write 7d, 36h or 90m, for example.")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])
