"""Oumi's engine contract on Fireworks.

The class is loaded on first use: what the command line shares with it must not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oumi_fireworks.engine.engine import FireworksInferenceEngine

__all__ = ["FireworksInferenceEngine"]


def __getattr__(name: str) -> object:
    """Load the engine on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oumi_fireworks.engine.engine import FireworksInferenceEngine

    return FireworksInferenceEngine
