"""The parts of a Markdown document that can be wrong: code blocks, commands, links, headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"^```(?P<language>\w*)(?P<options>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_EXIT = re.compile(r"\s# exit (?P<status>\d+)$")


class Block(NamedTuple):
    """A fenced block: its language, the `key=value` words behind it, its text and the line it begins on."""

    language: str
    options: dict[str, str]
    text: str
    line: int


class Command(NamedTuple):
    """A line `$ replay …` of a console block."""

    words: list[str]
    is_background: bool
    exit_status: int
    line: int


def documents() -> list[Path]:
    """Return README.md, CHANGELOG.md and everything below docs/, in a fixed order."""
    return [
        REPOSITORY / "README.md",
        REPOSITORY / "CHANGELOG.md",
        *sorted((REPOSITORY / "docs").rglob("*.md")),
    ]


def name_of(document: Path) -> str:
    """Return a document's path as tests show it."""
    return document.relative_to(REPOSITORY).as_posix()


def blocks_of(document: Path) -> list[Block]:
    """Return the fenced blocks of a document."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            language=match["language"],
            options=dict(word.split("=", 1) for word in match["options"].split()),
            text=match["text"],
            line=text.count("\n", 0, match.start()) + 1,
        )
        for match in _FENCE.finditer(text)
    ]


def commands_of(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block that a test can run: those of `replay` and `python`."""
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if not line.startswith(("$ replay ", "$ python ")):
            continue
        expected = _EXIT.search(line)
        words = shlex.split(line.removeprefix("$ "), comments=True)
        is_background = words[-1] == "&"
        yield Command(
            words=words[:-1] if is_background else words,
            is_background=is_background,
            exit_status=int(expected["status"]) if expected else 0,
            line=number,
        )


def links_of(document: Path) -> list[str]:
    """Return the targets of the links of a document outside its code blocks."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    return [match["target"] for match in _LINK.finditer(text)]


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that a reader's web page makes of a document's headings."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def section_of(document: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading; empty when there is none."""
    text = document.read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
