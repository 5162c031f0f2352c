from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from orchestrator.runs.comparison import Comparison, compare_runs, first_differing_block
from orchestrator.runs.digest import Checkpoint
from orchestrator.runs.manifest import ComponentManifest, RunManifest
from orchestrator.runs.reader import open_run
from orchestrator.runs.records import Record
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


def write(
    directory: Path,
    *,
    n_sequences: int = 30,
    changed: dict[int, str] | None = None,
    extra: tuple[Record, ...] = (),
    equity_from: int | None = None,
    config: str = "seed = 7\n",
    status: str = "complete",
    **manifest: object,
) -> None:
    """Write a run with a fill at every sequence; `changed` gives other fees, `equity_from` other equity."""
    writer = RunWriter.create(
        directory, coins=samples.COINS, config_toml=config, manifest=samples.manifest(**manifest)
    )
    for sequence in range(1, n_sequences + 1):
        writer.write(samples.fill(sequence, fees=(changed or {}).get(sequence, "1")))
        rows = samples.equity(sequence, sequence)
        if equity_from is not None and sequence >= equity_from:
            rows = msgspec.structs.replace(rows, equity=rows.equity + 1)
        writer.write_equity(rows)
        if sequence % 10 == 0:
            writer.checkpoint(sequence)
    for record in extra:
        writer.write(record)
    writer.finish(samples.manifest(status=status, sequences=n_sequences, **manifest))


def compare(tmp_path: Path) -> Comparison:
    comparison = compare_runs(open_run(tmp_path / "a"), open_run(tmp_path / "b"))
    assert "\n" not in comparison.describe()
    return comparison


def test_equal_runs(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    comparison = compare(tmp_path)
    assert comparison.is_equal
    assert comparison.block is None
    assert comparison.describe() == "equal over 30 sequences"


def test_the_earliest_difference_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", changed={17: "2", 23: "3"}, equity_from=18)
    comparison = compare(tmp_path)
    assert not comparison.is_equal
    assert comparison.block == (10, 20)
    first = comparison.first
    assert first is not None
    assert (first.file, first.line_number, first.sequence) == ("fills.jsonl", 17, 17)
    assert first.line_a is not None
    assert '"fees":1,' in first.line_a
    assert first.line_b is not None
    assert '"fees":2,' in first.line_b
    assert "sequence 17, fills.jsonl line 17" in comparison.describe()


def test_a_difference_of_equity_alone(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", equity_from=5)
    first = compare(tmp_path).first
    assert first is not None
    assert (first.file, first.line_number, first.sequence) == ("equity.parquet", 5, 5)
    assert first.line_a != first.line_b


def test_a_line_more_is_a_difference(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", extra=(samples.fill(30),))
    comparison = compare(tmp_path)
    assert comparison.block is None  # it came after the last checkpoint
    assert comparison.first is not None
    assert comparison.first.line_a is None
    assert "nothing against" in comparison.describe()


def test_runs_that_went_unequally_far_are_compared_as_far_as_both_went(tmp_path: Path) -> None:
    # The shorter one ended its orders at its last sequence, which the longer one did not.
    write(tmp_path / "a", n_sequences=17, extra=(samples.order_event(17),), status="interrupted")
    write(tmp_path / "b")
    comparison = compare(tmp_path)
    assert comparison.is_equal
    assert comparison.sequences == 17
    for name, sequence in (("c", 16), ("d", 3)):
        write(tmp_path / name, changed={sequence: "2"})
        first = compare_runs(open_run(tmp_path / "a"), open_run(tmp_path / name)).first
        assert first is not None
        assert first.sequence == sequence


def test_a_run_that_ended_before_its_first_tick(tmp_path: Path) -> None:
    write(tmp_path / "a", n_sequences=0, status="failed")
    write(tmp_path / "b")
    assert compare(tmp_path).sequences == 0


def test_other_coins_are_a_difference(tmp_path: Path) -> None:
    write(tmp_path / "a")
    writer = RunWriter.create(
        tmp_path / "b", coins=("BTC",), config_toml="", manifest=samples.manifest(coins=("BTC",))
    )
    rows = samples.equity(1, 30)
    writer.write_equity(msgspec.structs.replace(rows, quantities=rows.quantities[:, :1]))
    writer.finish(samples.manifest(coins=("BTC",), status="complete"))
    first = compare(tmp_path).first
    assert first is not None
    assert first.sequence == 1


def test_stored_digests_that_lie_are_found(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    path = tmp_path / "b" / "run.json"
    path.write_text(path.read_text().replace(open_run(tmp_path / "b").manifest.digest, "0" * 64))
    comparison = compare(tmp_path)
    assert not comparison.is_equal
    assert "was changed" in comparison.describe()


def component(name: str, digest: str) -> ComponentManifest:
    return ComponentManifest(name=name, stage=1, command=("python", f"{name}.py"), digest=digest)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"seed": 8}, "seed differs: 7 against 8"),
        ({"code_version": "0.1.1+b"}, "code version differs"),
        ({"data_digest": "beef"}, "data digest differs"),
        (
            {"components": (component("thinker", "1"), component("trader", "9"))},
            "component trader differs: its files",
        ),
        (
            {"config": "seed = 7\n[execution_model]\nfee_bps = 5\n"},
            "execution_model.fee_bps differs: unset against 5",
        ),
        (
            {"config": 'seed = 7\n[[component]]\nname = "trader"\nparams = {n = 3}\n'},
            "component.trader.params.n differs: unset against 3",
        ),
    ],
)
def test_what_may_explain_it_is_named(tmp_path: Path, change: dict[str, object], cause: str) -> None:
    base: dict[str, object] = {
        "code_version": "0.1.0+a",
        "data_digest": "cafe",
        "components": (component("thinker", "1"), component("trader", "2")),
    }
    write(tmp_path / "a", **base)  # type: ignore[arg-type]
    write(tmp_path / "b", changed={3: "2"}, **{**base, **change})  # type: ignore[arg-type]
    comparison = compare(tmp_path)
    assert [text for text in comparison.causes if cause in text]
    assert cause in comparison.describe()


def test_what_has_no_effect_explains_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a", config='speed = "max"\n[[component]]\nname = "trader"\nworkdir = "/a"\n')
    write(tmp_path / "b", config='speed = "60"\n[[component]]\nname = "trader"\nworkdir = "/b"\n')
    assert compare(tmp_path).causes == ()


def test_long_lines_and_values_are_shortened(tmp_path: Path) -> None:
    write(tmp_path / "a", config=f'note = "{"x" * 500}"\n', extra=(samples.signal(30),))
    noise = msgspec.structs.replace(samples.signal(30), values={"text": "y" * 5_000})
    write(tmp_path / "b", config="", extra=(noise,))
    assert len(compare(tmp_path).describe()) < 1_500


def test_blocks() -> None:
    def checkpoints(*digests: str) -> list[Checkpoint]:
        return [Checkpoint(sequence=1_000 * n, digest=d, files={}) for n, d in enumerate(digests, start=1)]

    assert first_differing_block([], []) is None
    assert first_differing_block(checkpoints("a", "b"), checkpoints("a")) is None
    assert first_differing_block(checkpoints("a", "b"), checkpoints("a", "c")) == (1_000, 2_000)
    assert first_differing_block(checkpoints("a"), checkpoints("b")) == (0, 1_000)
    other_pace = [Checkpoint(sequence=500, digest="a", files={})]
    assert first_differing_block(checkpoints("a"), other_pace) is None


def test_the_manifest_says_who_wrote_it(tmp_path: Path) -> None:
    write(tmp_path / "a")
    manifest: RunManifest = open_run(tmp_path / "a").manifest
    assert manifest.process_start_time is not None
