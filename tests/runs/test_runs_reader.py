from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.runs.equity import batch_message, read_stream, schema_message
from orchestrator.runs.lines import CASH_FLOWS_FILE, MODELS_FILE, RECORD_TYPES, time_ns_from_text
from orchestrator.runs.manifest import process_start_time, read_manifest, write_manifest
from orchestrator.runs.reader import open_run
from orchestrator.runs.writer import RunWriter
from tests.runs import samples

DEAD_PROCESS = 2**22 + 7  # above the largest process id of Linux


def test_what_was_written_is_read(tmp_path: Path) -> None:
    digest = samples.write_run(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.name == "run"
    assert run.status == "complete"
    fill = run.fills[0]
    written = samples.fill(5)
    assert time_ns_from_text(fill["ts"]) == written.sim_time_ns
    for key in ("qty", "fill_price", "fees", "reference_price", "slippage_bps", "slippage_parts", "sequence"):
        assert fill[key] == getattr(written, key)
    assert isinstance(fill["reference_price"], Decimal)
    assert run.signals[0]["values"] == samples.signal(5).values
    assert isinstance(run.signals[0]["values"]["score"], float)
    assert run.orders[0]["limit_price"] is None
    assert run.order_events[0]["event"] == "arrived"
    assert run.configuration == {"seed": 7}
    assert run.recovered == ()
    assert run.digests().digest == digest
    assert [checkpoint.sequence for checkpoint in run.checkpoints] == [10, 20]


def test_equity_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    read, written = open_run(tmp_path / "run").equity, samples.equity(1, 25)
    for field in msgspec.structs.fields(read):
        assert np.array_equal(getattr(read, field.name), getattr(written, field.name)), field.name


def test_a_running_run_can_be_read_while_it_grows(tmp_path: Path) -> None:
    writer = RunWriter.create(
        tmp_path / "run", coins=samples.COINS, config_toml="", manifest=samples.manifest()
    )
    run = open_run(tmp_path / "run")
    assert run.status == "running"
    assert len(run.equity.sequences) == 0
    assert run.equity.quantities.shape == (0, 2)
    writer.write_equity(samples.equity(1, 3))
    writer.write(samples.fill(2))
    writer.flush()
    run = open_run(tmp_path / "run")
    assert run.equity.sequences.tolist() == [1, 2, 3]
    assert len(run.fills) == 1
    assert run.recovered == ()
    writer.finish(samples.manifest(status="complete"))


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    for process in (DEAD_PROCESS, None):
        write_manifest(tmp_path / "run", samples.manifest(process_id=process))
        run = open_run(tmp_path / "run")
        assert run.status == "interrupted"
        assert run.manifest.reason
    # The same process id, given to a later process.
    started = process_start_time(os.getpid())
    assert started is not None
    write_manifest(
        tmp_path / "run", samples.manifest(process_id=os.getpid(), process_start_time=started - 60)
    )
    assert open_run(tmp_path / "run").status == "interrupted"
    write_manifest(tmp_path / "run", samples.manifest(process_id=os.getpid(), process_start_time=started))
    assert open_run(tmp_path / "run").status == "running"


def test_a_process_that_ended_but_was_not_collected_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.read() == b""  # it has closed everything: it ends now, and stays a zombie
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start_time(child.pid) is None
    child.stdout.close()
    child.wait(timeout=200)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_last_line_that_is_cut_off_is_left_out_and_said(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("cut") / "run"
    samples.write_run(directory)
    name = data.draw(
        st.sampled_from([name for name in RECORD_TYPES if name not in (CASH_FLOWS_FILE, MODELS_FILE)])
    )
    content = (directory / name).read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    (directory / name).write_bytes(content[:cut])
    run = open_run(directory)
    rows = getattr(run, name.removesuffix(".jsonl"))
    assert len(rows) == content[:cut].count(b"\n")
    assert bool(run.recovered) == (not (content[:cut].endswith(b"\n") or cut == 0))


def test_an_equity_stream_cut_anywhere_keeps_its_whole_messages(tmp_path: Path) -> None:
    head = schema_message(samples.COINS)
    parts = [batch_message(samples.equity(first, first + 1), samples.COINS) for first in (1, 3)]
    content = b"".join((head, *parts))
    path = tmp_path / "equity.arrows"
    ends = {len(head): 0, len(head) + len(parts[0]): 2, len(content): 4}
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        rows, is_cut = read_stream(path, samples.COINS)
        assert len(rows.sequences) == max((n for end, n in ends.items() if end <= cut), default=0), cut
        assert is_cut == (cut not in ends), cut


def test_what_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json"):
        open_run(tmp_path)
    with pytest.raises(DataError):
        open_run(tmp_path / "absent")
    (tmp_path / "run.json").write_text('{"status": "fine"}')
    with pytest.raises(DataError, match="cannot be read"):
        open_run(tmp_path)


@pytest.mark.parametrize("damage", [b'{"ts":1}\n', b"{]\n", b"3\n", b"\n", b"\xff\xfe\n"])
def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    samples.write_run(tmp_path / "run")
    path = tmp_path / "run" / "fills.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], damage, *lines[2:]]))
    with pytest.raises(DataError, match=r"fills\.jsonl line 2"):
        _ = open_run(tmp_path / "run").fills


@pytest.mark.parametrize("name", ["equity.parquet", "digests.jsonl", "config.toml"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    samples.write_run(tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b"nothing\n")
    run = open_run(tmp_path / "run")
    with pytest.raises(DataError, match=name):
        _ = run.equity, run.checkpoints, run.configuration


def test_missing_files(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    for name in ("equity.parquet", "fills.jsonl", "config.toml"):
        (tmp_path / "run" / name).unlink()
    run = open_run(tmp_path / "run")
    assert run.fills == []
    with pytest.raises(DataError, match=r"equity\.parquet"):
        _ = run.equity
    with pytest.raises(DataError, match=r"config\.toml"):
        _ = run.configuration


def test_equity_of_other_coins_is_refused(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    write_manifest(tmp_path / "run", msgspec.structs.replace(manifest, coins=("BTC", "DOGE")))
    with pytest.raises(DataError, match="columns"):
        _ = open_run(tmp_path / "run").equity


def test_a_manifest_of_a_newer_program_is_read(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_bytes(path.read_bytes().replace(b'"seed": 7', b'"seed": 7, "novelty": 1'))
    assert read_manifest(tmp_path / "run").seed == 7
