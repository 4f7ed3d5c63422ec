"""Load Oumi's engines as their own loader does, and register the installed engines after it.

Imported by `_oumi_fireworks_startup` while Python looks for ``oumi.builders.inference_engines``.
That is done under the import system's global lock, so this module imports nothing but `sys`
either: waiting there for a module that another thread is just importing would be a deadlock.
"""

import sys

TYPE_CHECKING = False  # what `typing` has, without its import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from _oumi_fireworks_startup import EngineFinder


def find_spec(
    finder: "EngineFinder",
    name: str,
    path: "Sequence[str] | None",
    target: "ModuleType | None",
) -> "ModuleSpec | None":
    """Ask the finders that stand behind one of ours; wrap the loader that they choose.

    Only those behind it: a hook before it that asks on in the same way is not asked again.
    """
    finders = iter(sys.meta_path)
    if finder not in finders:  # looking for it moves the iterator behind it
        return None
    for other in finders:
        find_spec = getattr(other, "find_spec", None)
        spec: ModuleSpec | None = find_spec and find_spec(name, path, target)
        if spec is not None:
            if spec.loader is not None:
                spec.loader = EngineLoader(spec.loader)  # type: ignore[assignment]
            return spec
    return None


class EngineLoader:
    """A module's own loader, followed by the registration of the engines."""

    def __init__(self, loader: "Loader") -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> object:
        """Be the wrapped loader in all else: create_module, get_source, path, ..."""
        if name == "loader":  # a copy under construction does not have it yet
            raise AttributeError(name)
        return getattr(self.loader, name)

    def exec_module(self, module: "ModuleType") -> None:
        """Load the module with its own loader, which it keeps, and put the engines into it."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        try:
            from oumi_fireworks.plugin import on_import

            on_import(module)
        except Exception as error:
            warn(f"oumi-fireworks did not register the installed engines: {error!r}")


def warn(message: str) -> None:
    """Show a warning without raising it, even where warnings are errors: the import goes on."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(message, RuntimeWarning, stacklevel=3)
