"""`replay new DIR`: files to start from that are sound, and nothing is overwritten."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

import components
from orchestrator.cli.main import main
from orchestrator.config import load_settings
from orchestrator.protocol import Acknowledgement, ClosedCandles, PublishSignal, Side, Signal, SubmitOrder
from tests.components.fake_replay import ACCOUNT, STALE, T0, FakeConnection, first, replay_of, wire
from tests.components.test_components_reference import history

FILES = {"thinker.py", "trader.py", "replay.toml"}


def new(directory: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["new", str(directory)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    assert new(tmp_path / "my" / "bot") == 0
    return tmp_path / "my" / "bot"


class TestFiles:
    def test_are_written_and_what_to_do_next_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bot = tmp_path / "bot"
        assert new(bot) == 0
        out = capsys.readouterr().out
        assert {path.name for path in bot.iterdir()} == FILES
        assert f"replay start --config {bot / 'replay.toml'}" in out
        assert "replay data" in out

    def test_the_configuration_is_sound_and_names_the_programs(self, bot: Path) -> None:
        settings = load_settings(bot / "replay.toml", {})
        assert [(c.name, c.stage, c.command) for c in settings.component] == [
            ("thinker", 1, ("python", "thinker.py")),
            ("trader", 2, ("python", "trader.py")),
        ]
        assert all(c.workdir == str(bot) for c in settings.component)

    def test_every_key_of_it_says_the_default_or_why_not(self, bot: Path) -> None:
        # Who deletes a line gets what the line said: the file teaches, it does not change anything.
        written = load_settings(bot / "replay.toml", {})
        bare = load_settings(
            None, {"start_date": "2024-01-01", "end_date": "2024-02-01", "coins": ["BTC", "ETH", "DOGE"]}
        )
        assert written.execution_model == bare.execution_model
        assert (written.data, written.account, written.seed) == (bare.data, bare.account, bare.seed)

    @pytest.mark.parametrize("name", ["thinker.py", "trader.py"])
    def test_the_programs_are_python_and_need_the_sdk_alone(self, bot: Path, name: str) -> None:
        tree = ast.parse((bot / name).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= {"components", "decimal"}
        assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))

    def test_a_folder_that_stands_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        assert new(tmp_path) == 0
        assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_nothing_is_overwritten(
        self, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / name).write_text("mine")
        assert new(tmp_path) == 2
        assert f"has {name} already; nothing was written" in capsys.readouterr().err
        assert {path.name for path in tmp_path.iterdir()} == {name}
        assert (tmp_path / name).read_text() == "mine"

    def test_a_file_in_the_way(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "bot").touch()
        assert new(tmp_path / "bot") == 2
        assert "cannot be written" in capsys.readouterr().err


def run(program: Path, monkeypatch: pytest.MonkeyPatch, *incoming: Any, **params: Any) -> FakeConnection:
    """The program as it stands, against a replay without a socket."""
    connection = FakeConnection(*incoming, params=params)
    monkeypatch.setattr(components, "connect", lambda: replay_of(connection))
    runpy.run_path(str(program), run_name="__main__")
    assert connection.is_closed
    return connection


class TestPrograms:
    def said(self, connection: FakeConnection) -> list[tuple[object, ...]]:
        return [ack.instructions for ack in connection.sent if isinstance(ack, Acknowledgement)]

    def test_the_thinker_speaks_once_an_hour_and_when_its_view_changes(
        self, bot: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        past: list[ClosedCandles] = [history(coin, [90.0, 95.0]) for coin in ("BTC", "ETH", "DOGE")]
        connection = run(
            bot / "thinker.py", monkeypatch, wire(59), wire(60), *past, wire(120), *past, lookback=2
        )
        nothing, spoke, again = self.said(connection)
        assert nothing == again == ()
        up = {"long": 3, "change": round(100 / 90 - 1, 6)}
        assert spoke == tuple(PublishSignal(coin, dict(up)) for coin in ("BTC", "ETH", "DOGE"))

    def test_the_trader_buys_what_is_strong_and_sells_what_is_not(
        self, bot: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signals = (Signal("BTC", "long", 0, T0), Signal("ETH", "long", 3, T0), Signal("DOGE", "long", 3, T0))
        seen = first(account=ACCOUNT, signals=signals, flags={"DOGE": STALE})
        connection = run(bot / "trader.py", monkeypatch, seen, wire(2, flags={"DOGE": STALE}), fraction=0.5)
        bought_and_sold, waiting = self.said(connection)
        assert [(o.side, o.coin, str(o.qty)) for o in bought_and_sold if isinstance(o, SubmitOrder)] == [
            (Side.SELL, "BTC", "2.000"),
            (Side.BUY, "ETH", "4.500"),
        ]
        assert waiting == ()  # an order of each coin is on its way
