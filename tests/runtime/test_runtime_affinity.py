"""Cores are claimed, compared and given back; the decision itself needs no process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.runtime.affinity import Affinity, AffinityTrial, CoreClaim, Placement, pin

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen on Linux only")
TWO_CORES = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)


def run_trial(trial: AffinityTrial, all_ns: int, one_ns: int, *, ticks: int = 1) -> int:
    """Feed spans until the trial is decided; return the ticks that took."""
    fed = 0
    while not trial.is_decided:
        trial.add(ticks, ticks * (all_ns if trial.placement is Placement.ALL else one_ns))
        fed += ticks
        assert fed < 10_000
    return fed


class TestTrial:
    @pytest.mark.parametrize("ticks", [1, 7, 1000])
    @pytest.mark.parametrize(
        ("all_ns", "one_ns", "kept"),
        [(200, 90, Placement.ONE), (90, 200, Placement.ALL), (100, 100, Placement.ALL)],
    )
    def test_the_faster_placement_is_kept(
        self, all_ns: int, one_ns: int, kept: Placement, ticks: int
    ) -> None:
        trial = AffinityTrial(window_ticks=256, settle_ticks=16)
        fed = run_trial(trial, all_ns, one_ns, ticks=ticks)
        assert trial.placement is kept
        assert fed <= 2 * (256 + 16 + 2 * ticks)

    def test_all_cores_come_first_then_one(self) -> None:
        trial = AffinityTrial(window_ticks=4, settle_ticks=2)
        seen = []
        for _ in range(12):
            seen.append(trial.placement)
            trial.add(1, 100 if trial.placement is Placement.ALL else 50)
        assert seen == [Placement.ALL] * 6 + [Placement.ONE] * 6
        assert trial.is_decided
        trial.add(1, 10**12)
        assert trial.placement is Placement.ONE

    def test_neither_the_first_ticks_nor_a_rare_hitch_decide(self) -> None:
        trial = AffinityTrial(window_ticks=20, settle_ticks=5)
        count = 0
        while not trial.is_decided:
            is_hitch = trial.placement is Placement.ONE and count % 10 == 3
            is_cold = trial.placement is Placement.ALL and count < 5
            usual = 100 if trial.placement is Placement.ALL else 80
            trial.add(1, 10**9 if is_hitch or is_cold else usual)
            count += 1
        assert trial.placement is Placement.ONE

    def test_nothing_measured_changes_nothing(self) -> None:
        trial = AffinityTrial(window_ticks=1, settle_ticks=0)
        trial.add(0, 100)
        assert trial.placement is Placement.ALL


@LINUX_ONLY
class TestClaim:
    def test_each_claim_gets_a_core_of_its_own_until_none_is_free(self, tmp_path: Path) -> None:
        cores = os.sched_getaffinity(0)
        claims = [CoreClaim(tmp_path / "locks") for _ in range(len(cores) + 1)]
        assert {claim.core for claim in claims[:-1]} == cores
        assert claims[-1].core is None
        freed = claims[0].core
        claims[0].release()
        claims[0].release()
        again = CoreClaim(tmp_path / "locks")
        assert again.core == freed
        for claim in (again, *claims[1:]):
            claim.release()

    def test_the_directory_is_private(self, tmp_path: Path) -> None:
        CoreClaim(tmp_path / "locks").release()
        assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("kind", ["open to others", "link", "file", "below nothing"])
    def test_a_directory_that_may_be_anothers_is_not_used(self, tmp_path: Path, kind: str) -> None:
        place = tmp_path / "locks"
        if kind == "open to others":
            place.mkdir()
            place.chmod(0o770)
        elif kind == "link":
            (tmp_path / "real").mkdir(mode=0o700)
            place.symlink_to(tmp_path / "real")
        elif kind == "file":
            place.write_text("")
        else:
            place = tmp_path / "a" / "b"
        assert CoreClaim(place).core is None

    def test_a_lock_file_that_cannot_be_opened_is_passed_over(self, tmp_path: Path) -> None:
        place = tmp_path / "locks"
        place.mkdir(mode=0o700)
        for core in os.sched_getaffinity(0):
            (place / f"core-{core}.lock").mkdir()
        assert CoreClaim(place).core is None

    def test_the_fixed_place_is_under_the_runtime_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        claim = CoreClaim()
        assert (tmp_path / f"replay-cores-{os.getuid()}" / f"core-{claim.core}.lock").is_file()
        claim.release()

    def test_the_end_of_a_process_frees_its_core(self, tmp_path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from orchestrator.runtime.affinity import CoreClaim;"
            "claim = CoreClaim(Path(sys.argv[1])); print(claim.core, flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "locks")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as other:  # fmt: skip
            assert other.stdout is not None
            taken = int(other.stdout.readline())
            mine = CoreClaim(tmp_path / "locks")
            assert mine.core != taken
            mine.release()
            other.kill()
        mine = CoreClaim(tmp_path / "locks")
        assert mine.core == taken
        mine.release()


THREADS = """
import sys, threading
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print('up', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def threaded() -> Iterator[int]:
    """Start a process with four threads; return its pid."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def cores_of_threads(pid: int) -> list[set[int]]:
    return [os.sched_getaffinity(int(entry.name)) for entry in Path(f"/proc/{pid}/task").iterdir()]


@TWO_CORES
class TestPin:
    def test_all_threads_are_moved_and_moved_back(self, threaded: int) -> None:
        everywhere = os.sched_getaffinity(0)
        core = max(everywhere)
        pin([threaded], {core})
        assert cores_of_threads(threaded) == [{core}] * 4
        pin([threaded], everywhere)
        assert cores_of_threads(threaded) == [everywhere] * 4

    def test_ended_processes_are_passed_over(self, threaded: int) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
            ended.wait()
        core = min(os.sched_getaffinity(0))
        pin([ended.pid, threaded], {core})
        assert cores_of_threads(threaded) == [{core}] * 4


@TWO_CORES
class TestAffinity:
    def observe(self, affinity: Affinity, all_ns: int, one_ns: int) -> None:
        for _ in range(1_000):
            affinity.observe(1, all_ns if affinity.placement is Placement.ALL else one_ns)

    def test_one_is_obeyed_at_once_and_undone_at_the_end(self, threaded: int, tmp_path: Path) -> None:
        everywhere = os.sched_getaffinity(0)
        affinity = Affinity("one", lambda: [threaded], tmp_path / "locks")
        affinity.observe(1, 100)
        assert affinity.is_settled
        assert all(len(cores) == 1 for cores in cores_of_threads(threaded))
        affinity.close()
        affinity.close()
        assert cores_of_threads(threaded) == [everywhere] * 4

    @pytest.mark.parametrize(("one_ns", "count"), [(50, 1), (200, 2)])
    def test_auto_keeps_what_was_faster(self, threaded: int, tmp_path: Path, one_ns: int, count: int) -> None:
        affinity = Affinity("auto", lambda: [threaded], tmp_path / "locks")
        assert not affinity.is_settled
        self.observe(affinity, 100, one_ns)
        assert affinity.is_settled
        counts = {min(len(cores), 2) for cores in cores_of_threads(threaded)}
        assert counts == {count}
        # The core is claimed as long as it is used, and no longer.
        others = [CoreClaim(tmp_path / "locks") for _ in os.sched_getaffinity(0)]
        assert (others[-1].core is None) == (count == 1)
        for claim in others:
            claim.release()
        affinity.close()

    def test_all_claims_nothing(self, threaded: int, tmp_path: Path) -> None:
        affinity = Affinity("all", lambda: [threaded], tmp_path / "locks")
        self.observe(affinity, 100, 50)
        assert affinity.is_settled
        assert affinity.placement is Placement.ALL
        affinity.close()

    @pytest.mark.parametrize("setting", ["auto", "one"])
    def test_without_a_free_core_all_are_used(self, threaded: int, tmp_path: Path, setting: str) -> None:
        claims = [CoreClaim(tmp_path / "locks") for _ in os.sched_getaffinity(0)]
        affinity = Affinity(setting, lambda: [threaded], tmp_path / "locks")  # type: ignore[arg-type]
        self.observe(affinity, 100, 50)
        assert affinity.is_settled
        assert affinity.placement is Placement.ALL
        affinity.close()
        for claim in claims:
            claim.release()


@TWO_CORES
def test_a_process_can_place_itself_and_its_threads(tmp_path: Path) -> None:
    everywhere = os.sched_getaffinity(0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    affinity = Affinity("one", lambda: [os.getpid()], tmp_path / "locks")
    affinity.observe(1, 1)
    assert {len(cores) for cores in cores_of_threads(os.getpid())} == {1}
    affinity.close()
    assert all(cores == everywhere for cores in cores_of_threads(os.getpid()))
    stop.set()
    thread.join()
