from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from orchestrator.runs import source_files
from orchestrator.runs.identity import (
    code_version,
    component_digest,
    component_source,
    package_versions,
    run_identity,
)
from orchestrator.runs.source_files import digest_of_folder


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    (folder / "lib").mkdir(parents=True)
    (folder / "bot.py").write_text("import lib.rules\n")
    (folder / "lib" / "rules.py").write_text("PERIOD = 5\n")
    (folder / "weights.json").write_text("[1]")
    return folder


def test_equal_folders_have_equal_digests(bot: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "lib").mkdir(parents=True)
    for name in ("weights.json", "lib/rules.py", "bot.py"):  # another order of creation
        (other / name).write_bytes((bot / name).read_bytes())
    assert digest_of_folder(bot) == digest_of_folder(other)
    assert digest_of_folder(bot).notes == ()


def test_every_file_and_name_counts(bot: Path) -> None:
    seen = {digest_of_folder(bot).digest}
    (bot / "lib" / "rules.py").write_text("PERIOD = 6\n")
    seen.add(digest_of_folder(bot).digest)
    (bot / "weights.json").write_text("[2]")
    seen.add(digest_of_folder(bot).digest)
    (bot / "weights.json").rename(bot / "weight.json")
    seen.add(digest_of_folder(bot).digest)
    (bot / "new.py").write_text("")
    seen.add(digest_of_folder(bot).digest)
    assert len(seen) == 5


def test_content_cannot_pass_for_another_file(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").write_bytes(b"xb\x001\x00y")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").write_bytes(b"x")
    (tmp_path / "two" / "b").write_bytes(b"y")
    assert digest_of_folder(tmp_path / "one").digest != digest_of_folder(tmp_path / "two").digest


def test_what_runs_leave_behind_does_not_count(bot: Path) -> None:
    before = digest_of_folder(bot)
    for name in (
        "__pycache__/bot.pyc",
        "old.pyc",
        ".git/HEAD",
        ".env",
        "replay.toml",
        "backtest_results/run/run.json",
        "backtest_cache/index.json",
        "replay_data/x/live.json",
        "venv/pyvenv.cfg",
        "venv/lib/thing.py",
        "my_run/run.json",
        "my_run/config.toml",
        "my_run/fills.jsonl",
    ):
        path = bot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert digest_of_folder(bot) == before


def test_links_to_files_count_and_links_to_folders_do_not(bot: Path, tmp_path: Path) -> None:
    before = digest_of_folder(bot)
    (bot / "loop").symlink_to(bot, target_is_directory=True)
    assert digest_of_folder(bot) == before
    (tmp_path / "shared.py").write_text("x = 1\n")
    (bot / "shared.py").symlink_to(tmp_path / "shared.py")
    linked = digest_of_folder(bot)
    (tmp_path / "shared.py").write_text("x = 2\n")
    assert len({before.digest, linked.digest, digest_of_folder(bot).digest}) == 3


def test_pipes_and_broken_links_are_passed_over(bot: Path) -> None:
    before = digest_of_folder(bot)
    os.mkfifo(bot / "pipe")
    (bot / "broken").symlink_to(bot / "absent")
    assert digest_of_folder(bot) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_said(bot: Path) -> None:
    (bot / "weights.json").chmod(0)
    assert "weights.json" in digest_of_folder(bot).notes[0]


def test_of_a_large_folder_only_python_counts(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "FILES_MAX", 2)
    before = digest_of_folder(bot)
    assert "only *.py" in before.notes[0]
    (bot / "weights.json").write_text("[3]")
    assert digest_of_folder(bot) == before
    (bot / "lib" / "rules.py").write_text("PERIOD = 7\n")
    assert digest_of_folder(bot) != before


def test_of_a_heavy_folder_only_python_counts(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "BYTES_MAX", 5)
    assert "only *.py" in digest_of_folder(bot).notes[0]


def test_of_an_endless_folder_only_its_own_python_counts(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "ENTRIES_MAX", 3)
    before = digest_of_folder(bot)
    assert "only its own" in before.notes[0]
    (bot / "lib" / "rules.py").write_text("PERIOD = 8\n")
    assert digest_of_folder(bot) == before
    (bot / "bot.py").write_text("pass\n")
    assert digest_of_folder(bot) != before


@pytest.mark.parametrize(
    ("words", "source"),
    [
        (("bot.py",), "."),
        (("-u", "bot.py", "--weights", "weights.json"), "."),
        (("lib/rules.py",), "lib"),
        (("-m", "bot"), "."),
        (("-m", "lib.rules", "weights.json"), "lib"),
        (("-um", "package"), "package"),
        (("-X", "dev", "-m", "package.part"), "package"),
    ],
)
def test_where_a_commands_files_are(bot: Path, words: tuple[str, ...], source: str) -> None:
    (bot / "package").mkdir()
    for name in ("__init__", "__main__", "part"):
        (bot / "package" / f"{name}.py").write_text("")
    assert component_source((sys.executable, *words), bot) == (bot / source).resolve()


def test_a_script_named_by_its_whole_path_and_by_a_link(bot: Path, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to(bot / "bot.py")
    for word in (str(bot / "bot.py"), "link.py"):
        assert component_source((sys.executable, word), tmp_path) == bot.resolve()


def test_the_python_path_is_searched(bot: Path, tmp_path: Path) -> None:
    assert component_source((sys.executable, "-m", "lib.rules"), tmp_path) is None
    found = component_source((sys.executable, "-m", "lib.rules"), tmp_path, python_path=(bot,))
    assert found == (bot / "lib").resolve()


def test_the_reference_components_are_found_from_anywhere(tmp_path: Path) -> None:
    source = component_source((sys.executable, "-m", "components.thinkers.quad_ma"), tmp_path)
    assert source is not None
    assert source.name == "thinkers"


def test_a_module_among_installed_packages_counts_alone(tmp_path: Path) -> None:
    python = fake_environment(tmp_path)
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    assert component_source((str(python), "-m", "single"), tmp_path) == packages / "single.py"
    assert component_source((str(python), "-m", "many"), tmp_path) == packages / "many"


def test_an_executable_without_a_script(bot: Path) -> None:
    program = bot / "program"
    program.write_text("#!/bin/sh\n")
    assert component_source((str(program),), bot) == bot.resolve()
    assert component_source((str(program),), bot / "lib") == program.resolve()
    assert component_source((sys.executable, "-c", "pass"), bot) is None


def test_a_command_without_files_says_so(bot: Path) -> None:
    digest = component_digest((sys.executable, "-c", "pass"), bot)
    assert "not in the digest" in digest.notes[0]
    assert len(digest.digest) == 64


def fake_environment(tmp_path: Path) -> Path:
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    for info in ("numpy-1.0.dist-info", "Alpha-2.dist-info"):
        (packages / info).mkdir(parents=True)
    (packages / "single.py").write_text("")
    (packages / "many").mkdir()
    (packages / "many" / "__main__.py").write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    return python


def test_packages_are_those_of_the_commands_interpreter(tmp_path: Path) -> None:
    python = fake_environment(tmp_path)
    assert package_versions(str(python)) == ("Alpha-2", "numpy-1.0")
    script = python.with_name("my-bot")  # a console script of the same environment
    script.write_text("")
    assert package_versions(str(script)) == ("Alpha-2", "numpy-1.0")
    assert any(name.startswith("msgspec-") for name in package_versions(sys.executable))
    assert package_versions("/bin/sh") == ()


def test_an_interpreter_behind_links_is_followed(tmp_path: Path) -> None:
    packages = tmp_path / "usr" / "lib" / "python3.11" / "site-packages"
    (packages / "numpy-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "python3.12" / "site-packages" / "numpy-2.0.dist-info").mkdir(parents=True)
    real = tmp_path / "usr" / "bin" / "python3.11"
    real.parent.mkdir()
    real.write_text("")
    (tmp_path / "python3").symlink_to(real)
    assert package_versions(str(tmp_path / "python3")) == ("numpy-1.0",)


def test_a_new_version_of_a_package_changes_the_component(bot: Path, tmp_path: Path) -> None:
    python = fake_environment(tmp_path)
    before = component_digest((str(python), "bot.py"), bot).digest
    assert component_digest((str(python), "bot.py"), bot).digest == before
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    (packages / "numpy-1.0.dist-info").rename(packages / "numpy-1.1.dist-info")
    assert component_digest((str(python), "bot.py"), bot).digest != before


def test_the_code_version_is_stable_and_quick() -> None:
    began = time.perf_counter()
    version = code_version()
    assert time.perf_counter() - began < 5.0  # milliseconds in fact; what it must not do is search the disk
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", version)
    assert code_version() == version


def test_each_of_the_five_changes_the_identity() -> None:
    given: dict[str, object] = {
        "seed": 7,
        "code_version": "1",
        "data_digest": "a",
        "component_digests": ["x", "y"],
        "configuration": {"b": 1, "a": {"d": "0.1", "c": [1]}},
    }
    changes: list[dict[str, object]] = [
        {},
        {"seed": 8},
        {"code_version": "2"},
        {"data_digest": "b"},
        {"component_digests": ["y", "x"]},
        {"configuration": {"b": 1, "a": {"d": "0.1", "c": [2]}}},
    ]
    found = [run_identity(**{**given, **change}) for change in changes]  # type: ignore[arg-type]
    assert len(set(found)) == len(changes)
    reordered = {"a": {"c": [1], "d": "0.1"}, "b": 1}
    assert run_identity(**{**given, "configuration": reordered}) == found[0]  # type: ignore[arg-type]
