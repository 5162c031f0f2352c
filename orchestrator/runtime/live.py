"""replay_data/<run>/: how a running replay is found, and a mirror of the market for scripts and eyes."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import msgspec

from orchestrator.errors import ConfigError
from orchestrator.protocol import CandleFlag, Snapshot
from orchestrator.runs.layout import write_failure
from orchestrator.runs.lines import time_text
from orchestrator.runs.manifest import process_start_time

__all__ = ["LiveFolder", "LiveRun", "find_live_run", "live_runs"]

_LIVE_FILE = "live.json"
_MIRROR_FILE = "backtest_state.json"
_PRICES = struct.Struct("<5d")
_COLUMNS = ("open", "high", "low", "close", "volume")


class LiveRun(msgspec.Struct, frozen=True, kw_only=True):
    """live.json: whose process runs a replay, and where its sockets are."""

    run_id: str
    directory: str
    process_id: int
    process_start_time: float | None
    components_endpoint: str
    spectators_endpoint: str
    control_endpoint: str
    curve_server_key: str | None = None

    @property
    def is_running(self) -> bool:
        """Return whether the process still lives (a process number may have been given to another)."""
        started = process_start_time(self.process_id)
        return started is not None and (
            self.process_start_time is None or abs(started - self.process_start_time) < 1.0
        )


class LiveFolder:
    """The folder of one running replay.

    Parameters
    ----------
    data
        replay_data/.
    run_id
        Name of the run; another number is added when a running replay has it already.
    """

    def __init__(self, data: Path, run_id: str) -> None:
        _remove_ended(data)
        self._live: bytes | None = None
        self.path = data / run_id
        existing = _read_live(self.path)
        if existing is not None and existing.is_running:
            self.path = data / f"{run_id}-{os.getpid()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be created: {error.strerror}; "
                "start in a folder that you can write to, or set REPLAY_HOME"
            ) from None

    def announce(self, live: LiveRun) -> None:
        """Write live.json."""
        self._live = msgspec.json.encode(live)
        self._write(_LIVE_FILE, self._live)

    def mirror(self, coins: tuple[str, ...], snapshot: Snapshot, status: str) -> None:
        """Write backtest_state.json, whole or not at all."""
        prices = {}
        for place, coin in enumerate(coins):
            if snapshot.flags[place] & CandleFlag.PRESENT:
                values = _PRICES.unpack_from(snapshot.prices, place * _PRICES.size)
                prices[coin] = dict(zip(_COLUMNS, values, strict=True))
        state = {
            "sequence": snapshot.sequence,
            "timestamp": msgspec.Raw(time_text(snapshot.sim_time_ns).encode()),
            "prices": prices,
            "status": status,
            "orchestrator_pid": os.getpid(),
        }
        self._write(_MIRROR_FILE, msgspec.json.encode(state))

    def withdraw(self) -> None:
        """Remove live.json: the replay can no longer be talked to."""
        self._live = None
        with contextlib.suppress(OSError):
            (self.path / _LIVE_FILE).unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        try:
            try:
                self._put(name, content)
            except FileNotFoundError:
                # The folder is safe to delete at any time: a running replay makes its part of it again.
                self.path.mkdir(parents=True, exist_ok=True)
                if self._live is not None:
                    self._put(_LIVE_FILE, self._live)
                self._put(name, content)
        except OSError as error:
            raise write_failure(error, f"{self.path} mirrors the run no further") from error

    def _put(self, name: str, content: bytes) -> None:
        # Renamed into place, not synced: a mirror that a power cut loses is made again.
        temporary = self.path / f".{name}.part"
        temporary.write_bytes(content)
        temporary.replace(self.path / name)


def live_runs(data: Path) -> list[LiveRun]:
    """Return the replays that are running, ordered by name."""
    found = (_read_live(folder) for folder in sorted(data.iterdir())) if data.is_dir() else ()
    return [live for live in found if live is not None and live.is_running]


def find_live_run(data: Path, name: str | None) -> LiveRun:
    """Return the running replay of that name or directory; without a name the only one.

    Raises
    ------
    ConfigError
        If there is none, or several fit.
    """
    running = live_runs(data)
    names = ", ".join(live.run_id for live in running)
    if not running:
        raise ConfigError(f"no replay is running (looked in {data}); start one with replay start")
    if name is None:
        if len(running) > 1:
            raise ConfigError(f"several replays are running: {names}; name one of them")
        return running[0]
    wanted = Path(name)
    for live in running:
        if name == live.run_id or wanted.resolve() == Path(live.directory).resolve():
            return live
    raise ConfigError(f"no running replay is called {name!r}; running: {names}")


def _remove_ended(data: Path) -> None:
    # What ended runs left: a last mirror, or the live.json of a process that was killed. A folder with neither
    # may be one that is just beginning.
    for folder in sorted(data.iterdir()) if data.is_dir() else ():
        live = _read_live(folder)
        is_ended = not live.is_running if live is not None else (folder / _MIRROR_FILE).is_file()
        if is_ended:
            with contextlib.suppress(OSError):  # another run removes it too
                for name in (_LIVE_FILE, _MIRROR_FILE):
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()  # not when there is something of the user's in it


def _read_live(folder: Path) -> LiveRun | None:
    try:
        return msgspec.json.decode((folder / _LIVE_FILE).read_bytes(), type=LiveRun)
    except (OSError, msgspec.DecodeError):
        return None  # not a live folder, or one that is just being written
