"""Old places of public names, which keep working for a while."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from oumi_fireworks import errors


def errors_once_in(module: str, names: str) -> Callable[[str], object]:
    """Return a module's ``__getattr__`` (PEP 562) that still finds the errors it used to hold.

    Args:
        module: Its ``__name__``.
        names: The errors, with blanks between them.
    """
    moved = frozenset(names.split())

    def find(name: str) -> object:
        if name not in moved:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} has moved: import it from oumi_fireworks. The old place goes with "
            "version 1.0.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(errors, name)

    return find
