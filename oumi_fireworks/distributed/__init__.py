"""Beyond one machine: the blocks of a Ray dataset as batches. Needs the extra ``ray``.

``run(dataset, config)`` gives the dataset with the answers beside its columns. Ray cuts, moves,
repeats and writes; this room only says what is to be done with some rows.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from oumi_fireworks.errors import ConfigurationError

if TYPE_CHECKING:
    from oumi_fireworks.distributed.cluster import run
    from oumi_fireworks.distributed.totals import Totals

__all__ = ["Totals", "require_ray", "run"]

_HOME_OF = {"Totals": "totals", "run": "cluster"}


def require_ray() -> None:
    """Load Ray.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigurationError(
            "Ray is not installed here. Install it with: pip install 'oumi-fireworks[ray]'"
        ) from error


def __getattr__(name: str) -> object:
    """Load a name on first use: Ray is an extra."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_ray()
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
