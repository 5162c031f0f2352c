from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, ReplayError
from orchestrator.runs.layout import default_name
from orchestrator.runs.listing import find_run, list_runs, remove_run
from orchestrator.runs.manifest import write_manifest
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "backtest_results"
    for name, started in (
        ("b", "2025-01-01T00:00:00Z"),
        ("a", "2025-01-02T00:00:00Z"),
        ("c", "2025-01-01T00:00:00Z"),
    ):
        samples.write_run(folder / name)
        write_manifest(folder / name, samples.manifest(status="complete", started_at=started))
    (folder / ".gitkeep").write_text("")
    (folder / "notes").mkdir()
    return folder


def test_runs_are_listed_in_the_order_of_their_start(results: Path) -> None:
    assert [run.name for run in list_runs(results).runs] == ["b", "c", "a"]
    assert list_runs(results / "absent") == ((), ())


def test_a_damaged_run_does_not_hide_the_others(results: Path) -> None:
    (results / "b" / "run.json").write_text("{")
    found = list_runs(results)
    assert [run.name for run in found.runs] == ["c", "a"]
    assert "b/run.json" in found.unreadable[0]


def test_a_run_is_found_by_name_path_and_latest(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_run(results, "b") == results / "b"
    assert find_run(results, str(results / "c")) == results / "c"
    assert find_run(results, "latest") == results / "a"
    monkeypatch.chdir(results.parent)
    shutil.move(results / "b", results.parent / "elsewhere")
    assert find_run(results, "elsewhere").resolve() == results.parent / "elsewhere"


@pytest.mark.parametrize("text", ["absent", "notes", "", ".", "/"])
def test_what_is_no_run_is_refused(results: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_run(results, text)
    assert "\n" not in str(caught.value)


def test_the_latest_of_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="replay start"):
        find_run(tmp_path, "latest")
    with pytest.raises(ConfigError, match="none yet"):
        find_run(tmp_path, "x")


def test_a_run_is_removed_whole(results: Path) -> None:
    (results / "b" / "work" / "bot").mkdir(parents=True)
    (results / "b" / "report.html").write_text("x")
    (results / "b" / "link").symlink_to(results / "a", target_is_directory=True)
    remove_run(results / "b")
    assert not (results / "b").exists()
    assert (results / "a" / "run.json").exists()


def test_a_running_run_is_not_removed(results: Path) -> None:
    writer = RunWriter.create(
        results / "live", coins=samples.COINS, config_toml="", manifest=samples.manifest()
    )
    with pytest.raises(ConfigError, match="replay control live stop"):
        remove_run(results / "live")
    assert (results / "live" / "orders.jsonl").exists()
    writer.finish(samples.manifest(status="complete"))
    remove_run(results / "live")


def test_a_dead_run_is_removed(results: Path) -> None:
    write_manifest(results / "b", samples.manifest(process_id=None))
    remove_run(results / "b")


@pytest.mark.parametrize("broken", [b"", b"{", b'{"status": "comp', b"\x00\xff"])
def test_a_run_whose_manifest_is_broken_is_removed(results: Path, broken: bytes) -> None:
    (results / "b" / "run.json").write_bytes(broken)
    remove_run(results / "b")
    assert not (results / "b").exists()


def test_a_folder_that_only_holds_a_broken_run_json_is_not_removed(results: Path) -> None:
    (results / "notes" / "run.json").write_text("{")
    with pytest.raises(ConfigError, match="is not removed"):
        remove_run(results / "notes")
    assert (results / "notes" / "run.json").exists()


def test_what_is_no_run_is_not_removed(results: Path) -> None:
    (results / "notes" / "keep").write_text("x")
    (results / "link").symlink_to(results / "a", target_is_directory=True)
    (results / "c" / "run.json").write_text('{"scripts": {}}')  # somebody else's run.json
    for name in ("notes", "link", "c", ".gitkeep", "absent"):
        with pytest.raises(ConfigError):
            remove_run(results / name)
    assert (results / "notes" / "keep").exists()
    assert (results / "a" / "run.json").exists()
    assert (results / "c" / "fills.jsonl").exists()


def test_a_removal_that_fails_can_be_tried_again(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.runs.listing.shutil.rmtree", fail)
        with pytest.raises(ReplayError, match="Permission denied"):
            remove_run(results / "b")
    assert find_run(results, "b")
    remove_run(results / "b")


def test_the_name_of_an_unnamed_run() -> None:
    assert default_name(1_704_067_261_999_999_999) == "backtest_2024-01-01_000101"
