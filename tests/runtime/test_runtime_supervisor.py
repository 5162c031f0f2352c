"""Real processes under the supervisor: how they start, what they print, how they end, what is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import ReplayError
from orchestrator.runtime import supervisor as supervisor_module
from orchestrator.runtime.supervisor import ComponentExited, ComponentStarted, LogLost, Supervisor
from tests.processes import (
    REPOSITORY,
    is_alive,
    marked_environment,
    marked_processes,
    open_descriptors,
    slowness,
    wait_until,
)

MIB = 1024 * 1024
LINUX_ONLY = pytest.mark.skipif(
    sys.platform != "linux", reason="needs Linux: subreaper and parent-death signal"
)

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
SPIN = "print('up', flush=True)\nwhile True: pass"
LOUD = "while True: print('up', 'x' * 2000)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
DAEMON = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    print('up', os.getpid(), flush=True)
    time.sleep(600)
os.wait()
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def guardian_under_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    # Isolated and without site packages the guardian could not be measured.
    if "COVERAGE_PROCESS_START" in os.environ or "COVERAGE_PROCESS_CONFIG" in os.environ:
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        command = (sys.executable, "-m", "orchestrator.runtime.guardian")
        monkeypatch.setattr(supervisor_module, "GUARDIAN_COMMAND", command)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "logs").mkdir()
    with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor
    assert not is_alive(supervisor.guardian_pid)
    assert marked_processes(tmp_path) == []


def start(supervisor: Supervisor, tmp_path: Path, name: str, code: str, *words: str) -> None:
    command = (sys.executable, "-S", "-c", code, *words)
    supervisor.start(name, command, tmp_path, marked_environment(tmp_path))


def has_printed(tmp_path: Path, name: str, text: str = "up") -> bool:
    log = tmp_path / "logs" / f"{name}.log"
    return log.exists() and text in log.read_text()


def start_and_wait(supervisor: Supervisor, tmp_path: Path, name: str, code: str) -> int:
    start(supervisor, tmp_path, name, code)
    assert wait_until(lambda: has_printed(tmp_path, name))
    supervisor.poll()
    return supervisor.pids[name]


class TestReports:
    def test_start_and_exit_are_reported_in_order(self, processes: Supervisor, tmp_path: Path) -> None:
        start(processes, tmp_path, "one", "print('said'); raise SystemExit(3)")
        assert processes.wait_exits(60)
        started, exited = processes.poll()
        assert isinstance(started, ComponentStarted)
        assert isinstance(exited, ComponentExited)
        assert (started.name, started.pid) == ("one", processes.pids["one"])
        assert (exited.exit_code, exited.signal, exited.last_lines) == (3, None, ("said",))
        assert exited.describe() == "exited with status 3"
        assert processes.exits["one"] == exited
        assert (tmp_path / "logs/one.log").read_text() == "said\n"

    def test_poll_never_waits_and_descriptor_becomes_readable(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        assert processes.poll() == []
        start(processes, tmp_path, "one", "")
        readable, _, _ = select.select([processes], [], [], 60)
        assert readable
        assert wait_until(lambda: bool(processes.poll()))

    def test_crash_reports_the_last_twenty_lines(self, processes: Supervisor, tmp_path: Path) -> None:
        start(processes, tmp_path, "one", "for n in range(50): print(n)\nraise ValueError('the mistake')")
        assert processes.wait_exits(60)
        lines = processes.exits["one"].last_lines
        assert len(lines) == 20
        assert lines[-1] == "ValueError: the mistake"
        assert processes.exits["one"].exit_code == 1

    def test_death_by_signal_is_named(self, processes: Supervisor, tmp_path: Path) -> None:
        start(processes, tmp_path, "one", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
        assert processes.wait_exits(60)
        exited = processes.exits["one"]
        assert (exited.exit_code, exited.signal) == (None, signal.SIGSEGV)
        assert exited.describe() == "was killed by SIGSEGV"

    def test_memory_and_cpu_are_plausible_and_include_children(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        work = "import time; b = bytearray(64 << 20)\nwhile time.process_time() < 0.2: pass"
        start(processes, tmp_path, "plain", work)
        start(processes, tmp_path, "parent", "import subprocess, sys; subprocess.run(sys.argv[1:])",
              sys.executable, "-S", "-c", work)  # fmt: skip
        assert processes.wait_exits(60)
        for exited in processes.exits.values():
            assert 64 * MIB < exited.peak_memory_bytes < 512 * MIB
            assert 0.2 <= exited.cpu_seconds < 5

    def test_what_cannot_be_started_says_why(self, processes: Supervisor, tmp_path: Path) -> None:
        processes.start("one", ("/nonexistent/program",), tmp_path, {})
        processes.start("two", (sys.executable,), tmp_path / "nowhere", {})
        assert processes.wait_exits(60)
        for exited in processes.exits.values():
            assert exited.exit_code == 127
            assert "cannot start" in exited.last_lines[-1]

    def test_a_name_is_used_once(self, processes: Supervisor, tmp_path: Path) -> None:
        start(processes, tmp_path, "one", "")
        with pytest.raises(ValueError, match="one"):
            start(processes, tmp_path, "one", "")

    def test_environment_and_directory_are_exactly_those_given(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        code = (
            "import os, signal; print(os.getcwd(), sorted(os.environ), signal.getsignal(signal.SIGTERM).name)"
        )
        environment = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "ODD": "\udcff"}
        processes.start("one", (sys.executable, "-S", "-c", code), tmp_path, environment)
        assert processes.wait_exits(60)
        expected = f"{tmp_path.resolve()} ['LC_ALL', 'ODD', 'PATH'] SIG_DFL"
        assert processes.exits["one"].last_lines == (expected,)


class TestOutput:
    def test_a_flood_is_drained_and_capped_while_the_orchestrator_is_busy(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        flood = "import sys\nfor n in range(700): sys.stdout.write(f'{n:065535}\\n')\nprint('the end')"
        start(processes, tmp_path, "loud", flood)
        log = tmp_path / "logs/loud.log"
        # This process reads nothing from the guardian meanwhile.
        assert wait_until(lambda: log.exists() and log.read_bytes()[-8:] == b"the end\n", 30)
        assert 16 * MIB < log.stat().st_size < 16 * MIB + 70_000
        content = log.read_bytes()
        assert content[: 16 * MIB].startswith(b"0" * 65_535)
        assert b"[replay: the log is full" in content
        left_out = 700 * 65_536 + len("the end\n") - 16 * MIB - 65_536
        assert f"[replay: {left_out} bytes are left out here]\n".encode() in content
        assert processes.wait_exits(60)
        assert processes.exits["loud"].exit_code == 0
        assert processes.exits["loud"].last_lines[-1] == "the end"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_reported_once_and_output_still_drained(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        (tmp_path / "logs/one.log").symlink_to("/dev/full")
        start(
            processes, tmp_path, "one", "for n in range(5000): print(n, 'x' * 100, flush=True)\nprint('end')"
        )
        assert processes.wait_exits(60)
        lost = [event for event in processes.poll() if isinstance(event, LogLost)]
        assert len(lost) == 1
        assert lost[0].name == "one"
        assert "No space left" in lost[0].reason
        assert processes.exits["one"].exit_code == 0
        assert processes.exits["one"].last_lines[-1] == "end"

    def test_output_that_is_no_text_is_kept_and_reported_readably(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        start(processes, tmp_path, "one", "import sys; sys.stdout.buffer.write(b'\\xff\\x00' + b'y' * 5000)")
        assert processes.wait_exits(60)
        assert (tmp_path / "logs/one.log").stat().st_size == 5002
        assert processes.exits["one"].last_lines == ("\ufffd\x00" + "y" * 998,)


class TestEnds:
    def test_signal_reaches_the_process_group(self, processes: Supervisor, tmp_path: Path) -> None:
        code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}]).wait()"
        start_and_wait(processes, tmp_path, "one", code)
        assert len(marked_processes(tmp_path)) == 2
        processes.signal("one", signal.SIGKILL)
        assert processes.wait_exits(60)
        assert processes.exits["one"].signal == signal.SIGKILL
        assert wait_until(lambda: marked_processes(tmp_path) == [], 2)

    def test_stop_is_immediate_when_all_have_left(self, processes: Supervisor, tmp_path: Path) -> None:
        start(processes, tmp_path, "one", "")
        assert processes.wait_exits(60)
        begin = time.monotonic()
        processes.stop()
        processes.stop()
        assert time.monotonic() - begin < 1 * slowness()

    def test_stop_waits_then_terminates_then_kills(self, processes: Supervisor, tmp_path: Path) -> None:
        start_and_wait(processes, tmp_path, "slow", SLEEP)
        start_and_wait(processes, tmp_path, "deaf", DEAF)
        start(processes, tmp_path, "willing", "import time; print('up', flush=True); time.sleep(0.3)")
        begin = time.monotonic()
        processes.stop(grace_seconds=3.0, term_seconds=0.4)
        assert 3.4 <= time.monotonic() - begin < 5.4 * slowness()
        ends = {name: (exited.exit_code, exited.signal) for name, exited in processes.exits.items()}
        assert ends == {
            "willing": (0, None),
            "slow": (None, signal.SIGTERM),
            "deaf": (None, signal.SIGKILL),
        }
        assert marked_processes(tmp_path) == []

    @LINUX_ONLY
    def test_stop_leaves_no_daemon_of_a_component_that_has_left(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        start_and_wait(processes, tmp_path, "one", DAEMON.replace("os.wait()\ntime.sleep(600)", "os.wait()"))
        assert processes.wait_exits(60)
        assert len(marked_processes(tmp_path)) == 1
        processes.stop(term_seconds=0.2)
        assert marked_processes(tmp_path) == []

    def test_kill_ends_everything_at_once(self, processes: Supervisor, tmp_path: Path) -> None:
        for name, code in (("deaf", DEAF), ("spin", SPIN), ("daemon", DAEMON)):
            start_and_wait(processes, tmp_path, name, code)
        begin = time.monotonic()
        processes.kill()
        assert time.monotonic() - begin < 1 * slowness()
        assert len(processes.exits) == 3
        if sys.platform == "linux":
            assert marked_processes(tmp_path) == []

    def test_a_component_can_start_after_all_others_were_killed(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        start_and_wait(processes, tmp_path, "one", SLEEP)
        processes.kill()
        start(processes, tmp_path, "two", "raise SystemExit(4)")
        assert processes.wait_exits(60)
        assert processes.exits["two"].exit_code == 4

    def test_close_leaves_no_process_and_no_descriptor(self, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        before = open_descriptors()
        supervisor = Supervisor(tmp_path / "logs")
        for name, code in (("deaf", DEAF), ("spin", SPIN), ("daemon", DAEMON)):
            start_and_wait(supervisor, tmp_path, name, code)
        supervisor.close()
        supervisor.close()
        assert not is_alive(supervisor.guardian_pid)
        assert marked_processes(tmp_path) == []
        assert open_descriptors() == before
        assert {exited.signal for exited in supervisor.exits.values()} == {signal.SIGKILL}

    def test_the_folder_of_sockets_goes_with_the_guardian(self, tmp_path: Path) -> None:
        logs, gone, kept = (tmp_path / name for name in ("logs", "gone", "kept"))
        for folder in (logs, gone, kept, kept / "folder"):
            folder.mkdir()
        supervisor = Supervisor(logs)
        for folder in (gone, kept, tmp_path / "never"):
            (folder / "file").touch() if folder.exists() else None
            supervisor.remove_at_end(folder)
        start_and_wait(supervisor, tmp_path, "one", SLEEP)
        assert gone.exists()
        supervisor.close()
        assert not gone.exists()
        assert (kept / "folder").exists()  # not a folder of sockets: nothing below it is touched

    def test_close_ends_a_guardian_that_is_stopped(
        self, processes: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervisor_module, "_CLOSE_SECONDS_MAX", 0.2)
        start_and_wait(processes, tmp_path, "one", SLEEP)
        os.kill(processes.guardian_pid, signal.SIGSTOP)
        processes.close()
        assert wait_until(lambda: marked_processes(tmp_path) == [], 2)

    def test_the_guardian_ignores_polite_signals(self, processes: Supervisor, tmp_path: Path) -> None:
        start_and_wait(processes, tmp_path, "one", "print('up', flush=True); input() if 0 else None")
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(processes.guardian_pid, signum)
        start(processes, tmp_path, "two", "raise SystemExit(5)")
        assert processes.wait_exits(60)
        assert processes.exits["two"].exit_code == 5


class TestDeaths:
    @LINUX_ONLY
    def test_killed_guardian_takes_the_components_along_and_is_noticed(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        for name, code in (("deaf", DEAF), ("spin", SPIN)):
            start_and_wait(processes, tmp_path, name, code)
        processes.poll()
        os.kill(processes.guardian_pid, signal.SIGKILL)
        readable, _, _ = select.select([processes], [], [], 60)
        assert readable
        assert wait_until(lambda: marked_processes(tmp_path) == [], 2)
        with pytest.raises(ReplayError, match="guardian"):
            processes.poll()
        with pytest.raises(ReplayError, match="guardian"):
            start(processes, tmp_path, "late", "")
        processes.stop()

    @pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
    def test_killed_orchestrator_leaves_no_descendant(self, tmp_path: Path, death: signal.Signals) -> None:
        (tmp_path / "logs").mkdir()
        codes = {"deaf": DEAF, "spin": SPIN, "loud": LOUD, "daemon": DAEMON}
        if sys.platform != "linux":
            del codes["daemon"]  # nothing finds it there
        stand_in = f"""
import sys, time
from pathlib import Path
from orchestrator.runtime.supervisor import Supervisor
import os
with Supervisor(Path({str(tmp_path / "logs")!r})) as supervisor:
    for name, code in {codes!r}.items():
        supervisor.start(name, (sys.executable, "-S", "-c", code), Path("/"), dict(os.environ))
    print(supervisor.guardian_pid, flush=True)
    time.sleep(600)
"""
        with subprocess.Popen(
            [sys.executable, "-c", stand_in],
            env=marked_environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        ) as orchestrator:
            assert orchestrator.stdout is not None
            guardian = int(orchestrator.stdout.readline())
            assert wait_until(lambda: all(has_printed(tmp_path, name) for name in codes))
            assert len(marked_processes(tmp_path)) >= 2 + len(codes)
            orchestrator.send_signal(death)
            assert wait_until(lambda: not marked_processes(tmp_path) and not is_alive(guardian), 2)

    @LINUX_ONLY
    def test_a_request_that_makes_no_sense_ends_the_guardian_and_its_components(
        self, processes: Supervisor, tmp_path: Path
    ) -> None:
        start_and_wait(processes, tmp_path, "one", DEAF)
        processes._request({"do": "nonsense"})
        with pytest.raises(ReplayError, match="nonsense"):
            wait_until(lambda: processes.poll() is None)
        assert wait_until(lambda: marked_processes(tmp_path) == [], 2)
