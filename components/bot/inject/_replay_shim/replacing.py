"""Put our functions in the place of the standard library's, also where a name was bound earlier."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Replacements"]

_OURS = __name__.rpartition(".")[0] + "."


class Replacements:
    """Collects what stands for what, then rebinds every module's names in one pass."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Any, Any]] = {}  # id of the original -> (the original, kept alive; ours)

    def replace(self, module: Any, name: str, ours: Any) -> None:
        """Set a name of a module, or of a class; one that does not exist on this system is left out."""
        original = getattr(module, name, None)
        if original is not None:
            self._by_id[id(original)] = (original, ours)
            setattr(module, name, ours)

    def rebind_everywhere(self) -> None:
        """Replace the originals in the names of all modules loaded so far, `from time import sleep` included."""
        for module_name, module in list(sys.modules.items()):
            names = getattr(module, "__dict__", None)
            if names is None or module_name.startswith(_OURS):
                continue
            for name, value in list(names.items()):
                found = self._by_id.get(id(value))
                if found is not None:
                    names[name] = found[1]
