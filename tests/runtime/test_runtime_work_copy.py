"""The working copy of a bot's folder: what travels, what does not, and that the original is only read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.runtime import bot_run
from orchestrator.runtime.work_copy import check_keys, copy_folder, key_files, manifest_of, scripts_of


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "mybot"
    (folder / "state").mkdir(parents=True)
    (folder / "trader.py").write_text("print('trade')\n")
    (folder / "state" / "ready.json").write_text("{}")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_and_empty_folders_travel(bot: Path, tmp_path: Path) -> None:
    (bot / "logs").mkdir()
    made = copy_folder(bot, tmp_path / "copy", ())
    assert names(made.copy) == names(bot)
    assert (made.copy / "trader.py").read_text() == "print('trade')\n"
    assert made.left_out == ()


def test_what_is_written_in_the_copy_does_not_reach_the_original(bot: Path, tmp_path: Path) -> None:
    made = copy_folder(bot, tmp_path / "copy", ())
    (made.copy / "state" / "ready.json").write_text("[]")
    assert manifest_of(bot) == made.manifest
    assert manifest_of(made.copy) != made.manifest


@pytest.mark.parametrize("name", [".git", "__pycache__", "backtest_results", "node_modules"])
def test_what_is_no_part_of_the_program_stays(bot: Path, tmp_path: Path, name: str) -> None:
    (bot / name).mkdir()
    (bot / name / "file").write_text("x")
    made = copy_folder(bot, tmp_path / "copy", ())
    assert not (made.copy / name).exists()
    assert made.left_out == (f"{name}: not part of the program",)


def test_an_environment_stays_and_is_named(bot: Path, tmp_path: Path) -> None:
    (bot / "venv").mkdir()
    (bot / "venv" / "pyvenv.cfg").write_text("home = /usr\n")
    made = copy_folder(bot, tmp_path / "copy", ())
    assert not (made.copy / "venv").exists()
    assert "an environment is not copied" in made.left_out[0]


class TestLinks:
    def test_one_inside_leads_into_the_copy(self, bot: Path, tmp_path: Path) -> None:
        (bot / "state" / "now.json").symlink_to(bot / "state" / "ready.json")  # absolute, into the original
        made = copy_folder(bot, tmp_path / "copy", ())
        (made.copy / "state" / "now.json").write_text("changed")
        assert (bot / "state" / "ready.json").read_text() == "{}"
        assert (made.copy / "state" / "ready.json").read_text() == "changed"

    def test_a_file_outside_is_copied(self, bot: Path, tmp_path: Path) -> None:
        outside = tmp_path / "settings.json"
        outside.write_text("1")
        (bot / "settings.json").symlink_to(outside)
        made = copy_folder(bot, tmp_path / "copy", ())
        (made.copy / "settings.json").write_text("2")
        assert outside.read_text() == "1"

    def test_a_file_outside_is_part_of_what_is_compared(self, bot: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside.json"
        outside.write_text("1")
        (bot / "settings.json").symlink_to(outside)
        (bot / "now.json").symlink_to("settings.json")
        made = copy_folder(bot, tmp_path / "copy", ())
        assert manifest_of(bot) == made.manifest
        outside.write_text("2")
        assert manifest_of(bot) != made.manifest

    @pytest.mark.parametrize(("link", "file"), [("keys.json", "mine.json"), ("mine.json", "api_secret.json")])
    def test_keys_outside_do_not_travel_by_a_link(
        self, bot: Path, tmp_path: Path, link: str, file: str
    ) -> None:
        (tmp_path / file).write_text("real")
        (bot / link).symlink_to(tmp_path / file)
        with pytest.raises(ConfigError, match=link):
            copy_folder(bot, tmp_path / "copy", ())
        made = copy_folder(bot, tmp_path / "copy", (link,))
        assert (made.copy / link).read_text() != "real"
        assert (tmp_path / file).read_text() == "real"

    def test_a_link_tells_of_the_file_inside_that_holds_keys(self, bot: Path) -> None:
        (bot / "state" / "live.txt").write_text("real")
        (bot / "keys.json").symlink_to("state/live.txt")
        assert key_files(bot) == ["state/live.txt"]

    def test_a_folder_outside_stays_and_is_named(self, bot: Path, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (bot / "data").symlink_to(tmp_path / "data")
        made = copy_folder(bot, tmp_path / "copy", ())
        assert not os.path.lexists(made.copy / "data")
        assert made.left_out == (f"data: a link out of the folder, to {tmp_path / 'data'}",)

    def test_one_that_leads_nowhere_stays(self, bot: Path, tmp_path: Path) -> None:
        (bot / "gone").symlink_to(tmp_path / "nothing")
        assert "gone: a link out of the folder" in copy_folder(bot, tmp_path / "copy", ()).left_out[0]


class TestKeys:
    @pytest.mark.parametrize(
        "name", [".env", "r_secret.txt", "api_key.json", "wallet.pem", "my_credentials.yaml", "state/id_rsa"]
    )
    def test_what_looks_like_one_is_refused_by_name(self, bot: Path, tmp_path: Path, name: str) -> None:
        (bot / name).write_text("s3cr3t")
        with pytest.raises(ConfigError, match="holds what looks like real keys: ") as caught:
            copy_folder(bot, tmp_path / "copy", ())
        assert name in str(caught.value)
        assert not (tmp_path / "copy").exists()

    @pytest.mark.parametrize("name", ["keyboard.py", "secret_sauce.py", "throwaway_secret.txt", "README.md"])
    def test_programs_texts_and_throw_away_ones_are_none(self, bot: Path, name: str) -> None:
        (bot / name).write_text("x")
        assert key_files(bot) == []

    def test_an_empty_file_is_none(self, bot: Path) -> None:
        (bot / "secret.txt").write_text("")
        assert key_files(bot) == []

    def test_a_named_one_is_replaced_and_said_so(self, bot: Path, tmp_path: Path) -> None:
        (bot / "r_secret.txt").write_text("s3cr3t")
        made = copy_folder(bot, tmp_path / "copy", ("r_secret.txt",))
        assert "s3cr3t" not in (made.copy / "r_secret.txt").read_text()
        assert made.left_out == ("r_secret.txt: a throw-away key stands in its place",)
        again = copy_folder(bot, tmp_path / "again", ("r_secret.txt",))
        assert (again.copy / "r_secret.txt").read_text() == (made.copy / "r_secret.txt").read_text()

    def test_a_name_without_a_file_is_refused(self, bot: Path) -> None:
        with pytest.raises(ConfigError, match=r"replace_keys names nokey\.txt, which"):
            check_keys(bot, ("nokey.txt",))


def test_scripts_are_told_from_data(bot: Path) -> None:
    (bot / "run.sh").write_text("x")
    assert sorted(scripts_of(manifest_of(bot))) == ["run.sh", "trader.py"]


def test_a_folder_that_was_moved_away_counts_as_changed(bot: Path, tmp_path: Path) -> None:
    made = copy_folder(bot, tmp_path / "copy", ())
    assert bot_run._is_unchanged(made)
    bot.rename(tmp_path / "elsewhere")
    assert not bot_run._is_unchanged(made)
