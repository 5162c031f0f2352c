"""What replay.toml says of unmodified bots: `[bots]` for all of them, and the keys of `[[component]]` for one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final, Literal

import msgspec

from orchestrator.durations import NS_PER_SECOND, parse_duration_ns
from orchestrator.errors import ConfigError
from orchestrator.settings_section import Section

__all__ = [
    "BotsSettings",
    "StartConditionSettings",
    "parse_phase_ns",
    "validate_bots",
    "validate_pace",
    "validate_start_condition",
]

_LATENCY_MS_MAX: Final = 60_000
_BURST_MAX: Final = 10_000
_NS_PER_MS: Final = 1_000_000


class BotsSettings(Section, frozen=True, kw_only=True):
    """[bots]: what holds for every component of kind "bot"."""

    request_latency_ms: Decimal = Decimal(50)  # simulated time that one request to an exchange takes
    charge_cpu: bool = False  # add measured CPU time to simulated time; then runs are not reproducible
    network_namespace: Literal["auto", "require", "off"] = "auto"  # the bots' own, without a network

    @property
    def request_latency_ns(self) -> int:
        """What a request costs, nanoseconds of simulated time."""
        return int(self.request_latency_ms * _NS_PER_MS)


class StartConditionSettings(Section, frozen=True, kw_only=True):
    """start_when of a `[[component]]`: it is started when a file of the working copy says so."""

    file: str  # relative to the working directory
    contains: dict[str, Any] = msgspec.field(default_factory=dict)  # keys of the JSON file, with their values


def parse_phase_ns(text: str) -> int:
    """Return the nanoseconds of a phase such as "0s" or "5s"."""
    return 0 if text.strip() == "0s" else parse_duration_ns(text)


def validate_bots(bots: BotsSettings) -> None:
    """Raise `ConfigError` for a value out of range."""
    latency = bots.request_latency_ms
    if not (latency.is_finite() and 0 < latency <= _LATENCY_MS_MAX):
        raise ConfigError(
            f"bots.request_latency_ms {latency} is out of range; above 0 (else a loop without a sleep never ends), "
            f"at most {_LATENCY_MS_MAX}"
        )


def validate_pace(where: str, pace: str | None, burst: int | None, phase: str | None) -> None:
    """Raise `ConfigError` for a pace that cannot be."""
    if pace != "burst":
        for key, value in (("burst", burst), ("phase", phase)):
            if value is not None:
                raise ConfigError(
                    f'{where}: {key} has no effect without pace = "burst"; add it or remove {key}'
                )
        return
    if burst is None:
        raise ConfigError(
            f'{where}: pace = "burst" needs burst, the turns after each tick; `replay pace CONFIG` proposes one'
        )
    if not 1 <= burst <= _BURST_MAX:
        raise ConfigError(f"{where}: burst {burst} is out of range; from 1 to {_BURST_MAX} turns")
    if phase is not None and parse_phase_ns(phase) > 3_600 * NS_PER_SECOND:
        raise ConfigError(f"{where}: phase {phase} is out of range; from 0s to 1h after the tick")


def validate_start_condition(where: str, condition: StartConditionSettings) -> None:
    """Raise `ConfigError` for a file outside the working directory."""
    path = PurePosixPath(condition.file)
    if not condition.file or path.is_absolute() or ".." in path.parts:
        raise ConfigError(
            f"{where}: start_when.file {condition.file!r} is not inside the working directory; "
            "give a path relative to it"
        )
