"""What names a trainer's models in the cache changes with everything that its command is known to read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.runtime.trainer_digest import trainer_digest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    (place / "bot" / "trainers").mkdir(parents=True)
    for name in ("bot/__init__.py", "bot/features.py", "bot/trainers/__init__.py", "bot/trainers/train.py"):
        (place / name).write_text("")
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    return place


def digest(place: Path, *words: str) -> str:
    return trainer_digest((sys.executable, *words), place, ()).digest


@pytest.mark.parametrize("form", ["{}", "--settings={}"])
@pytest.mark.parametrize("name", ["../settings.json", "whole"])
def test_a_file_elsewhere_that_the_command_names_counts(place: Path, form: str, name: str) -> None:
    settings = place.parent / "settings.json"
    words = ("bot/trainers/train.py", form.format(settings if name == "whole" else name))
    before = digest(place, *words)
    assert digest(place, *words) == before
    settings.write_text('{"length": 7}')
    assert digest(place, *words) != before


def test_all_of_the_package_counts_from_which_a_module_may_import(place: Path) -> None:
    words = ("-m", "bot.trainers.train")
    before = digest(place, *words)
    (place / "bot" / "features.py").write_text("LENGTH = 7\n")
    assert digest(place, *words) != before


def test_folders_of_one_name_are_told_apart(place: Path) -> None:
    folders = [str(place.parent / name / "labels") for name in ("one", "two")]
    for folder in folders:
        Path(folder).mkdir()
    one, two = (digest(place, "bot/trainers/train.py", folder) for folder in folders)
    assert one != two


def test_a_program_that_was_moved_is_the_same(place: Path) -> None:
    moved = place.parent / "moved"
    place.rename(moved)
    script = moved / "bot" / "trainers" / "train.py"
    before = digest(moved, str(script))
    moved.rename(place)
    assert digest(place, str(place / "bot" / "trainers" / "train.py")) == before


def test_what_is_not_known_is_noted(place: Path) -> None:
    assert "not in the digest" in trainer_digest((sys.executable, "-c", "pass"), place, ()).notes[0]
