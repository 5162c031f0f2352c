from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigError, InvariantError, ReplayError
from orchestrator.runs.digest import RESULT_FILES
from orchestrator.runs.lines import encode_line
from orchestrator.runs.manifest import Counts, read_manifest
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


def create(directory: Path) -> RunWriter:
    return RunWriter.create(
        directory, coins=samples.COINS, config_toml="seed = 7\n", manifest=samples.manifest()
    )


def test_a_finished_run_holds_what_the_design_lists(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "run"
    digest = samples.write_run(directory)
    names = {path.name for path in directory.iterdir()}
    assert names == {"config.toml", "run.json", "digests.jsonl", "logs", *RESULT_FILES}
    assert (directory / "config.toml").read_text() == "seed = 7\n"
    manifest = read_manifest(directory)
    assert manifest.status == "complete"
    assert manifest.digest == digest
    assert manifest.counts == Counts(orders=5, fills=5, rejected=0)
    assert manifest.process_id == os.getpid()
    table = pq.read_table(directory / "equity.parquet")
    assert table.schema.names == ["sequence", "time", "cash", "equity", "qty_BTC", "qty_ETH"]
    assert table["time"].to_pylist()[0] == samples.time_ns(1) // 1_000_000_000
    assert table["sequence"].to_pylist() == list(range(1, 26))


def test_the_digest_can_be_recomputed_with_common_tools(tmp_path: Path) -> None:
    digest = samples.write_run(tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    for name in RESULT_FILES[:4]:
        assert (
            manifest.file_digests[name] == hashlib.sha256((tmp_path / "run" / name).read_bytes()).hexdigest()
        )
    rows = samples.equity(1, 25)
    columns = np.rec.fromarrays(
        [rows.sequences, rows.sim_times_ns, rows.cash, rows.equity, *rows.quantities.T],
        dtype="<i8,<i8,<f8,<f8,<f8,<f8",
    )
    header = b"sequence,time_ns,cash,equity,qty_BTC,qty_ETH\n"
    assert manifest.file_digests["equity.parquet"] == hashlib.sha256(header + columns.tobytes()).hexdigest()
    whole = b"".join(bytes.fromhex(manifest.file_digests[name]) for name in RESULT_FILES)
    assert digest == hashlib.sha256(whole).hexdigest()


@settings(max_examples=15, deadline=None)
@given(flush_every=st.integers(1, 30))
def test_digests_do_not_depend_on_when_it_is_flushed(
    tmp_path_factory: pytest.TempPathFactory, flush_every: int
) -> None:
    one, other = tmp_path_factory.mktemp("runs") / "one", tmp_path_factory.mktemp("runs") / "other"
    assert samples.write_run(one, flush_every=flush_every) == samples.write_run(other)
    for name in (*RESULT_FILES[:4], "digests.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert pq.read_table(one / "equity.parquet").equals(pq.read_table(other / "equity.parquet"))


def test_digests_do_not_depend_on_negative_zero_but_on_every_value_and_name(tmp_path: Path) -> None:
    def digest(name: str, coins: tuple[str, ...], rows: object) -> str:
        writer = RunWriter.create(tmp_path / name, coins=coins, config_toml="", manifest=samples.manifest())
        writer.write_equity(rows)  # type: ignore[arg-type]
        return writer.finish(samples.manifest(status="complete"))

    rows = samples.equity(1, 3)
    negative = msgspec.structs.replace(
        rows, quantities=np.where(rows.quantities == 0.0, -0.0, rows.quantities)
    )
    changed = msgspec.structs.replace(rows, cash=np.nextafter(rows.cash, 0.0))
    plain = digest("plain", samples.COINS, rows)
    assert digest("negative", samples.COINS, negative) == plain
    assert digest("changed", samples.COINS, changed) != plain
    assert digest("renamed", ("ETH", "BTC"), rows) != plain


def test_rolling_digests_agree_until_the_first_difference(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "short", n_sequences=20)
    samples.write_run(tmp_path / "long", n_sequences=40)
    short = (tmp_path / "short" / "digests.jsonl").read_bytes().splitlines()
    long = (tmp_path / "long" / "digests.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["sequence"] for line in long] == [10, 20, 30, 40]
    assert long[:2] == short
    assert len(set(long)) == 4


def test_lines_are_on_disk_after_a_flush(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    writer.write(samples.fill(1))
    writer.flush()
    assert (tmp_path / "run" / "fills.jsonl").read_bytes() == encode_line(samples.fill(1))
    writer.write(samples.order(2, state="rejected"))
    assert writer.counts == Counts(orders=1, fills=1, rejected=1)
    writer.finish(samples.manifest(status="failed", reason="because"))
    assert read_manifest(tmp_path / "run").reason == "because"


def test_many_lines_are_flushed_by_themselves(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    for _ in range(5_000):
        writer.write(samples.signal(1))
    assert (tmp_path / "run" / "signals.jsonl").stat().st_size > 0
    writer.finish(samples.manifest(status="complete"))


def test_single_rows_are_joined(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    for sequence in range(1, 5_001):
        writer.write_equity(samples.equity(sequence, sequence))
    writer.write_equity(samples.equity(1, 0))  # no row at all
    writer.finish(samples.manifest(status="complete"))
    table = pq.read_table(tmp_path / "run" / "equity.parquet")
    assert table["cash"].to_numpy().tolist() == samples.equity(1, 5_000).cash.tolist()


def test_a_tick_off_the_second_is_refused(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    rows = samples.equity(1, 3)
    writer.write_equity(msgspec.structs.replace(rows, sim_times_ns=rows.sim_times_ns + 1))
    with pytest.raises(InvariantError):
        writer.flush()
    writer.finish(samples.manifest(status="failed"))


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ConfigError, match=r"already exists.*--output-dir"):
        create(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_of_two_writers_of_one_name_one_gets_it(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    with pytest.raises(ConfigError):
        create(tmp_path / "run")
    writer.write(samples.fill(1))
    writer.finish(samples.manifest(status="complete"))
    assert read_manifest(tmp_path / "run").counts.fills == 1


def test_a_place_that_cannot_be_written_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "run", tmp_path / "file", Path("/proc/run"), tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError) as caught:
            create(place)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_parent_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="--output-dir"):
            create(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_at_the_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.runs.writer.write_manifest", full)
    with pytest.raises(ReplayError, match="disk is full"):
        create(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_memory_stays_flat_over_half_a_million_sequences(tmp_path: Path) -> None:
    # In a process of its own: the figure is the growth between a fifth of the run and its end.
    script = """
import sys, psutil
from pathlib import Path
from tests.runs import samples
from orchestrator.runs.writer import RunWriter
writer = RunWriter.create(Path(sys.argv[1]), coins=samples.COINS, config_toml="", manifest=samples.manifest())
sizes = []
for block in range(500):
    for _ in range(20):
        writer.write(samples.fill(block))
    writer.write_equity(samples.equity(block * 1000 + 1, block * 1000 + 1000))
    writer.checkpoint(block * 1000 + 1000)
    if block in (100, 499):
        sizes.append(psutil.Process().memory_info().rss)
writer.finish(samples.manifest(status="complete", sequences=500_000))
print(sizes[1] - sizes[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert int(done.stdout) < 4 * 1024 * 1024
    assert pq.read_metadata(tmp_path / "run" / "equity.parquet").num_rows == 500_000
