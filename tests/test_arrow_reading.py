"""Arrow's threads outlive the call that set them to work, and never hold anything of Python's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.arrow_reading import arrow_source, parquet_table

TABLE = pa.table({name: list(range(1000)) for name in ("time", "open", "high", "low", "close", "volume")})

# One thread of the linear algebra library besides; what is counted is what reading adds.
READING = """
import os, sys
from pathlib import Path
import pyarrow.parquet
from orchestrator.arrow_reading import parquet_table

def threads():
    return len(os.listdir("/proc/self/task"))

path, before = Path(sys.argv[1]), threads()
for _ in range(3):
    parquet_table(path)
    parquet_table(path.read_bytes(), ["time", "close"])
print(threads() - before)
"""


def parquet_file(folder: Path) -> Path:
    pq.write_table(TABLE, folder / "table.parquet", compression="zstd", row_group_size=300)
    return folder / "table.parquet"


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 500])
def test_a_source_is_a_copy_that_arrow_owns(data: bytes) -> None:
    before = sys.getrefcount(data)
    source = arrow_source(data)
    assert sys.getrefcount(data) == before
    assert source.read() == data


def test_parquet_is_read_from_a_path_and_from_bytes(tmp_path: Path) -> None:
    path = parquet_file(tmp_path)
    assert parquet_table(path) == TABLE
    assert parquet_table(path.read_bytes(), ["close", "time"]) == TABLE.select(["close", "time"])


def test_what_is_no_parquet_is_refused_and_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    for source in (path, path.read_bytes(), b""):
        with pytest.raises(pa.ArrowInvalid):
            parquet_table(source)
    with pytest.raises(FileNotFoundError):
        parquet_table(tmp_path / "none.parquet")


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the threads of a process are counted in /proc"
)
def test_reading_parquet_starts_no_thread(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READING, str(parquet_file(tmp_path))]
    environment = {"OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
