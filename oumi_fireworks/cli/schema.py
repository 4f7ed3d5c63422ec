"""``oumi-fireworks schema``: a JSON Schema, for editors, agents and scripts."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.schemas import SCHEMAS, schema_of
from oumi_fireworks.cli.terminal import print_json, show
from oumi_fireworks.request_fields import did_you_mean


def schema(name: str, *, show_names: bool) -> ExitCode:
    """Print a schema, or the names of all."""
    if show_names:
        show(_table())
        return ExitCode.FINE
    if name not in SCHEMAS:
        raise WrongUseError(
            f"There is no schema {name!r}.{did_you_mean(name, SCHEMAS)} "
            f"There are {', '.join(SCHEMAS)}."
        )
    print_json(schema_of(name))
    return ExitCode.FINE


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Name", no_wrap=True)
    table.add_column("Describes", overflow="fold")
    for name, each in SCHEMAS.items():
        table.add_row(name, Text(each.describes.replace("`", "")))
    return table
