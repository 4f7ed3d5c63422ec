"""Wait for Oumi's table of engines. Run by `oumi_fireworks_startup.pth` when Python starts.

That happens in every process of the environment, so: import nothing but `sys`, do next to
nothing, never raise. Being small matters too, where Python may not keep its bytecode.
"""

import sys

TYPE_CHECKING = False  # what `typing` has, without its import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class EngineFinder:
    """Stands before the other finders and leaves every module but one to them.

    It stays there, so that a reload or a second import of Oumi's engines is seen too, and since
    taking it off the list while another thread walks along it makes that thread skip a finder.
    """

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """Hand Oumi's engines to `_oumi_fireworks_loader`; None for any other module."""
        if name != "oumi.builders.inference_engines":
            return None
        try:
            from _oumi_fireworks_loader import find_spec
        except ImportError:  # half removed
            return None
        return find_spec(self, name, path, target)


sys.meta_path.insert(0, EngineFinder())
