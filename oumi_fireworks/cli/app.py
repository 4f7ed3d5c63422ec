"""The root of the command line: every command group, and nothing heavy.

Building it imports typer and each group's module; what the commands themselves need (aiohttp,
oumi, rich) they import when they run.
"""

from __future__ import annotations

from typing import Annotated

import typer

from oumi_fireworks import __version__
from oumi_fireworks.cli import batch, emulator
from oumi_fireworks.cli.doctor import doctor
from oumi_fireworks.cli.models import models

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


app.command()(doctor)
app.add_typer(batch.app, name="batch")
app.command()(models)
app.add_typer(emulator.app, name="emulator")
