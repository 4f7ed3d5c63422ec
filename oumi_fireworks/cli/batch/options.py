"""The options that several batch commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias

import typer


def _expanded(text: str) -> Path:
    """Return a path; ``~`` is the home folder also where the shell did not see it, as in --x=~."""
    return Path(text).expanduser()


def expanded_name(text: str) -> str:
    """Return the name of a file, ``~`` being the home folder; a URL as it is."""
    return text if "://" in text else str(Path(text).expanduser())


ConfigPath: TypeAlias = Annotated[
    str,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Oumi's inference configuration: YAML, or a name."
    ),
]
AnswersPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--answers",
        metavar="FILE",
        parser=_expanded,
        help="An output of an earlier run: say what accept would reject of it. Default: "
        "output_path of the configuration, where it exists.",
    ),
]
RulesPath: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration whose accept the answers are held against; by default none.",
    ),
]
InputPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help="Conversations as JSONL, or a table: Parquet, CSV, Arrow, a dataset. A file, a quoted "
        "pattern, a URL such as s3://, or - for standard input. May be repeated. Default: "
        "input_path of the configuration.",
    ),
]
SubmittedPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help="The files that were submitted, in the same order; - for standard input.",
    ),
]
OutputPath: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|URL",
        parser=expanded_name,
        help="Where the answers go: conversations as JSONL, or a table (.parquet, .csv, .arrow); "
        "packed if it ends in .gz or .zst; a URL such as s3://; - for standard output. Default: "
        "output_path of the configuration.",
    ),
]
ResultsPath: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|URL",
        parser=expanded_name,
        help="Where they go; stdout by default.",
    ),
]
PagePath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE.html",
        parser=_expanded,
        help="Where it goes; by default beside OUTPUT.",
    ),
]
ReportPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        parser=_expanded,
        help="Also write a report for a browser.",
    ),
]
EventsPath: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--events",
        metavar="FILE",
        help="Append what happens to FILE, one JSON object a line. Default: the option events of "
        "the configuration.",
    ),
]
NotifyUrls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="URL",
        help="Send a message when the run ends or needs a look, by Apprise: slack://..., "
        "mailto://..., json://... Needs the extra: pip install 'oumi-fireworks\\[notify]'. May be "
        "repeated. Default: the option notify of the configuration.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace OUTPUT where it exists.")
]
SkipBad: TypeAlias = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out lines that cannot be sent, and write them down."),
]
Key: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A name for these rows, such as dag/run. Under one name they are one batch, however "
        "often and on whichever machine they are submitted.",
    ),
]
Cache: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder of answers that outlive runs: what is in it is not asked again.",
    ),
]
CacheMaxAge: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="AGE", help="How old an answer of the cache may be: 30d, 12h."),
]
Dedupe: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="auto|on|off",
        help="Whether rows that ask the same are sent once. auto, the default: those whose answer "
        "is determined, by a temperature of 0 or a seed.",
    ),
]
Deadline: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When to stop waiting for the batch, from the run's beginning: 6h. What it has "
        "finished is kept; the other rows are run as --then says.",
    ),
]
Then: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="online", help="How rows run that are not finished at the deadline."),
]


class OnceFlags(NamedTuple):
    """What a command was told about rows that need not be sent; None leaves it to the options.

    Attributes:
        key: The name under which these rows are one batch.
        cache: The folder of the answer cache.
        cache_max_age: How old an answer of it may be.
        dedupe: Whether rows that ask the same are sent once.
        deadline: When to stop waiting for the batch.
        then: How rows run that are not finished by then.
    """

    key: str | None = None
    cache: str | None = None
    cache_max_age: str | None = None
    dedupe: str | None = None
    deadline: str | None = None
    then: str | None = None


RunMode: TypeAlias = Annotated[
    Literal["batch", "online"],
    typer.Option(
        "--mode",
        help="batch: half the price, within a day. online: request by request, at once.",
    ),
]
PriceIn: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="$",
        help="Price of a million input tokens, as billed. Default: what genai-prices lists, "
        "half of it for batches.",
    ),
]
PriceCached: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="$", help="Price of a million cached input tokens; as input by default."),
]
PriceOut: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="$", help="Price of a million output tokens."),
]
CostInMetadata: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--cost-in-metadata",
        help="Write into the metadata of each answer what it has cost. Default: the option "
        "cost_in_metadata of the configuration.",
    ),
]
MaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="$",
        help="Never spend more. What fits is run; the same command with a higher bound goes on.",
    ),
]
MaxCostOfAll: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="$",
        help="Submit nothing if all of it may cost more.",
    ),
]
PilotRows: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        max=5000,
        help="Run N rows first, and say what the others will cost. Needs a key and --cache.",
    ),
]
PilotMode: TypeAlias = Annotated[
    Literal["batch", "online"] | None,
    typer.Option(
        "--pilot-mode",
        help="How the pilot is run. online, the default: at once. batch: half the price, within a "
        "day; interrupted, the same command goes on with the same batch.",
    ),
]


PilotRetry: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--pilot-retry",
        help="Ask again for the rows that were refused or rejected in an earlier pilot.",
    ),
]


class PriceFlags(NamedTuple):
    """The prices that a command was given: dollars for a million tokens.

    Attributes:
        input: Of the prompt.
        cached_input: Of the prompt, from the cache.
        output: Of the answer.
    """

    input: float | None
    cached_input: float | None
    output: float | None


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
BatchIds: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID...", help="The batches.")]
