"""The guardian's parts that need no guardian: logs, the look at the process table, its cost."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.runtime.guardian import (
    LINE_CHARACTERS_MAX,
    MESSAGE_BYTES_MAX,
    TAIL_BYTES,
    ComponentLog,
    Guardian,
    _descendants,
)
from tests.processes import open_descriptors

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


class TestComponentLog:
    @pytest.mark.parametrize("chunk_size", [1, 7, 100])
    def test_output_up_to_the_cap_is_written_unchanged(self, tmp_path: Path, chunk_size: int) -> None:
        path = tmp_path / "x.log"
        printed = bytes(range(100))
        log = ComponentLog(str(path), bytes_max=100)
        for start in range(0, 100, chunk_size):
            log.write(printed[start : start + chunk_size])
        log.finish()
        assert path.read_bytes() == printed

    def test_output_beyond_the_cap_keeps_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "x.log"
        log = ComponentLog(str(path), bytes_max=10)
        log.write(b"0123456")
        log.write(b"789abc")
        log.write(b"def")
        log.finish()
        log.finish()
        head, full, left_out, tail = path.read_bytes().split(b"\n")
        assert head == b"0123456789"
        assert full.startswith(b"[replay: the log is full")
        assert left_out == b"[replay: 0 bytes are left out here]"
        assert tail == b"abcdef"

    def test_the_kept_end_is_bounded(self, tmp_path: Path) -> None:
        path = tmp_path / "x.log"
        log = ComponentLog(str(path), bytes_max=10)
        for _ in range(1000):
            log.write(b"z" * 1000)
        log.write(b"end")
        log.finish()
        content = path.read_bytes()
        left_out = 1_000_003 - 10 - TAIL_BYTES
        assert f"[replay: {left_out} bytes are left out here]\n".encode() in content
        assert content.endswith(b"z" * (TAIL_BYTES - 3) + b"end")
        assert len(log.last_lines()[0]) == LINE_CHARACTERS_MAX

    def test_a_file_that_cannot_be_opened_loses_only_the_file(self, tmp_path: Path) -> None:
        log = ComponentLog(str(tmp_path / "nowhere" / "x.log"))
        log.write(b"said\n")
        log.finish()
        assert log.failure is not None
        assert log.last_lines() == ["said"]


@LINUX_ONLY
def test_descendants_of_descendants_are_found_with_their_groups() -> None:
    grandchild = "import time; time.sleep(600)"
    child = f"""
import subprocess, sys
below = subprocess.Popen([sys.executable, '-S', '-c', {grandchild!r}])
print(below.pid, flush=True)
below.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", child], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        below = int(process.stdout.readline())
        assert {(process.pid, process.pid), (below, process.pid)} <= set(_descendants(os.getpid()))
        assert _descendants(process.pid) == [(below, process.pid)]
        os.killpg(process.pid, 9)


class TestBounds:
    """A guardian in this process, with a hand on its socket; it starts nothing here."""

    @pytest.fixture
    def orchestrator(self) -> Iterator[socket.socket]:
        ours, theirs = socket.socketpair()
        self.guardian = Guardian(theirs.fileno())
        theirs.setblocking(False)
        ours.settimeout(10)
        self.guardian._selector.register(theirs, selectors.EVENT_READ)
        with ours, theirs:
            yield ours
        self.guardian._selector.close()
        for fd in self.guardian._wakeup:
            os.close(fd)

    def test_a_request_beyond_its_bound_is_refused(self, orchestrator: socket.socket) -> None:
        self.guardian._unread += b"x" * MESSAGE_BYTES_MAX
        orchestrator.sendall(b"more")
        with pytest.raises(ValueError, match="more than"):
            self.guardian._read_requests()

    @pytest.mark.usefixtures("orchestrator")
    def test_reports_that_nobody_reads_end_the_guardian(self) -> None:
        while self.guardian._end_time is None:
            self.guardian._send({"type": "log_lost", "name": "one", "reason": "x" * 100_000})
            assert len(self.guardian._unsent) < 2 * MESSAGE_BYTES_MAX

    def test_reports_wait_for_a_busy_orchestrator(self, orchestrator: socket.socket) -> None:
        for _ in range(20):
            self.guardian._send({"type": "log_lost", "name": "one", "reason": "x" * 100_000})
        received = 0
        while self.guardian._unsent:
            received += len(orchestrator.recv(1_000_000))
            self.guardian._flush()
        assert received > 100_000
        assert self.guardian._end_time is None

    def test_an_orchestrator_that_died_with_reports_unread_is_noticed(
        self, orchestrator: socket.socket
    ) -> None:
        self.guardian._send({"type": "emptied", "spawned_count": 0})
        orchestrator.close()
        self.guardian._read_requests()
        assert self.guardian._end_time is not None

    def test_a_fork_that_fails_is_an_exit(
        self, orchestrator: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> int:
            raise BlockingIOError("no more processes")

        monkeypatch.setattr(os, "fork", fail)
        before = open_descriptors()
        orchestrator.sendall(b'{"do": "spawn", "name": "one"}\n')
        self.guardian._read_requests()
        report = json.loads(orchestrator.recv(10_000))
        assert (report["type"], report["name"], report["exit_code"]) == ("exited", "one", 127)
        assert "no more processes" in report["last_lines"][0]
        assert open_descriptors() == before


def test_the_guardian_imports_little() -> None:
    # Every replay waits for these; the list grows only on purpose.
    program = "import sys; sys.path.insert(0, sys.argv[1]); import guardian; print('\\n'.join(sys.modules))"
    folder = Path(sys.modules[Guardian.__module__].__file__ or "").parent
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, str(folder)],
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    costly = {
        "typing",
        "subprocess",
        "socket",
        "pathlib",
        "contextlib",
        "dataclasses",
        "threading",
        "logging",
    }
    assert not costly & set(done.stdout.split())
