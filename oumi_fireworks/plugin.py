"""The loader of inference engines for Oumi.

A distribution brings an engine by an entry point of the group ``oumi.inference_engines`` whose
name is a member of Oumi's `InferenceEngineType`::

    [project.entry-points."oumi.inference_engines"]
    FIREWORKS = "oumi_fireworks.engine:FireworksInferenceEngine"

Oumi looks its engines up in ``oumi.builders.inference_engines.ENGINE_MAP`` each time it builds
one. As soon as that module has been imported, this loader replaces the map with one that has the
entry points of every installed distribution. An entry point stands above Oumi's own engine. Among
several of the same name, the first that loads, in the order of the distributions' names, is taken.

Where Python does not process ``.pth`` files (``python -S``, ``pip install --target``), call
`register` by hand. ``OUMI_FIREWORKS_LOADER=off`` switches the automatic loader off.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from oumi_fireworks.grammar import ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oumi.core.configs import InferenceEngineType
    from oumi.core.inference import BaseInferenceEngine

    Engine = type[BaseInferenceEngine]

GROUP = "oumi.inference_engines"
SWITCH = "OUMI_FIREWORKS_LOADER"

_installed: Mapping[InferenceEngineType, Engine] | None = None


class EngineWarning(RuntimeWarning):
    """An entry point of the group ``oumi.inference_engines`` could not be used."""


@dataclass(frozen=True)
class Resolution:
    """What the entry points of the group came to.

    Attributes:
        engines: The engine classes by Oumi's engine type; only those that entry points bring.
        owners: The distribution that each of them comes from, by the engine type's name.
        problems: Which entry points were left out and why, each a sentence.
    """

    engines: Mapping[InferenceEngineType, Engine]
    owners: Mapping[str, str]
    problems: tuple[str, ...]


def register() -> None:
    """Put the engines of every installed distribution into Oumi's table, now.

    The automatic loader does this by itself wherever ``.pth`` files are processed. Calling it
    again, or after the automatic loader, changes nothing. It imports Oumi's engines if nothing
    has yet (some seconds), and works although `SWITCH` is off.

    Warns:
        EngineWarning: An entry point is broken or another one took its place.
    """
    from oumi.builders import inference_engines

    _install(inference_engines)


def on_import(module: ModuleType) -> None:
    """Register the engines in Oumi's module, just imported, unless `SWITCH` is off."""
    if not switched_off():
        _install(module)


def switched_off() -> bool:
    """Tell whether `SWITCH` keeps the automatic loader from doing anything."""
    return os.environ.get(SWITCH, "").strip().lower() in {"off", "0", "false", "no"}


def find() -> list[EntryPoint]:
    """List the group's entry points of all distributions, in the order in which they count."""
    return sorted(entry_points(group=GROUP), key=lambda found: (owner(found), found.name))


def owner(entry_point: EntryPoint) -> str:
    """Name the distribution that an entry point comes from."""
    try:
        name = entry_point.dist and entry_point.dist.name
    except Exception:  # a half removed distribution, without its METADATA
        name = None
    return name or "(unnamed distribution)"


def resolve(found: Iterable[EntryPoint]) -> Resolution:
    """Load entry points; the first that can be used for an engine type stands.

    Imports Oumi's engine types (some seconds, unless they are imported already), and the modules
    that the entry points name.
    """
    engines: dict[InferenceEngineType, Engine] = {}
    owners: dict[str, str] = {}
    problems: list[str] = []
    for entry_point in found:
        try:
            engine_type = _engine_type(entry_point.name)
            if engine_type in engines:
                raise ValueError(f"{owners[entry_point.name]!r} brings this engine already")
            engines[engine_type] = _load(entry_point)
        # A plug-in may run anything when it is imported, even sys.exit().
        except (Exception, SystemExit) as error:
            problems.append(
                f"{entry_point.name} = {entry_point.value!r} of the distribution "
                f"{owner(entry_point)!r} is left out: {type(error).__name__}: {ended(error)}"
            )
        else:
            owners[entry_point.name] = owner(entry_point)
    return Resolution(engines, owners, tuple(problems))


def _engine_type(name: str) -> InferenceEngineType:
    """Look an entry point's name up among Oumi's engine types.

    Raises:
        ValueError: There is none of that name.
    """
    from oumi.core.configs import InferenceEngineType

    try:
        return InferenceEngineType[name]
    except KeyError:
        known = ", ".join(InferenceEngineType.__members__)
        raise ValueError(f"Oumi has no engine type {name!r}, only {known}") from None


def _load(entry_point: EntryPoint) -> Engine:
    """Import an entry point's class.

    Raises:
        TypeError: It is not an engine class.
    """
    from oumi.core.inference import BaseInferenceEngine

    loaded = entry_point.load()
    if isinstance(loaded, type) and issubclass(loaded, BaseInferenceEngine):
        return loaded
    raise TypeError(f"not a subclass of {BaseInferenceEngine.__name__}: {loaded!r}")


def _install(module: ModuleType) -> None:
    """Replace the map in Oumi's module, and wherever else its name was imported to."""
    global _installed
    old = module.ENGINE_MAP
    if old is _installed:
        return
    resolution = resolve(find())
    _installed = MappingProxyType({**old, **resolution.engines})
    module.ENGINE_MAP = _installed  # type: ignore[attr-defined]
    for other in list(sys.modules.values()):
        if isinstance(other, ModuleType) and other.__dict__.get("ENGINE_MAP") is old:
            other.ENGINE_MAP = _installed  # type: ignore[attr-defined]
    # Last, since a warning may be turned into an error.
    for problem in resolution.problems:
        warnings.warn(
            f"{ended(problem)} Repair or uninstall that distribution.", EngineWarning, stacklevel=2
        )
