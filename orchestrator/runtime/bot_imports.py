"""What the scripts of a bot import, and what they name in their texts, found without running any of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ScriptFacts", "read_scripts"]

_URL: Final = re.compile(r"\b(?:https?|wss?)://([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
_SCRIPTS_MAX: Final = 500


class ScriptFacts(NamedTuple):
    """A script and the modules of its folder that it imports, read as one."""

    scripts: tuple[Path, ...]
    needed: dict[str, str]  # top-level module -> the script that imports it
    optional: dict[str, str]  # the same, where the import stands in a `try` or `if`
    hosts: frozenset[str]  # of the addresses in its texts
    words: frozenset[str]  # its short texts
    unreadable: tuple[str, ...]  # one line each


def read_scripts(script: Path, folder: Path) -> ScriptFacts:
    """Read a script and, by way of their imports, the modules beside it.

    Parameters
    ----------
    script
        What the command starts.
    folder
        The working directory; modules are looked for there and beside the script.
    """
    pending, seen = [script], {script}
    needed: dict[str, str] = {}
    optional: dict[str, str] = {}
    texts: set[str] = set()
    unreadable: list[str] = []
    places = (script.parent, folder)
    while pending and len(seen) <= _SCRIPTS_MAX:
        path = pending.pop(0)
        try:
            tree = ast.parse(path.read_bytes(), filename=path.name)
        except (OSError, SyntaxError, ValueError) as error:
            unreadable.append(f"{path.name} cannot be read as Python: {error}")
            continue
        texts |= _texts(tree)
        for name, is_needed in _imports(tree.body, is_needed=True):
            is_relative = name.startswith(".")
            own = _own_module(name.strip("."), (path.parent,) if is_relative else places)
            if own is not None and own not in seen:
                seen.add(own)
                pending.append(own)
            elif own is None and not is_relative and not name.endswith("."):
                (needed if is_needed else optional).setdefault(name.partition(".")[0], path.name)
    return ScriptFacts(
        scripts=tuple(sorted(seen)),
        needed=dict(sorted(needed.items())),
        optional={name: where for name, where in sorted(optional.items()) if name not in needed},
        hosts=frozenset(host for text in texts for host in _URL.findall(text)),
        words=frozenset(text for text in texts if len(text) < 40),
        unreadable=tuple(unreadable),
    )


def _imports(body: list[ast.stmt], *, is_needed: bool) -> Iterator[tuple[str, bool]]:
    # Those at the level of the module: they run whenever the script does.
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, is_needed
        elif isinstance(node, ast.ImportFrom):
            for name in _names_of(node):
                yield name, is_needed
        elif isinstance(node, ast.Try):
            is_caught = bool(node.handlers)
            yield from _imports(node.body, is_needed=is_needed and not is_caught)
            for handler in node.handlers:
                yield from _imports(handler.body, is_needed=False)
            yield from _imports([*node.orelse, *node.finalbody], is_needed=is_needed and not is_caught)
        elif isinstance(node, ast.If):
            yield from _imports([*node.body, *node.orelse], is_needed=False)
        elif isinstance(node, ast.With):
            yield from _imports(node.body, is_needed=is_needed)


def _names_of(node: ast.ImportFrom) -> Iterator[str]:
    # One with a dot before it is the folder's own; one with a dot behind it may be no module at all.
    dots = "." * bool(node.level)
    module = node.module or ""
    if module:
        yield dots + module
    for alias in node.names:
        yield f"{dots}{module}{'.' * bool(module)}{alias.name}."


def _own_module(name: str, places: tuple[Path, ...]) -> Path | None:
    # The innermost part of a dotted name that is a file: the last may be a name inside a module.
    parts = name.split(".")
    for folder in places:
        for depth in range(len(parts), 0, -1):
            place = folder.joinpath(*parts[:depth])
            for candidate in (place.with_name(f"{parts[depth - 1]}.py"), place / "__init__.py"):
                if candidate.is_file():
                    return candidate.resolve()
    return None


def _texts(tree: ast.Module) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
