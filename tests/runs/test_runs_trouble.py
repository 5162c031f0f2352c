"""What a run directory holds after a crash and on a full disk."""

from __future__ import annotations

import collections
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import ReplayError
from orchestrator.runs.manifest import Counts, read_manifest
from orchestrator.runs.reader import Run, open_run
from orchestrator.runs.writer import RunWriter
from tests.runs import samples

CHILD = [sys.executable, "-m", "tests.runs.child_writer"]
# A kill or a limit on file size would leave half a data file of coverage's own.
UNMEASURED = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}


def check_whole(run: Run) -> int:
    """Check that everything that can be read is a run's beginning; return the last sequence of equity."""
    n_rows = len(run.equity.sequences)
    assert run.equity.sequences.tolist() == list(range(1, n_rows + 1))
    for rows in (run.orders, run.fills):
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    return n_rows


def test_a_writer_that_is_killed_leaves_a_readable_run(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with subprocess.Popen(
        [*CHILD, str(directory)], stdout=subprocess.PIPE, text=True, env=UNMEASURED
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:  # ends with the child, which is killed at 2,000
            if int(line) == 2_000:
                child.kill()
                break
        child.wait(timeout=200)
    run = open_run(directory)
    assert run.status == "interrupted"
    assert run.manifest.sequences == check_whole(run) >= 2_000
    assert run.manifest.counts == Counts(orders=len(run.orders), fills=len(run.fills), rejected=0)
    assert len(run.fills) >= 2_000
    assert run.checkpoints[-1].sequence >= 2_000


def test_a_killed_writer_whose_files_end_in_halves_is_recovered(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())
    for first in (1, 11):
        writer.write_equity(samples.equity(first, first + 9))
        writer.write(samples.fill(first))
        writer.flush()
    # As after a power cut: the last piece of each file is there in part.
    for name in ("fills.jsonl", "equity.arrows"):
        path = directory / name
        os.truncate(path, path.stat().st_size - 5)
    run = open_run(directory)
    assert len(run.equity.sequences) == 10
    assert len(run.fills) == 1
    assert sorted(text.split(":")[0] for text in run.recovered) == ["equity.arrows", "fills.jsonl"]
    with pytest.raises(ReplayError, match=r"equity\.arrows"):
        writer.finish(samples.manifest(status="failed", reason="test"))
    assert len(open_run(directory).equity.sequences) == 10


def test_a_limit_on_file_size_ends_the_run_with_whole_files(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    done = subprocess.run(
        [*CHILD, str(directory), str(300_000)],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        env=UNMEASURED,
    )
    *blocks, error, digest = done.stdout.splitlines()
    assert "disk is full" in error
    assert str(directory) in error
    run = open_run(directory)
    assert run.status == "failed"
    assert run.manifest.reason == error.removeprefix("error ")
    assert run.recovered == ()
    assert check_whole(run) >= int(blocks[-1])
    assert (directory / "equity.parquet").exists()
    assert run.digests().digest == digest.removeprefix("digest ") == run.manifest.digest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where the machine permits one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    is_mounted = sys.platform == "linux" and not subprocess.call(
        mount, stderr=subprocess.DEVNULL, timeout=200
    )
    if not is_mounted:
        pytest.skip("mounting a small file system is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=200)


def test_a_full_disk_ends_the_run_with_whole_files(small_disk: Path) -> None:
    directory = small_disk / "run"
    done = subprocess.run(
        [*CHILD, str(directory)], capture_output=True, text=True, timeout=200, check=True, env=UNMEASURED
    )
    *_, error, digest = done.stdout.splitlines()
    assert "disk is full" in error
    run = open_run(directory)
    assert run.status == "failed"  # the reserve gave room for run.json
    assert run.recovered == ()
    assert check_whole(run) > 0
    assert run.digests().digest == digest.removeprefix("digest ")
    with pytest.raises(ReplayError, match="disk is full"):
        RunWriter.create(
            small_disk / "next", coins=samples.COINS, config_toml="", manifest=samples.manifest()
        )
    assert not (small_disk / "next").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize("target", ["stream_to_parquet", "write_manifest"])
def test_trouble_at_the_very_end_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, target: str
) -> None:
    directory = tmp_path / "run"
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())
    writer.write(samples.fill(1))
    writer.write_equity(samples.equity(1, 10))

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"orchestrator.runs.writer.{target}", fail)
    with pytest.raises(ReplayError, match=str(directory)) as caught:
        writer.finish(samples.manifest(status="complete"))
    assert isinstance(caught.value.__cause__, OSError)
    run = open_run(directory)
    assert len(run.fills) == 1
    assert check_whole(run) == 10
    if target == "stream_to_parquet":
        assert run.status == "failed"
        assert run.manifest.reason == str(caught.value)


def test_the_first_error_is_the_one_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "run"
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())

    def fail(code: int) -> None:
        def action(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("orchestrator.runs.appender.Appender.append", action)
        monkeypatch.setattr("orchestrator.runs.writer.stream_to_parquet", action)
        monkeypatch.setattr("orchestrator.runs.writer.write_manifest", action)

    fail(errno.ENOSPC)
    writer.write(samples.fill(1))
    with pytest.raises(ReplayError, match="disk is full") as first:
        writer.flush()
    fail(errno.EIO)
    for call in (writer.flush, lambda: writer.checkpoint(1000)):
        with pytest.raises(ReplayError) as again:
            call()
        assert again.value is first.value
    with pytest.raises(ReplayError, match="disk is full"):  # lines do not pile up in memory
        collections.deque(map(writer.write, [samples.fill(2)] * 5_000), maxlen=0)
    writer.finish(samples.manifest(status="failed"))
    assert read_manifest(directory).status == "running"  # nothing could be said; its process tells the rest


def test_a_piece_that_cannot_be_written_whole_is_taken_back(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from orchestrator.runs.appender import Appender
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = Appender(Path(sys.argv[1]))
file.append(b"a" * 600)
try:
    file.append(b"b" * 600)
except OSError:
    file.append(b"c" * 300)
file.close()
"""
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", script, str(path)], timeout=200, check=True, env=UNMEASURED)
    assert path.read_bytes() == b"a" * 600 + b"c" * 300


def test_rows_survive_a_stream_that_was_not_closed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())
    writer.write_equity(samples.equity(1, 10))
    writer.finish(samples.manifest(status="complete"))
    assert np.array_equal(open_run(directory).equity.cash, samples.equity(1, 10).cash)
