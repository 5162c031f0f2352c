"""The guardian's parts that need no guardian: logs, the look at the process table, its cost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.runtime.guardian import (
    LINE_CHARACTERS_MAX,
    TAIL_BYTES,
    ComponentLog,
    Guardian,
    _descendants,
)

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


def test_a_request_beyond_its_bound_is_refused() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    guardian = Guardian(reading)
    try:
        guardian._unread += b"x" * (8 * 1024 * 1024)
        os.write(writing, b"more")
        with pytest.raises(ValueError, match="more than"):
            guardian._read_requests()
    finally:
        guardian._selector.close()
        for fd in (reading, writing, *guardian._wakeup):
            os.close(fd)


def test_the_guardian_imports_little() -> None:
    # Every replay waits for these; the list grows only on purpose.
    program = "import sys; sys.path.insert(0, sys.argv[1]); import guardian; print('\\n'.join(sys.modules))"
    folder = Path(sys.modules[Guardian.__module__].__file__ or "").parent
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, str(folder)],
        capture_output=True, text=True, check=True, timeout=30,
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
