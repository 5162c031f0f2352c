"""metrics.json of whole runs: what stands in it, how figures hang together, what is said of damaged runs."""

from __future__ import annotations

import json
import math
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.measure import measure
from orchestrator.analysis.metrics import Metrics, Remark, encode_metrics
from orchestrator.analysis.page import report_page
from orchestrator.analysis.sources import compare_sources
from orchestrator.analysis.study import Study, study_run
from orchestrator.analysis.trade_rows import trades_csv
from orchestrator.analysis.trades import exact_money
from orchestrator.analysis.trust import remarks_of
from orchestrator.config import parse_date_ns
from orchestrator.errors import DataError
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.market.series import series_key
from orchestrator.market.synthetic import synthesize
from orchestrator.runs.manifest import RunManifest, read_manifest, write_manifest
from orchestrator.runs.reader import open_run
from tests.analysis.made_runs import make_run
from tests.runs import samples

# DESIGN 7: what other programs may rely on.
KEYS = (
    *("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "win_rate"),
    *("profit_factor", "trades", "fees", "slippage_cost", "buy_and_hold_return"),
)
DRAWDOWN_KEYS = ("fraction", "value", "peak_time", "trough_time", "duration_days")


class Made:
    """A run that was made once, and its cache."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.cache = folder / "backtest_cache"
        self.directory = make_run(folder / "backtest_results" / "run", self.cache, **options)

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.directory, folder / "copy"))

    def study(self, directory: Path | None = None) -> Study:
        return study_run(open_run(directory or self.directory), self.cache)

    def metrics(self, directory: Path | None = None) -> Metrics:
        return measure(self.study(directory))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"), warm_up_days=200)


@pytest.fixture(scope="module")
def plain(made: Made) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode_metrics(made.metrics()), parse_float=Decimal)
    return found


def test_the_keys_that_others_rely_on(plain: dict[str, Any]) -> None:
    assert [key for key in KEYS if plain.get(key) is None] == []
    assert [key for key in DRAWDOWN_KEYS if plain["max_drawdown"].get(key) is None] == []
    assert (plain["status"], plain["days"], plain["days_per_year"]) == ("complete", 60, 365)
    assert isinstance(plain["trades"], int)
    assert (plain["start"], plain["end"]) == ("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z")


def test_the_same_run_gives_the_same_bytes(made: Made) -> None:
    assert encode_metrics(made.metrics()) == encode_metrics(made.metrics())


def test_figures_hang_together(made: Made, plain: dict[str, Any]) -> None:
    study = made.study()
    rows = study.run.equity
    equity = np.concatenate(([10_000.0], rows.equity))
    assert float(plain["total_return"]) == pytest.approx(equity[-1] / equity[0] - 1)
    days = np.concatenate(([10_000.0], rows.equity[23::24]))  # hourly candles: every 24th closes at midnight
    returns = days[1:] / days[:-1] - 1
    assert study.days.returns == pytest.approx(returns)
    sharpe = returns.mean() / returns.std(ddof=1) * math.sqrt(365)
    assert float(plain["sharpe"]) == pytest.approx(sharpe)
    peaks = np.maximum.accumulate(equity)
    assert float(plain["max_drawdown"]["fraction"]) == pytest.approx(((peaks - equity) / peaks).max())
    assert float(plain["calmar"]) == pytest.approx(
        float(plain["cagr"]) / float(plain["max_drawdown"]["fraction"])
    )
    benchmark = plain["benchmarks"]["buy_and_hold"]
    assert benchmark["total_return"] == plain["buy_and_hold_return"]
    difference = float(plain["total_return"]) - float(plain["buy_and_hold_return"])
    assert float(benchmark["outperformance"]) == pytest.approx(difference)
    assert float(plain["sharpe_interval"]["low"]) < sharpe < float(plain["sharpe_interval"]["high"])
    by_coin = plain["trade_figures_by_coin"].values()
    assert sum(figures["trades"] for figures in by_coin) == plain["trades"]
    assert sum(figures["pnl"] for figures in by_coin) == plain["trade_figures"]["pnl"]
    months = np.prod([1 + float(month["total_return"]) for month in plain["monthly_returns"]])
    assert months == pytest.approx(equity[-1] / equity[0])
    assert plain["regimes"]["trend_days"] == [50, 200]  # the cache has the history for it
    assert plain["costs"]["fees"] == plain["fees"]
    gross = plain["costs"]["net_pnl"] + plain["fees"] + plain["slippage_cost"]
    assert float(plain["costs"]["gross_pnl"]) == pytest.approx(float(gross))


def test_trades_and_open_trades_sum_to_the_change_of_cash_and_coins(made: Made) -> None:
    study = made.study()
    assert study.book.open_trades
    with exact_money():
        cash = sum(
            (
                (-1 if f["side"] == "buy" else 1) * f["qty"] * f["fill_price"] - f["fees"]
                for f in study.run.fills
            ),
            Decimal(0),
        )
        marks = {"BTC-USD": Decimal(12_345), "ETH-USD": Decimal("0.1")}
        held = {symbol: Decimal(0) for symbol in marks}
        for row in study.run.fills:
            held[row["symbol"]] += row["qty"] if row["side"] == "buy" else -row["qty"]
        worth = sum((qty * marks[symbol] for symbol, qty in held.items()), Decimal(0))
        results = sum((trade.pnl for trade in study.book.trades), Decimal(0))
        unrealised = sum((t.pnl_at(marks[t.symbol]) for t in study.book.open_trades), Decimal(0))
        assert results + unrealised == cash + worth


def test_results_add_up_to_the_change_of_equity(plain: dict[str, Any]) -> None:
    # Equity is marked in floats; to its precision the exact results agree with it.
    unrealised = sum(trade["pnl"] for trade in plain["open_trades"])
    change = plain["final_equity"] - plain["initial_equity"]
    assert float(plain["trade_figures"]["pnl"] + unrealised) == pytest.approx(float(change), abs=1e-6)


def test_trades_csv_is_exact(made: Made, plain: dict[str, Any]) -> None:
    metrics = made.metrics()
    lines = trades_csv(made.study().book.trades, metrics.open_trades).splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    assert [row["trade"] for row in rows] == [str(n + 1) for n in range(len(rows))]
    closed = [row for row in rows if row["state"] == "closed"]
    assert len(closed) == plain["trades"]
    assert sum(Decimal(row["pnl"]) for row in closed) == plain["trade_figures"]["pnl"]
    assert sum(Decimal(row["fees"]) for row in rows) == plain["fees"]
    assert sum(Decimal(row["slippage_cost"]) for row in rows) == plain["slippage_cost"]
    for row in closed:
        net = Decimal(row["exit_notional"]) - Decimal(row["entry_notional"]) - Decimal(row["fees"])
        assert Decimal(row["pnl"]) == net
    assert [row["exit_order"] for row in rows if row["state"] == "open"] == [""] * len(metrics.open_trades)


def test_without_costs_gross_is_net(tmp_path: Path) -> None:
    found = Made(tmp_path, fee_bps="0", slippage_bps="0", end="2024-02-05").metrics()
    assert found.costs.total == 0
    assert found.costs.gross_pnl == found.costs.net_pnl
    assert found.costs.return_at_zero_cost == pytest.approx(found.total_return)


def test_a_short_run_has_no_annual_figures(tmp_path: Path) -> None:
    found = Made(tmp_path, end="2024-01-20").metrics()
    assert found.days == 19
    for name in (
        "cagr",
        "volatility",
        "sharpe",
        "sharpe_interval",
        "probabilistic_sharpe",
        "sortino",
        "calmar",
    ):
        assert getattr(found, name) is None, name
    for name in ("omega", "skew", "kurtosis", "value_at_risk", "expected_shortfall", "turnover_annual"):
        assert getattr(found, name) is None, name
    assert found.benchmarks["buy_and_hold"].beta is None
    assert found.total_return != 0
    assert found.win_rate is not None
    assert any("too short" in remark.text for remark in found.warnings)


def test_remarks_count_as_people_do(tmp_path: Path) -> None:
    made = Made(tmp_path, end="2024-01-02T12:00:00")
    study = made.study()
    texts = [remark.text for remark in made.metrics().warnings]
    assert any(text.startswith("1 whole day is too short") for text in texts)
    partial = sum(fill["state"] == "partial" for fill in study.run.fills)
    assert partial > 0
    assert any(text.startswith(f"{partial} of {len(study.run.fills)} fills were partial") for text in texts)
    assert "1 whole day." in report_page(study, made.metrics())


def test_a_run_without_fills(tmp_path: Path) -> None:
    found = Made(tmp_path, every=0, end="2024-02-10").metrics()
    assert (found.fills, found.trades, found.win_rate, found.total_return) == (0, 0, None, 0.0)
    assert (found.max_drawdown.fraction, found.max_drawdown.peak_time) == (0.0, None)
    assert (found.sharpe, found.volatility) == (None, 0.0)
    assert any("no fills" in remark.text for remark in found.warnings)


@pytest.mark.parametrize("status", ["interrupted", "failed", "quarantined"])
def test_a_run_that_did_not_complete_says_so_first(made: Made, tmp_path: Path, status: Any) -> None:
    copy = made.copy(tmp_path)
    manifest = read_manifest(copy)
    write_manifest(copy, RunManifest(**{**_fields(manifest), "status": status, "reason": "it broke"}))
    found = made.metrics(copy)
    assert (found.status, found.reason) == (status, "it broke")
    assert status in found.warnings[0].text
    assert "it broke" in found.warnings[0].text
    assert found.warnings[0].level == "warning"


def _fields(manifest: Any) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_a_cut_off_line_is_recovered_and_said(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path)
    fills = copy / "fills.jsonl"
    whole = fills.read_bytes()
    fills.write_bytes(whole[:-40])
    found = made.metrics(copy)
    assert found.fills == whole.count(b"\n") - 1
    texts = [remark.text for remark in found.warnings if remark.level == "warning"]
    assert any("fills.jsonl: the last line is cut off" in text for text in texts)
    assert any("not as the run left them" in text and "fills.jsonl" in text for text in texts)


@pytest.mark.parametrize("name", ["fills.jsonl", "orders.jsonl", "config.toml", "equity.parquet"])
def test_a_missing_file_is_named(made: Made, tmp_path: Path, name: str) -> None:
    copy = made.copy(tmp_path)
    (copy / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        made.study(copy)


def test_a_run_without_a_tick_is_refused(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run", n_sequences=0, config="[account]\ninitial_cash = 1000\n")
    with pytest.raises(DataError, match="no tick"):
        study_run(open_run(tmp_path / "run"), tmp_path)


def test_without_the_cache_what_needs_prices_is_left_out_and_said(made: Made, tmp_path: Path) -> None:
    found = measure(study_run(open_run(made.directory), tmp_path))
    assert (found.buy_and_hold_return, found.regimes, found.benchmarks) == (None, None, {})
    assert found.sharpe == made.metrics().sharpe
    assert found.open_trades[0].pnl is None
    assert "prices are left out" in found.warnings[0].text


def test_candles_that_are_not_those_of_the_run_are_not_used(made: Made, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(made.cache, tmp_path / "cache"))
    key = series_key("synthetic", "BTC", "USDT", "1h")
    price = np.array([123.0])
    candle = Candles(np.array([1_704_067_200 * 10**9]), price, price, price, price, price)
    store_series(cache, key, candle, replace=True)
    found = measure(study_run(open_run(made.directory), cache))
    assert found.buy_and_hold_return is None
    assert "not those of the run" in found.warnings[0].text


def test_bitcoin_leads_where_its_candles_are_cached(tmp_path: Path) -> None:
    made = Made(tmp_path, coins=("ETH", "SOL"), end="2024-02-10")
    assert set(made.metrics().benchmarks) == {"buy_and_hold"}
    synthesize(
        made.cache,
        coins=("BTC",),
        timeframe="1h",
        start_ns=parse_date_ns("2023-06-01"),
        end_ns=parse_date_ns("2024-02-10"),
    )
    found = made.metrics()
    assert set(found.benchmarks) == {"buy_and_hold", "BTC"}
    assert found.regimes is not None
    assert (found.regimes.market, found.regimes.trend_days) == ("BTC", (50, 200))


def test_rejected_orders_and_components_that_failed_are_named(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path)
    orders = copy / "orders.jsonl"
    text = orders.read_text(encoding="utf-8")
    refused = text.replace('"accepted","reason":null', '"rejected","reason":"below_lot_size"', 2)
    orders.write_text(refused, encoding="utf-8")
    manifest = _fields(read_manifest(copy))
    (component,) = manifest["components"]
    failed = type(component)(name="trader", stage=2, command=("x",), exit_code=3)
    write_manifest(copy, RunManifest(**{**manifest, "components": (failed,)}))
    found = made.metrics(copy)
    assert found.orders_rejected == 2
    texts = [remark.text for remark in found.warnings]
    assert f"2 of {found.orders} orders were rejected: below_lot_size 2" in texts
    assert "component trader ended with exit code 3; see logs/trader.log" in texts


def test_gaps_are_listed(tmp_path: Path) -> None:
    found = Made(tmp_path, gaps=2, timeframe="15m", end="2024-01-20", every=0).metrics()
    assert set(found.gaps) == {"BTC", "ETH"}
    assert found.gaps["BTC"].count == 2
    assert found.gaps["BTC"].missing_candles >= 2
    assert any("2 gaps" in remark.text for remark in found.warnings)


def test_another_exchange_in_the_cache_is_compared(tmp_path: Path) -> None:
    """The run's exchange must be a real one for that: synthetic candles say nothing about a market."""
    made = Made(tmp_path, end="2024-01-10", coins=("BTC",))
    assert made.metrics().sources == ()
    context = made.study().context
    assert not isinstance(context, str)
    market = context.prices.market
    columns = market.history("BTC", "1h", 10_000, market.end_ns)
    candles = Candles(columns.open_times_ns, *columns.values)
    other = candles._replace(close=candles.close * 1.01, high=candles.high * 1.01)
    for exchange, stored in (("binance", candles), ("kraken", other)):
        store_series(made.cache, series_key(exchange, "BTC", "USDT", "1h"), stored)
    fine = Market(
        {"BTC": candles},
        exchange="binance",
        quote="USDT",
        timeframe_ns=market.timeframe_ns,
        start_ns=market.start_ns,
        end_ns=market.end_ns,
    )
    (found,) = compare_sources(fine, made.cache, market.end_ns)
    assert (found.exchange, found.timeframe, found.candles) == ("kraken", "1h", 9 * 24)
    assert found.maximum == pytest.approx(1 - 1 / 1.01)
    assert found.adjustment_factor == pytest.approx(1 / 1.01)
    assert found.correlation == pytest.approx(1.0)
    assert len(found.worst) == 10
    remarks = remarks_of(made.study().run, context._replace(sources=(found,)), 40, 40)
    run = made.study().run
    closing = {"component": "exchange", "reason": "liquidation of account main", "state": "accepted"}
    closings = [{**closing, "client_order_id": f"exchange-{n}", "ts": Decimal(n * 3_600)} for n in (1, 2)]
    run.__dict__["orders"] = [*run.orders, *closings]
    assert remarks_of(run, context, 40, 40)[0] == Remark(
        level="warning",
        text="the exchange liquidated account main: 2 orders, the first at 1970-01-01T01:00:00Z",
    )
    assert "candles of kraken lie up to 0.99% from those replayed" in remarks[0].text
    coarse = store_series(
        made.cache, series_key("coinbase", "BTC", "USD", "4h"), candles.take(slice(0, None, 4))
    )
    assert coarse.added
    assert {(s.exchange, s.timeframe) for s in compare_sources(fine, made.cache, market.end_ns)} == {
        ("kraken", "1h"),
        ("coinbase", "4h"),
    }
