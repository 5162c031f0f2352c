"""What every section of replay.toml has in common: unknown keys are refused, mistakes said in the user's terms."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from orchestrator.errors import ConfigError

__all__ = ["Section", "explain", "refuse_unknown_keys"]

_KINDS: Final = {
    "array": "a list",
    "object": "a table",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
}


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: immutable, unknown keys refused."""


def refuse_unknown_keys(raw: Any, section: type[Section], where: str, prefix: str = "") -> None:
    """Raise for the first key of a plain table, or of one inside it, that its section does not have.

    Parameters
    ----------
    raw
        The table as TOML has it; values of the wrong kind are left to the conversion.
    where, prefix
        Where the table was found and what stands before its keys, for the message.

    Raises
    ------
    ConfigError
        With the nearest known key, or all of them.
    """
    if not isinstance(raw, dict):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(section)}
    for key, value in raw.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(fields))}"
            raise ConfigError(f"{where}: unknown key {prefix}{key}; {hint}")
        kind = fields[key]
        inner = next((k for k in _kinds_within(kind) if isinstance(k, type) and issubclass(k, Section)), None)
        if inner is None:
            continue
        if isinstance(value, list):
            for item in value:
                refuse_unknown_keys(item, inner, where, f"{prefix}{key}.")
        elif get_origin(kind) is not dict:
            refuse_unknown_keys(value, inner, where, f"{prefix}{key}.")
        elif isinstance(value, dict):
            for name, item in value.items():
                refuse_unknown_keys(item, inner, where, f"{prefix}{key}.{name}.")


def explain(error: msgspec.ValidationError, section: type[Section]) -> str:
    """Return what a failed conversion found, and what is allowed there."""
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", str(error))
    if found is None:
        return str(error)
    what, path = found[1], found[2]
    allowed = _allowed_at(section, path)
    if allowed and what.startswith("Invalid enum value"):
        return f"{path} {what.removeprefix('Invalid enum value ')} is not allowed; use {' or '.join(allowed)}"
    mismatch = re.fullmatch(r"Expected (.*), got (.*)", what)
    if mismatch is None:
        return f"{path}: {what}"
    return f"{path} must be {_in_words(mismatch[1])}, found {_in_words(mismatch[2])}"


def _kinds_within(kind: Any) -> Iterator[Any]:
    yield kind
    for argument in get_args(kind):
        yield from _kinds_within(argument)


def _allowed_at(section: type[Section], path: str) -> tuple[str, ...]:
    # The values that a Literal at the path allows, such as `data.gaps` or `component[0].stage`.
    kind: Any = section
    for name in re.sub(r"\[[^]]*\]", "", path).split("."):
        inner = next((k for k in _kinds_within(kind) if isinstance(k, type) and issubclass(k, Section)), None)
        fields = {} if inner is None else {field.name: field.type for field in msgspec.structs.fields(inner)}
        if name not in fields:
            return ()
        kind = fields[name]
    return tuple(str(v) for k in _kinds_within(kind) if get_origin(k) is Literal for v in get_args(k))


def _in_words(text: str) -> str:
    words = re.sub(r"`([a-z]+)`", lambda match: _KINDS.get(match[1], match[1]), text)
    return re.sub(
        r"`(.*)`", lambda match: " or ".join(_KINDS.get(k, k) for k in match[1].split(" | ")), words
    )
