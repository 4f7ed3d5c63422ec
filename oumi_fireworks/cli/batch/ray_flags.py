"""The flags of ``batch run`` on a Ray cluster, and ``--ray``, whose value may be left out."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from click import Context
from click.core import ParameterSource

from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.cli.strict import StrictCommand
from oumi_fireworks.distributed import require_ray

_FLAG = "--ray"
_PANEL = "On a Ray cluster"

ANY_CLUSTER = "any"
"""What ``--ray`` alone means: the cluster that this machine is part of, else a new one here."""

RayAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        _FLAG,
        metavar="[ADDRESS]",
        help="Run on the Ray cluster at ADDRESS; without ADDRESS on the one that this machine "
        "belongs to, or on one of this machine alone. OUTPUT is a folder then, here or in a "
        "bucket. Needs the extra: pip install 'oumi-fireworks\\[ray]'.",
        rich_help_panel=_PANEL,
    ),
]
RowsPerBatch: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Rows of a batch.", rich_help_panel=_PANEL)
]
MaxBatches: TypeAlias = Annotated[
    int,
    typer.Option(min=1, help="Most batches under way at the same time.", rich_help_panel=_PANEL),
]

_REFUSED = {
    "report": "The page is made of the files of one machine.",
    "mode": "Blocks become batches. For answers online use the engine in map_batches, as "
    "examples/ray_online.py does.",
}
"""Flags that a run on a cluster does not follow, and why. Those that set options are refused with
the options (:mod:`oumi_fireworks.engine.followed`)."""


class RayCommand(StrictCommand):
    """A command with ``--ray [ADDRESS]``."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read arguments; ``--ray`` at the end or before another option has no address."""
        given = list(args)
        for at, argument in enumerate(given):
            if argument == "--":
                break
            if argument == _FLAG and (given[at + 1 :] or ["-"])[0].startswith("-"):
                given[at] = f"{_FLAG}={ANY_CLUSTER}"
        return super().parse_args(ctx, given)


def refuse_what_ray_lacks(context: typer.Context) -> None:
    """Refuse flags that a cluster does not follow, and any use without Ray.

    Raises:
        WrongUseError: If there is such a flag.
        ConfigurationError: If Ray is not installed.
    """
    for parameter in context.command.params:
        if parameter.name not in _REFUSED:
            continue
        if context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            flag, reason = parameter.opts[0], _REFUSED[parameter.name]
            raise WrongUseError(
                f"{flag} and {_FLAG} do not go together. {reason} Leave {flag} out."
            )
    require_ray()
