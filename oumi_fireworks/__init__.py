"""The Fireworks AI engine for Oumi.

``from oumi_fireworks import FireworksInferenceEngine`` gives the engine. Importing this
package alone loads neither oumi nor aiohttp: the public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oumi_fireworks.engine import FireworksInferenceEngine
    from oumi_fireworks.params import FireworksParams

__all__ = ["FireworksInferenceEngine", "FireworksParams", "__version__"]

__version__ = "0.1.0"

_HOME_OF = {
    "FireworksInferenceEngine": "oumi_fireworks.engine",
    "FireworksParams": "oumi_fireworks.params",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
