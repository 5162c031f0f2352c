"""What the documents tell a reader to type works, and what they link to exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import BIN
from tests.docs.markdown import (
    REPOSITORY,
    Block,
    Command,
    anchors_of,
    blocks_of,
    commands_of,
    documents,
    links_of,
    name_of,
)
from tests.processes import wait_until

SECONDS_MAX = 200.0  # of one command
DATES = ("--start-date", "2024-01-08", "--end-date", "2024-01-13", "--coins", "BTC,ETH")


def has_commands(document: Path) -> bool:
    return any(block.language == "console" and list(commands_of(block)) for block in blocks_of(document))


def program(words: list[str]) -> list[str]:
    place = sys.executable if words[0] == "python" else str(BIN / words[0])
    return [place, *words[1:]]


class Reader:
    """Types what a document says, in order, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.running: list[tuple[Command, subprocess.Popen[str]]] = []

    def follow(self, document: Path) -> None:
        for block in blocks_of(document):
            if "file" in block.options:
                (self.home / block.options["file"]).write_text(block.text, encoding="utf-8")
            if block.language == "console":
                self.type(document, block)

    def type(self, document: Path, block: Block) -> None:
        try:
            for command in commands_of(block):
                if command.is_background:
                    self.start(command)
                else:
                    done = self.run(command.words)
                    check(document, command, done.returncode, done.stdout + done.stderr)
            # A block that starts something in the background also ends it.
            for command, process in self.running:
                output, _ = process.communicate(timeout=SECONDS_MAX)
                check(document, command, process.returncode, output)
        finally:
            for _, process in self.running:
                process.kill()
                process.wait()
            self.running.clear()

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            program(words),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def start(self, command: Command) -> None:
        process = subprocess.Popen(
            program(command.words),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append((command, process))
        if command.words[1] == "start":
            live = self.home / "replay_data" / Path(command.words[-1]).name / "live.json"
            assert wait_until(live.exists, 30.0), f"no {live} after {' '.join(command.words)}"


def check(document: Path, command: Command, status: int, output: str) -> None:
    where = f"{name_of(document)}:{command.line}: {' '.join(command.words)}"
    assert status == command.exit_status, f"{where}\nended with {status}:\n{output}"


@pytest.mark.slow
@pytest.mark.timeout(900)  # the guide alone has sixty commands
@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            document, marks=[pytest.mark.slow] if document.stem == "guide" else [], id=name_of(document)
        )
        for document in documents()
        if has_commands(document)
    ],
)
def test_commands_end_as_the_document_says(document: Path, reader_home: Path) -> None:
    Reader(reader_home).follow(document)


def components() -> list[tuple[Path, Block]]:
    return [(d, block) for d in documents() for block in blocks_of(d) if "component" in block.options]


@pytest.mark.parametrize(
    ("document", "block"),
    [pytest.param(d, block, id=f"{name_of(d)}-{block.options['file']}") for d, block in components()],
)
def test_components_of_the_documents_do_something_in_a_replay(
    document: Path, block: Block, tmp_path: Path, market_environment: dict[str, str]
) -> None:
    role = block.options["component"]
    flags = [f"--{role}", f"python {write(tmp_path, block)}"]
    if "with" in block.options:
        other = next(b for b in blocks_of(document) if b.options.get("file") == block.options["with"])
        flags += [f"--{other.options['component']}", f"python {write(tmp_path, other)}"]
    done = subprocess.run(
        program(["replay", "start", *DATES, *flags, "--output-dir", "run", "--quiet"]),
        cwd=tmp_path,
        env=market_environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = "signals.jsonl" if role == "thinker" else "orders.jsonl"
    assert (tmp_path / "run" / said).read_bytes(), f"a {role} that wrote nothing into {said}"


def write(folder: Path, block: Block) -> str:
    name = block.options["file"]
    (folder / name).write_text(block.text, encoding="utf-8")
    return name


def test_the_program_that_computes_a_digest(tmp_path: Path, market_environment: dict[str, str]) -> None:
    document = REPOSITORY / "docs" / "determinism.md"
    name = write(tmp_path, next(b for b in blocks_of(document) if b.options.get("file") == "digest.py"))
    for words in (["replay", "start", *DATES, "--output-dir", "run", "--quiet"], ["python", name, "run"]):
        done = subprocess.run(
            program(words),
            cwd=tmp_path,
            env=market_environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=True,
        )
    stated = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["digest"]
    assert done.stdout.strip() == stated


@pytest.mark.slow
def test_the_demo_gives_what_the_readme_shows(reader_home: Path) -> None:
    """Results changed when this fails: say so in CHANGELOG.md, under what decides results."""
    done = Reader(reader_home).run(["replay", "demo", "--quiet"])
    shown = next(b.text for b in blocks_of(REPOSITORY / "README.md") if "digest " in b.text)
    assert without_wall_time(done.stdout.split("\n", 1)[1]) == without_wall_time(shown)


def without_wall_time(text: str) -> str:
    return re.sub(r" in [0-9.]+ s$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for target in links_of(document):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), f"{name_of(document)} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors_of(place), f"{name_of(document)} links to {target}, no such heading"
