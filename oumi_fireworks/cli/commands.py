"""The commands at the root: signatures and help, and nothing heavy.

What a command does is in a module of its own, loaded when the command runs. So ``--help`` and the
shell's completion are quick, and what looks at a job does not load what builds one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from oumi_fireworks import __version__
from oumi_fireworks.cli.batch import commands as batch
from oumi_fireworks.cli.batch.options import Json, Yes
from oumi_fireworks.cli.emulator import commands as emulator_commands
from oumi_fireworks.cli.ending import reports_errors
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.strict import StrictCommand

app = typer.Typer(
    name="oumi-fireworks",
    no_args_is_help=True,
    # A traceback with local variables could show a key.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oumi-fireworks {__version__}")
        raise typer.Exit


@app.callback(
    help=(
        "Fireworks AI for Oumi: everything around [cyan]engine: FIREWORKS[/cyan].\n\n"
        "With that line in a YAML file, [cyan]oumi infer[/cyan], [cyan]synth[/cyan], "
        "[cyan]judge[/cyan] and [cyan]evaluate[/cyan] run on Fireworks."
    ),
    epilog=(
        "[bold]First steps[/bold]\n\n"
        "Check the set-up:\n\n"
        "[cyan]oumi-fireworks doctor[/cyan]\n\n"
        "Try any Oumi command without a key, against an emulator of Fireworks:\n\n"
        "[cyan]oumi-fireworks emulator exec -- oumi infer -i -c CONFIG.yaml[/cyan]\n\n"
        "Run a file of conversations on Fireworks, with the key in FIREWORKS_API_KEY:\n\n"
        "[cyan]oumi-fireworks batch run -c CONFIG.yaml --input IN.jsonl --output OUT.jsonl[/cyan]"
    ),
)
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Hold the commands together."""


@app.command(cls=StrictCommand)
@reports_errors
def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as one JSON object.")
    ] = False,
) -> ExitCode:
    """Check that everything is in place for [cyan]engine: FIREWORKS[/cyan].

    It looks at the versions, the URL, the key (never shown) and the account,
    asks Fireworks for the key's accounts, which costs nothing,
    and sees which class Oumi takes for FIREWORKS, and why.

    Exits with 0 when all is well and with 1 when a check failed.
    """
    from oumi_fireworks.cli.doctor import doctor

    return doctor(as_json=as_json)


app.add_typer(batch.app, name="batch")

cache = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=(
        "Show or empty an answer cache: the folder of the option [cyan]cache[/cyan], or of "
        "[cyan]batch run --cache DIR[/cyan]."
    ),
)
app.add_typer(cache, name="cache")

CacheFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder, as the option cache names it.")
]


@cache.command("stats", cls=StrictCommand)
@reports_errors
def cache_stats(folder: CacheFolder, as_json: Json = False) -> ExitCode:
    """Show how many answers there are, of which models, how old and how large."""
    from oumi_fireworks.cli.answer_cache import stats

    return stats(folder.expanduser(), as_json=as_json)


@cache.command("clear", cls=StrictCommand)
@reports_errors
def cache_clear(
    folder: CacheFolder,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Only answers that are older: 30d, 12h."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> ExitCode:
    """Remove answers. What is asked again afterwards is paid for again."""
    from oumi_fireworks.cli.answer_cache import clear

    return clear(folder.expanduser(), older_than, yes=yes, as_json=as_json)


@app.command(cls=StrictCommand)
@reports_errors
def models(
    all_models: Annotated[
        bool, typer.Option("--all", help="Also models that do not answer chat completions.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> ExitCode:
    """List the models that Fireworks serves without a deployment of your own.

    The first column is what a YAML file has as [cyan]model.model_name[/cyan].
    """
    from oumi_fireworks.cli.models import models

    return models(all_models=all_models, as_json=as_json)


@app.command(cls=StrictCommand)
@reports_errors
def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="config, options, events, or a command with --json: batch-status.",
        ),
    ] = "config",
    show_names: Annotated[
        bool, typer.Option("--list", help="List the names, and what each describes.")
    ] = False,
) -> ExitCode:
    """Print a JSON Schema, for editors, agents and scripts.

    [cyan]config[/cyan] describes the YAML file of [cyan]oumi infer[/cyan] and of the batch
    commands, [cyan]options[/cyan] what stands in it under model.model_kwargs.fireworks,
    [cyan]events[/cyan] a line of an events file; the others what a command prints with --json.
    """
    from oumi_fireworks.cli.schema import schema

    return schema(name, show_names=show_names)


app.add_typer(emulator_commands.app, name="emulator")
