"""Calls back after a module was imported, and never imports one.

A library of clients takes tens of milliseconds to import, and a child that does not use it must not pay. So
each is changed when the bot has imported it: a finder at the head of the meta path lets the others find the
module and adds one step after its execution.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from _replay_shim import ending

__all__ = ["install", "on_import"]

Callback = Callable[[Any], None]

_callbacks: dict[str, list[Callback]] = {}


def on_import(name: str, callback: Callback) -> None:
    """Call back with a module once it is imported; at once when it is already."""
    module = sys.modules.get(name)
    if module is not None and not _is_initializing(module):
        _run(name, [callback], module)
        return
    _callbacks.setdefault(name, []).append(callback)


def install() -> None:
    """Put the finder before all others."""
    sys.meta_path.insert(0, _AfterImport())


def _is_initializing(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


# A library that is only half changed could reach a network: as fatal as a shim that does not start.
def _run(name: str, callbacks: list[Callback], module: Any) -> None:
    for callback in callbacks:
        try:
            callback(module)
        except Exception as error:  # noqa: BLE001 - see above
            ending.refuse(f"the shim cannot take over {name}: {ending.describe(error)}")


class _AfterImport:
    """A finder that finds nothing itself: it adds the callbacks to what the finders after it found."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the specification of a module that someone waits for; None for all others."""
        if name not in _callbacks:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _add_step(name, spec.loader)
                return spec
        return None


# The loader stays the one it was, since packages read their own files by way of it.
def _add_step(name: str, loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        _run(name, _callbacks[name], module)  # kept: a module may be loaded again

    loader.exec_module = exec_module
