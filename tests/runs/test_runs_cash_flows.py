"""The result file that only runs with accounts that may owe have."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

from orchestrator.runs.digest import RESULT_FILES
from orchestrator.runs.lines import CASH_FLOWS_FILE, encode_line
from orchestrator.runs.manifest import read_manifest
from orchestrator.runs.reader import open_run
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


def write(directory: Path, *, has_cash_flows: bool = True, flows: int = 2) -> str:
    writer = RunWriter.create(
        directory,
        coins=samples.COINS,
        config_toml="seed = 7\n",
        manifest=samples.manifest(),
        has_cash_flows=has_cash_flows,
    )
    for sequence in range(1, flows + 1):
        writer.write(samples.cash_flow(sequence, symbol=None if sequence == 1 else "BTC-USD"))
    writer.write_equity(samples.equity(1, 3))
    writer.checkpoint(3)
    return writer.finish(samples.manifest(status="complete", sequences=3))


def test_a_line_is_written_like_this() -> None:
    assert encode_line(samples.cash_flow(1)) == (
        b'{"ts":1704067500.0,"sequence":1,"account":"main","kind":"funding","symbol":"BTC-USD",'
        b'"amount":-0.12,"basis":1200,"rate":0.0001}\n'
    )


def test_it_is_read_back_and_part_of_the_digest(tmp_path: Path) -> None:
    digest = write(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert [row["symbol"] for row in run.cash_flows] == [None, "BTC-USD"]
    assert run.cash_flows[0]["amount"] == Decimal("-0.12")
    assert run.cash_flows[0]["basis"] == Decimal(1_200)
    assert isinstance(run.cash_flows[0]["basis"], Decimal)
    assert run.digests().digest == digest == run.checkpoints[-1].digest
    digests = read_manifest(tmp_path / "run").file_digests
    assert list(digests) == [*RESULT_FILES, CASH_FLOWS_FILE]
    whole = b"".join(bytes.fromhex(value) for value in digests.values())
    assert hashlib.sha256(whole).hexdigest() == digest
    assert (
        digests[CASH_FLOWS_FILE]
        == hashlib.sha256((tmp_path / "run" / CASH_FLOWS_FILE).read_bytes()).hexdigest()
    )


def test_a_run_of_spot_accounts_has_none_and_its_digest_is_another(tmp_path: Path) -> None:
    spot = write(tmp_path / "spot", has_cash_flows=False, flows=0)
    empty = write(tmp_path / "empty", flows=0)
    assert not (tmp_path / "spot" / CASH_FLOWS_FILE).exists()
    assert open_run(tmp_path / "spot").cash_flows == []
    assert open_run(tmp_path / "spot").digests().digest == spot
    assert open_run(tmp_path / "empty").digests().digest == empty != spot
