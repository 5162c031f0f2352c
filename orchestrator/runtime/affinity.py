"""Which cores the processes of a run use: one, when that is measured to be faster.

A strict barrier hands one token round: at any moment one process works and the others wait. On one core the
hand-over is a switch, on two it wakes a sleeping core, which costs more than twice as much; components that
compute for long in parallel gain from all cores instead. So both are tried for a moment, and the faster is
kept.

Runs side by side must not choose the same core: a core is claimed through a locked file, which the kernel
unlocks whatever becomes of the run. Linux only; elsewhere all cores are used.
"""

from __future__ import annotations

import contextlib
import enum
import os
import stat
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

__all__ = ["Affinity", "AffinityTrial", "CoreClaim", "Placement", "pin"]

WINDOW_TICKS: Final = 256  # measured of each placement
SETTLE_TICKS: Final = 16  # after a change: caches are cold and threads are moved
_PIN_PASSES_MAX: Final = 5


class Placement(enum.Enum):
    """Where the processes of a run are."""

    ALL = "all"  # wherever the system puts them
    ONE = "one"  # together on one claimed core


class AffinityTrial:
    """Decides between all cores and one core from measured spans; touches no process.

    First `window_ticks` are measured on all cores, then as many on one; the placement with the lower median
    of wall time per tick is kept for the rest of the run. `placement` says what is to be in effect now.

    Parameters
    ----------
    window_ticks
        Ticks measured of each placement, > 0.
    settle_ticks
        Ticks not measured at the beginning of each, >= 0.
    """

    def __init__(self, window_ticks: int = WINDOW_TICKS, settle_ticks: int = SETTLE_TICKS) -> None:
        self.placement = Placement.ALL
        self.is_decided = False
        self._window_ticks = window_ticks
        self._settle_ticks = settle_ticks
        self._seen_ticks = 0  # since the placement was changed
        self._rates: dict[Placement, list[float]] = {Placement.ALL: [], Placement.ONE: []}  # ns per tick

    def add(self, ticks: int, wall_ns: int) -> None:
        """Take in how long some consecutive ticks took under the present placement, pacing waits left out."""
        if self.is_decided or ticks <= 0:
            return
        if self._seen_ticks >= self._settle_ticks:
            self._rates[self.placement].append(wall_ns / ticks)
        self._seen_ticks += ticks
        if self._seen_ticks < self._settle_ticks + self._window_ticks or not self._rates[self.placement]:
            return
        self._seen_ticks = 0
        if self.placement is Placement.ALL:
            self.placement = Placement.ONE
        else:
            self.is_decided = True
            on_all, on_one = (statistics.median(self._rates[p]) for p in (Placement.ALL, Placement.ONE))
            self.placement = Placement.ONE if on_one < on_all else Placement.ALL


class CoreClaim:
    """One core that no other run of this user has claimed; held until `release` or the end of the process.

    `core` is None when none was free (or there is no such thing here).

    Parameters
    ----------
    directory
        Where the lock files are; made with mode 0700. None: a fixed place of this user's.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.core: int | None = None
        self._fd = -1
        if sys.platform != "linux":
            return
        place = directory if directory is not None else _lock_directory()
        if not _is_private(place):
            return
        # From the last core down: the first ones serve the interrupts.
        for core in sorted(os.sched_getaffinity(0), reverse=True):
            self._fd = _lock(place / f"core-{core}.lock")
            if self._fd >= 0:
                self.core = core
                return

    def release(self) -> None:
        """Let other runs have the core; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self.core = None


class Affinity:
    """Keeps the processes of one run on one core while that is right; pins nothing without a free core.

    Parameters
    ----------
    setting
        "one" and "all" are obeyed from the first `observe`; "auto" is decided by an `AffinityTrial`.
    pids
        Returns the processes to place: the orchestrator itself and its SDK components.
    directory
        See `CoreClaim`.
    """

    def __init__(
        self,
        setting: Literal["auto", "one", "all"],
        pids: Callable[[], Iterable[int]],
        directory: Path | None = None,
    ) -> None:
        self.placement = Placement.ALL  # in effect now
        self._pids = pids
        self._cores = {Placement.ALL: _available_cores()}
        self._claim = CoreClaim(directory)
        if setting == "all" or len(self._cores[Placement.ALL]) < 2:
            self._claim.release()
        has_core = self._claim.core is not None
        if self._claim.core is not None:
            self._cores[Placement.ONE] = {self._claim.core}
        self._trial = AffinityTrial() if setting == "auto" and has_core else None
        self._wanted = Placement.ONE if setting == "one" and has_core else Placement.ALL

    @property
    def is_settled(self) -> bool:
        """Whether `observe` need not be called any more."""
        is_decided = self._trial is None or self._trial.is_decided
        return is_decided and self.placement is self._wanted

    def observe(self, ticks: int, wall_ns: int) -> None:
        """Take in how long some ticks took (pacing waits left out), and move the processes if that is due."""
        if self._trial is not None:
            self._trial.add(ticks, wall_ns)
            self._wanted = self._trial.placement
        if self.placement is not self._wanted:
            self._move(self._wanted)
        if self._wanted is Placement.ALL and self.is_settled:
            self._claim.release()

    def close(self) -> None:
        """Free the core and undo the placement of the processes that are left; idempotent."""
        if self.placement is Placement.ONE:
            self._move(Placement.ALL)
        self._claim.release()

    def _move(self, placement: Placement) -> None:
        pin(self._pids(), self._cores[placement], is_cooperative=placement is Placement.ONE)
        self.placement = placement


def pin(pids: Iterable[int], cores: Iterable[int], *, is_cooperative: bool = False) -> None:
    """Let all threads of some processes run on these cores only; no effect where that does not exist.

    Threads that start later inherit it. Processes that have ended, or are another user's, are passed over:
    the placement is a matter of speed, never of results.

    Parameters
    ----------
    pids, cores
        Which processes, and where.
    is_cooperative
        Let a thread that is woken wait until the one that woke it sleeps (SCHED_BATCH). On one core a
        socket's thread and its user otherwise interrupt each other at every message: a quarter of all switches.
    """
    if sys.platform != "linux":
        return
    wanted = set(cores)
    policy = os.SCHED_BATCH if is_cooperative else os.SCHED_OTHER
    for pid in pids:
        done: set[int] = set()
        # A thread may start another while it waits for its turn; look until there is no new one.
        for _ in range(_PIN_PASSES_MAX):
            threads = _threads(pid) - done
            if not threads:
                break
            for thread in threads:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.sched_setaffinity(thread, wanted)
                    os.sched_setscheduler(thread, policy, os.sched_param(0))
            done |= threads


def _threads(pid: int) -> set[int]:
    try:
        return {int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()}
    except OSError:
        return set()


def _available_cores() -> set[int]:
    return set(os.sched_getaffinity(0)) if sys.platform == "linux" else set()


def _lock_directory() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR")
    if not base or not Path(base).is_dir():
        base = tempfile.gettempdir()
    return Path(base) / f"replay-cores-{os.getuid()}"


def _is_private(directory: Path) -> bool:
    # The temporary directory is everybody's: what stands there under our name need not be ours.
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _lock(path: Path) -> int:
    # The descriptor that holds the lock, -1 when another process does. The file stays: removing it would let
    # two runs lock two files of the same name.
    import fcntl  # noqa: PLC0415 - not on every system

    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    return fd
