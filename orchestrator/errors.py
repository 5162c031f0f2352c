"""The errors a user can meet; each message says what was found, what is allowed and what to do next.

The tree is split by whose fault it is, because that is what a caller acts on (the exit status)::

    ReplayError                 exit 1   the run failed (disk full, run directory unwritable)
    ├── ConfigError             exit 2   the command line, replay.toml or a component's own code
    ├── DataError               exit 3   market data: missing, unsound, out of range
    ├── ComponentError          exit 4   a component crashed, left, stalled
    │   └── ProtocolError       exit 4   … or spoke out of turn, or something that is no message
    ├── InvariantError          exit 5   the books do not add up; the run is quarantined
    │   └── CausalityError      exit 5   an effect before its cause
    └── DivergedError           exit 5   two runs that must be equal are not
"""

from __future__ import annotations

__all__ = [
    "CausalityError",
    "ComponentError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "InvariantError",
    "ProtocolError",
    "ReplayError",
]


class ReplayError(Exception):
    """The run failed for a reason outside configuration, data and components.

    `exit_status` is the process exit status that the command line gives for the class.
    """

    exit_status = 1


class ConfigError(ReplayError):
    """Something the user wrote - a flag, a key, a value, a call in a component - cannot be used."""

    exit_status = 2


class DataError(ReplayError):
    """Market data are missing, unsound or out of range."""

    exit_status = 3


class ComponentError(ReplayError):
    """A component crashed, left before the end, or did not answer in time.

    Parameters
    ----------
    component
        Its name, where one is to blame whom nothing else points to: one that lives and speaks out of turn.
    """

    exit_status = 4

    def __init__(self, message: str, *, component: str | None = None) -> None:
        super().__init__(message)
        self.component = component


class ProtocolError(ComponentError):
    """A message was malformed, of the wrong version, or out of turn."""


class InvariantError(ReplayError):
    """A rule that must always hold is broken; results cannot be trusted and the run is quarantined."""

    exit_status = 5


class CausalityError(InvariantError):
    """Something would have happened before its cause, or earlier than the clock."""


class DivergedError(ReplayError):
    """Two runs with the same identity produced different results."""

    exit_status = 5
