"""docs/guide.md: names every command and option, and what it shows of fetching and browsers works.

The commands of its console blocks are run by `test_docs_commands`. Those here need a local exchange or a browser.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli.main import cli
from orchestrator.config import parse_date_ns
from tests.docs.conftest import BIN
from tests.docs.markdown import REPOSITORY, blocks_of
from tests.fetch.exchange_server import Exchange, ExchangeServer
from tests.market.builders import candles_from

GUIDE = REPOSITORY / "docs" / "guide.md"
FIVE_MINUTES = 300 * 10**9


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from commands(found, f"{name} {word}")


def shown_lines() -> list[str]:
    blocks = [block for block in blocks_of(GUIDE) if block.language in ("console", "sh")]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.text.splitlines()]
    return [line for line in lines if line.startswith("replay ")]


def section(name: str) -> str:
    """Return the part of the page about a command: headings name one command, a group, or two with "and"."""
    parts = re.split(r"^### ", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    group = "replay runs" if name.startswith("replay runs ") else name
    return next((part for part in parts if group in part.splitlines()[0].split(" and ")), "")


@pytest.mark.parametrize(("name", "command"), list(commands(cli, "replay")), ids=str)
def test_every_command_has_an_example_and_every_option_a_word(name: str, command: click.Command) -> None:
    text = section(name)
    assert text, f"docs/guide.md has no section on {name}"
    assert any(f"{line} ".startswith(f"{name} ") for line in shown_lines()), f"no example of {name}"
    options = [
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option != "--help"
    ]
    assert [option for option in options if f"{option}" not in text] == [], name


def test_the_commands_of_the_whole_program_are_named() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert "--version" in text
    assert "--debug" in text


@pytest.fixture
def exchange() -> Iterator[ExchangeServer]:
    coins = {
        coin: candles_from("2023-12-20", 20 * 288, "5m", seed=number)
        for number, coin in enumerate(("BTC", "ETH"))
    }
    with ExchangeServer(Exchange("kucoin", coins, FIVE_MINUTES, parse_date_ns("2024-03-01"))) as server:
        yield server


def test_what_needs_an_exchange_or_a_browser(reader_home: Path, exchange: ExchangeServer) -> None:
    for block in blocks_of(GUIDE):
        if "file" in block.options:
            (reader_home / block.options["file"]).write_text(block.text, encoding="utf-8")
    lines = [line for block in blocks_of(GUIDE) if block.language == "sh" for line in block.text.splitlines()]
    fetching = [line for line in lines if line.startswith("replay data ")]
    (browsing,) = [line for line in lines if line not in fetching]
    for line in fetching:
        run(reader_home, f"{line} --base-url {exchange.url}")
    run(reader_home, "replay start --config warm.toml --output-dir backtest_results/first --quiet")
    run(reader_home, browsing, BROWSER="true %s")


def run(home: Path, line: str, **environment: str) -> None:
    words = shlex.split(line)
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:]],
        cwd=home,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
