"""Folders list their files in the same order on every machine."""

from __future__ import annotations

from pathlib import Path

from tests.bot.programs import run_in_replay

LISTS = """
import glob, json, os, pathlib, shutil
os.mkdir("many")
for number in range(60):
    open(f"many/{number * 37 % 60:02}", "w").close()
with os.scandir("many") as entries:
    first = next(entries)
    rest = [entry.name for entry in entries]
closed = os.scandir(b"many")
closed.close()
copied = shutil.copytree("many", "copied")
folder = os.open("many", os.O_RDONLY)
lists = [
    os.listdir("many"), [first.name, *rest], next(os.walk("many"))[2],
    [os.path.basename(name) for name in glob.glob("many/*")],
    [path.name for path in pathlib.Path("many").iterdir()],
    [path.name for path in pathlib.Path("many").glob("*")],
    [os.fsdecode(name) for name in os.listdir(b"copied")],
    [entry.name for entry in os.scandir(folder)],
]
shutil.rmtree("many")
print(json.dumps([list(closed), os.path.exists("many"), lists]))
"""


def test_folders_list_their_files_by_name(tmp_path: Path) -> None:
    left, exists, lists = run_in_replay(tmp_path, LISTS).value
    assert left == []
    assert not exists
    assert lists == [[f"{number:02}" for number in range(60)]] * 8
