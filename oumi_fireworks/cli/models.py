"""``oumi-fireworks models``: what Fireworks serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oumi_fireworks.cli.exit_codes import reports_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oumi_fireworks.api import Model


@reports_errors
def models(
    all_models: Annotated[
        bool, typer.Option("--all", help="Also models that do not answer chat completions.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the models that Fireworks serves without a deployment of your own.

    The first column is what a YAML file has as [cyan]model.model_name[/cyan].
    """
    from oumi_fireworks.cli.service import with_client

    found = [
        model
        for model in with_client(lambda client: client.models.list())
        if model.chat or all_models
    ]
    if as_json:
        import json

        typer.echo(json.dumps([_as_json(model) for model in found], indent=2))
    else:
        _show(found)


def _as_json(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "chat": model.chat,
        "images": model.images,
        "tools": model.tools,
        "context_length": model.context_length or None,
    }


def _show(models: Sequence[Model]) -> None:
    from rich.table import Table
    from rich.text import Text

    from oumi_fireworks.cli.terminal import say, show

    if not models:
        say("Fireworks lists no models for this key.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    # An id that is cut is of no use: where it does not fit, it goes on in the next line.
    table.add_column("Model", overflow="fold")
    table.add_column("Context", justify="right", no_wrap=True)
    table.add_column("Can", no_wrap=True)
    for model in models:
        context = f"{model.context_length:,}" if model.context_length else "–"
        abilities = {"chat": model.chat, "images": model.images, "tools": model.tools}
        can = ", ".join(name for name, able in abilities.items() if able)
        table.add_row(Text(model.id), context, can)
    show(table)
