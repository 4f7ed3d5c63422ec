"""``oumi-fireworks models``: what Fireworks serves."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from oumi_fireworks.api import Model
from oumi_fireworks.cli.costs import as_json as prices_as_json
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.json_outputs import ModelOutput, ModelPricesOutput
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import print_json, say, show
from oumi_fireworks.grammar import number
from oumi_fireworks.money import price_of, price_table


def models(*, all_models: bool, as_json: bool) -> ExitCode:
    """List the models."""
    found = [
        model
        for model in with_client(lambda client: client.models.list())
        if model.chat or all_models
    ]
    if as_json:
        print_json([_as_json(model) for model in found])
    else:
        _show(found)
    return ExitCode.FINE


def _as_json(model: Model) -> ModelOutput:
    return {
        "id": model.id,
        "chat": model.chat,
        "images": model.images,
        "tools": model.tools,
        "context_length": model.context_length or None,
        "prices": _prices(model.id),
    }


def _prices(model: str) -> ModelPricesOutput | None:
    """Return the prices in both modes; None where no price is known."""
    online, batch = price_of(model, batch=False), price_of(model, batch=True)
    if online is None or batch is None:
        return None
    return {"online": prices_as_json(online), "batch": prices_as_json(batch)}


def _show(models: Sequence[Model]) -> None:
    if not models:
        say("Fireworks lists no models for this key.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    # An id that is cut is of no use: where it does not fit, it goes on in the next line.
    table.add_column("Model", overflow="fold")
    table.add_column("$ in", justify="right", no_wrap=True)
    table.add_column("$ out", justify="right", no_wrap=True)
    table.add_column("Context", justify="right", no_wrap=True)
    table.add_column("Can", no_wrap=True)
    for model in models:
        context = f"{model.context_length:,}" if model.context_length else "–"
        abilities = {"chat": model.chat, "images": model.images, "tools": model.tools}
        can = ", ".join(name for name, able in abilities.items() if able)
        prices = price_of(model.id, batch=False)
        amounts = (None, None) if prices is None else (prices.input, prices.output)
        costs = ("–" if amount is None else f"{amount:f}" for amount in amounts)
        table.add_row(Text(model.id), *costs, context, can)
    show(table)
    listed = price_table()
    say("")
    say(
        f"Prices are dollars for a million tokens online; batches cost half. From {listed}, "
        f"{number(listed.age(), 'day')} ago.",
        "dim",
    )
    if (concern := listed.concern()) is not None:
        say(concern, "yellow")
