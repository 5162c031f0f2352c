"""`replay explain`: the life of an order is told from the run directory, with numbers that the exchange had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from click.testing import CliRunner

from orchestrator.account_settings import AccountSettings
from orchestrator.analysis.account_history import AccountHistory
from orchestrator.analysis.explain import explain_order
from orchestrator.analysis.explain_words import REASONS, RULES
from orchestrator.analysis.study import study_run
from orchestrator.cli.main import cli
from orchestrator.engine.journal import Journal
from orchestrator.errors import ConfigError, DataError
from orchestrator.exchange.vocabulary import Reason, Rule
from orchestrator.market.cache import store_series
from orchestrator.market.series import series_key
from orchestrator.runs.reader import Run, open_run
from orchestrator.runs.writer import RunWriter
from tests.exchange.cases import MODEL, Ask, Case, buy, cancel, replace, run, sell
from tests.exchange.harness import Harness
from tests.exchange.test_exchange_orders import cases as order_cases
from tests.exchange.test_exchange_rules import CASES as RULE_CASES
from tests.exchange.test_margin_rules import ALL as MARGIN_CASES
from tests.exchange.test_margin_rules import NO_INTEREST, margin
from tests.market.builders import candles_from
from tests.runs.samples import equity, manifest

D = Decimal
HUNDRED = D(100)
Rows = Sequence[tuple[float, float, float, float, float]]
FLAT: Rows = [(100, 101, 99, 100, 1000)] * 5

WORKED_EXAMPLE = """\
t-1: buy 25 BTC, market order, GTC, by t, account main

1970-01-01 00:01:00  accepted
    holds      25 x 100 (last close) x 1.05 x 1.002 (with the highest fee) = 2630.25 USD
    has        cash 10000 USD and 0 BTC, what orders hold included

1970-01-01 00:01:00.1  arrived at the market, after a latency of 100 ms

1970-01-01 00:01:00.1  partial F1: 10 BTC at 100.15, as taker
    rule       taker_open: taken at its arrival, from the candle that was open
    reference  100: the open of the candle of 1970-01-01 00:01:00
    slippage   base 5 + impact 10 = 15 bp
               base: slippage_bps = 5
               impact: 100 x sqrt(10 / 1000), quantity over the volume of the last closed candle
    price      100 x (1 + 15 / 10000) = 100.15
    quantity   10 is 1 % of the volume of the last closed candle, 1000
    fee        1001.5 x 20 bp = 2.003 USD
    cash       10000 - 1001.5 - 2.003 = 8996.497 USD
    holds      15 x 100 (last close) x 1.05 x 1.002 (with the highest fee) = 1578.15 USD
               before 2630.25: 1052.1 USD free again

1970-01-01 00:02:00  partial F2: 10 BTC at 101.16, as taker
    rule       taker_next_open: taken when a later candle opened, since it had waited
    reference  101: the open of the candle of 1970-01-01 00:02:00
    slippage   base 5 + impact 10 + rounding 0.84158416 = 15.84158416 bp
               base: slippage_bps = 5
               impact: 100 x sqrt(10 / 1000), quantity over the volume of the last closed candle
               rounding: to the tick, against the trader
    price      101 x (1 + 15 / 10000) = 101.1515, up to the tick: 101.16
    quantity   10 is 1 % of the volume of the last closed candle, 1000
    fee        1011.6 x 20 bp = 2.0232 USD
    cash       8996.497 - 1011.6 - 2.0232 = 7982.8738 USD
    holds      5 x 100 (last close) x 1.05 x 1.002 (with the highest fee) = 526.05 USD
               before 1578.15: 1052.1 USD free again

1970-01-01 00:03:00  filled F3: 5 BTC at 102.13, as taker
    rule       taker_next_open: taken when a later candle opened, since it had waited
    reference  102: the open of the candle of 1970-01-01 00:03:00
    slippage   base 5 + impact 7.07106781 + rounding 0.67403023 = 12.74509804 bp
               base: slippage_bps = 5
               impact: 100 x sqrt(5 / about 1000), quantity over the volume of the last closed candle
               rounding: to the tick, against the trader
    price      102 x (1 + 12.07106781 / 10000) = 102.123124891662, up to the tick: 102.13
    quantity   5 is 0.5 % of the volume of the last closed candle, 1000
    fee        510.65 x 20 bp = 1.0213 USD
    cash       7982.8738 - 510.65 - 1.0213 = 7471.2025 USD
    holds      nothing any more
               before 526.05: 526.05 USD free again

end: filled; 25 of 25 BTC filled
    mean price 100.95, notional 2523.75, fees 5.0475, slippage against the reference prices 3.75 USD
    cash 10000 before its first fill, 7471.2025 USD after its last
""".rstrip()


def write_run(
    directory: Path,
    harness: Harness,
    model: dict[str, Any],
    cash: str = "10000",
    account: AccountSettings | None = None,
    accounts: dict[str, tuple[str, str]] | None = None,
) -> Run:
    """Write what an exchange said as the run directory that an engine would have written.

    `accounts` are component to its own account and the cash of that; others share `cash`.
    """
    settings = msgspec.structs.replace(MODEL, **model).resolved()
    plain = msgspec.to_builtins(settings, builtin_types=(Decimal,))
    config = {
        "timeframe": "1m",
        "data": {"exchange": "binance", "quote": "USDT"},
        "account": {
            "currency": "USD",
            "initial_cash": D(cash),
            "kind": "spot" if account is None else account.kind,
        },
        "execution_model": {key: value for key, value in plain.items() if value is not None},
        "accounts": {name: {"initial_cash": D(own)} for name, own in (accounts or {}).values()},
        "component": [
            {"name": "t"},
            *({"name": name, "account": own} for name, (own, _) in (accounts or {}).items()),
        ],
    }
    writer = RunWriter.create(
        directory,
        coins=("BTC",),
        config_toml=tomli_w.dumps(config),
        manifest=manifest(coins=("BTC",)),
        has_cash_flows=account is not None,
    )
    journal = Journal("USD")
    for outcome in harness.outcomes:
        for record in journal.records(outcome, sequence=1):
            writer.write(record)
    rows = equity(1, 1)
    writer.write_equity(msgspec.structs.replace(rows, quantities=rows.quantities[:, :1]))
    writer.flush()
    writer.finish(manifest(status="complete", sequences=1, coins=("BTC",)))
    return open_run(directory)


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., str]:
    """Return what tells the life of an order of a case; the last close is 100 unless said otherwise."""

    def tell(case: Case, order: str = "t-1", close: Decimal | str = HUNDRED) -> str:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        opened = write_run(place, run(case), dict(case.model), case.cash, case.account)
        return "\n".join(explain_order(opened, order, lambda _coin, _time: close))

    return tell


def case(rows: Rows, *asks: Any, cash: str = "10000", end: str = "5:00", **model: Any) -> Case:
    return Case("", rows, asks, "", "", model=model, cash=cash, coins="0", end=end)


def test_the_worked_example_of_the_documentation(told: Callable[..., str]) -> None:
    rows: Rows = [(o, o + 1, o - 1, o, 1000) for o in (100, 100, 101, 102, 102)]
    text = told(case(rows, buy("25"), impact_bps=D(100)))
    assert text == WORKED_EXAMPLE


def test_without_the_last_close_a_market_buy_says_which_number_is_missing(told: Callable[..., str]) -> None:
    text = told(case(FLAT, buy("25")), close="the last close is not known: binance BTC-USDT 1m is not cached")
    assert (
        "holds      25 x last close x 1.05 x 1.002 (with the highest fee); the last close is not known: "
        in text
    )
    assert "holds      15 x last close x 1.05" in text
    assert "holds      nothing any more\n" in text


def test_a_rejected_order(told: Callable[..., str]) -> None:
    text = told(case(FLAT, buy("25"), cash="100"))
    assert "1970-01-01 00:01:00  rejected: insufficient_balance, what it may cost was not available" in text
    assert "needs      25 x 100 (last close) x 1.05 x 1.002 (with the highest fee) = 2630.25 USD" in text
    assert "has        cash 100 USD and 0 BTC, of which other open orders may need some" in text
    assert text.endswith("end: rejected; 0 of 25 BTC filled")


def test_a_limit_that_rests_is_replaced_partly_filled_and_cancelled(told: Callable[..., str]) -> None:
    rows: Rows = [*[(100, 101, 99, 100, 1000)] * 3, (100, 101, 97, 100, 200), (100, 101, 99, 100, 1000)]
    asks = (
        buy("5", limit="95"),
        replace("t-1", "2:30", limit_price="98"),
        cancel("t-1", "4:30"),
        cancel("t-1", "4:40"),
    )
    text = told(case(rows, *asks, maker_bps=D(10), taker_bps=D(20)))
    assert "t-1: buy 5 BTC, limit order, limit 95 USD, GTC, by t, account main" in text
    assert "holds      5 x 95 (limit) x 1.002 (with the highest fee) = 475.95 USD" in text
    assert "nothing was to be had at its limit: it rests, or waits for a candle to open" in text
    assert "1970-01-01 00:02:30.1  replaced: limit_price 95 -> 98" in text
    assert "= 490.98 USD\n               before 475.95: 15.03 USD more" in text
    assert "1970-01-01 00:04:00  partial F1: 2 BTC at 98, as maker" in text
    assert "rule       maker_through: filled at its limit price" in text
    assert "reference  98: its limit price, traded through by the candle of 1970-01-01 00:03:00" in text
    assert "quantity   2 is 1 % of the volume of that candle, 200" in text
    assert "fee        196 x 10 bp = 0.196 USD" in text
    assert "holds      3 x 98 (limit) x 1.002 (with the highest fee) = 294.588 USD" in text
    assert "00:04:30.1  cancelled: requested, its component asked for it" in text
    assert "holds      nothing any more\n               before 294.588: 294.588 USD free again" in text
    assert (
        "refused (a cancel or replace): already_ended, the order had ended before the request arrived" in text
    )
    assert "end: cancelled; 2 of 5 BTC filled" in text
    assert "slippage   " not in text


def test_a_stop_that_triggers_and_what_its_account_has(told: Callable[..., str]) -> None:
    rows: Rows = [*[(100, 101, 99, 100, 1000)] * 3, (100, 101, 94, 96, 200), *[(96, 97, 95, 96, 1000)] * 2]
    asks = (buy("5"), sell("5", stop="95", time="2:00"))
    text = told(case(rows, *asks, half_spread_bps=D(2), end="6:00"), order="t-2")
    assert "t-2: sell 5 BTC, stop order, stop 95 USD" in text
    assert "holds      5 BTC, its quantity" in text
    assert " and 5 BTC, what orders hold included" in text
    assert "its stop price was not reached yet: it waits for a candle that reaches it" in text
    assert "triggered: its stop price was reached; it is a market order from now on" in text
    assert "reference  95: its stop price, reached in the candle of 1970-01-01 00:03:00" in text
    assert "rule       stop_reached: " in text
    assert "spread: half_spread_bps = 2" in text
    assert "price      95 x (1 - 7 / 10000) = 94.9335, down to the tick: 94.93" in text
    assert "holds      3 BTC, its quantity\n               before 5: 2 BTC free again" in text
    # What it took is charged to the takers of the candle that opens then: the rest waits for the one after.
    assert "1970-01-01 00:05:00  filled F3: 3 BTC at 95.93, as taker" in text
    assert "cash       " in text


def test_a_fill_dearer_than_its_hold_says_that_free_cash_pays(told: Callable[..., str]) -> None:
    rows: Rows = [(100, 101, 99, 100, 1000), *[(120.0, 121.0, 119.0, 120.0, 1000.0)] * 4]
    text = told(case(rows, buy("25")))
    assert "more than its hold had left: other free cash pays, or it holds less" in text


def test_tiers_of_fees_are_charged_as_they_were(told: Callable[..., str]) -> None:
    model = {
        "fee_tiers": (
            {"volume": D(0), "maker_bps": D(10), "taker_bps": D(20)},
            {"volume": D(1000), "maker_bps": D(5), "taker_bps": D(8)},
        )
    }
    settings = msgspec.convert(model, type(MODEL)).fee_tiers
    text = told(case(FLAT, buy("25"), fee_tiers=settings))
    assert "fee        1000.5 x 20 bp = 2.001 USD" in text
    assert "fee        1000.5 x 8 bp = 0.8004 USD" in text
    assert "config.toml" not in text


def test_volatility_is_told_as_its_factor(told: Callable[..., str]) -> None:
    quiet: Rows = [(100, 101, 99, 100, 1000)] * 24
    text = told(
        case([*quiet, (100, 101.5, 98.5, 100, 1000), *FLAT], buy("5", time="25:00"), end="28:00"),
    )
    assert "volatility: 5 x (m - 1), m = 1.5: the last candle's range over the median of the last 100" in text


FREE: dict[str, Any] = {"slippage_bps": D(0), "fee_bps": D(0)}


def test_an_account_that_may_owe_holds_nothing(told: Callable[..., str]) -> None:
    rows = [(100, 101, 99, 100, 100_000)] * 5
    account = AccountSettings(kind="margin").resolved()
    text = told(Case("", rows, [sell("10")], "", "", model=FREE, account=account))
    assert (
        "counts     10 x 100 (last close) x 1.05 = 1050 USD towards what the equity must back; nothing is held"
        in text
    )
    assert "cash       10000 + 1000 - 0 = 11000 USD" in text
    assert "counts     nothing any more" in text
    far = told(Case("", rows, [buy("900")], "", "", model=FREE, account=account))
    assert "rejected: insufficient_margin, the equity did not back what it could lead to" in far
    assert "needs      900 x 100 (last close) x 1.05 = 94500 USD" in far


def test_a_liquidation_is_told_with_interest_and_its_fees(tmp_path: Path) -> None:
    # Bought on credit over a full hour; then the price falls by a third and the exchange sells.
    flat, crash = (100, 101, 99, 100, 100_000), (100, 100, 51, 66, 100_000)
    rows = [*[flat] * 61, crash, *[(66, 67, 65, 66, 100_000)] * 3]
    account = AccountSettings(kind="margin").resolved()
    example = Case("", rows, [buy("200")], "", "", model=FREE, account=account, end="64:00")
    harness = run(example)
    opened = write_run(tmp_path / "run", harness, FREE, account=account)
    flows = {row["kind"]: row["amount"] for row in opened.cash_flows}
    assert set(flows) == {"interest_quote", "liquidation_fee"}
    text = "\n".join(explain_order(opened, "exchange-1", lambda _coin, _time: D(100)))
    assert "exchange-1: sell 200 BTC, market order, GTC, by exchange, account main" in text
    assert "closes a position of an account that did not keep its maintenance margin" in text
    assert "rule       liquidation: the exchange closed the position" in text
    before = D(-10_000) + flows["interest_quote"]
    assert f"cash       {before} + 13200 - 0 = {before + 13_200} USD" in text
    assert harness.exchange.cash("main") == before + 13_200 + flows["liquidation_fee"]


def test_an_open_order_of_an_unfinished_run(tmp_path: Path) -> None:
    harness = run(case(FLAT, buy("5", limit="95")))
    harness.outcomes.pop()  # end_of_run was not written yet
    opened = write_run(tmp_path / "run", harness, {})
    text = "\n".join(explain_order(opened, "t-1", lambda _coin, _time: D(100)))
    assert text.endswith("end: still open when the files end; 0 of 5 BTC filled")


def test_an_unknown_order_suggests_others(tmp_path: Path) -> None:
    opened = write_run(tmp_path / "run", run(case(FLAT, buy("5"), buy("6"))), {})
    with pytest.raises(ConfigError, match=r"^no order 't1' in run; did you mean t-1\?$"):
        explain_order(opened, "t1", lambda _coin, _time: D(100))
    with pytest.raises(ConfigError, match=r"its 2 orders are t-1 to t-2; orders\.jsonl lists them$"):
        explain_order(opened, "bravo", lambda _coin, _time: D(100))


def test_a_configuration_without_cash_is_named(tmp_path: Path) -> None:
    opened = write_run(tmp_path / "run", run(case(FLAT, buy("5"))), {})
    opened.configuration["account"].pop("initial_cash")
    with pytest.raises(DataError, match="does not say the initial cash of account main"):
        explain_order(opened, "t-1", lambda _coin, _time: D(100))


def test_every_word_of_the_exchange_has_a_meaning() -> None:
    assert set(REASONS) == set(Reason)
    assert set(RULES) == set(Rule)


def test_the_command_reads_the_last_close_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    directory = tmp_path / "backtest_results" / "first"
    directory.parent.mkdir()
    write_run(directory, run(case(FLAT, buy("25"))), {})
    told = CliRunner().invoke(cli, ["explain", "first", "t-1"])
    assert told.exit_code == 0
    assert "the last close is not known: binance BTC-USDT 1m is not cached" in told.stdout
    candles = candles_from("1970-01-01", 5, "1m")
    store_series(tmp_path / "backtest_cache", series_key("binance", "BTC", "USDT", "1m"), candles)
    told = CliRunner().invoke(cli, ["explain", "latest", "t-1"])
    assert f"holds      25 x {float(candles.close[0])!r} (last close) x 1.05" in told.stdout
    config = directory / "config.toml"
    config.write_text(
        config.read_text().replace("[data]", '[data]\nexecution = "kraken"\nexecution_quote = "USD"')
    )
    told = CliRunner().invoke(cli, ["explain", "latest", "t-1"])
    assert "the last close is not known: kraken BTC-USD 1m is not cached" in told.stdout
    missing = CliRunner().invoke(cli, ["explain", "first", "t-11"])
    assert isinstance(missing.exception, ConfigError)


@pytest.mark.parametrize("fee_bps", [0, 100])
@pytest.mark.parametrize("broken", ["main", "other"])
def test_a_liquidation_is_that_of_the_account_which_its_order_names(
    tmp_path: Path, broken: str, fee_bps: int
) -> None:
    """Both accounts hold the coin, so the fill alone does not tell whose position it closes."""
    size = {"main": "100", "other": "100", broken: "285"}
    example = Case(
        "",
        [FLAT_DEEP, FLAT_DEEP, (100, 101, 68, 90, 100_000), FLAT_DEEP, FLAT_DEEP],
        [buy(size["main"]), buy(size["other"], who="u", account="other")],
        "",
        "",
        model={"slippage_bps": D(0), "fee_bps": D(0)},
        account=margin(**{**NO_INTEREST, "liquidation_fee_bps": fee_bps}),
        accounts={"main": "10000", "other": "10000"},
    )
    harness = run(example)
    opened = write_run(
        tmp_path / "run",
        harness,
        dict(example.model),
        account=example.account,
        accounts={"u": ("other", "10000")},
    )
    model = msgspec.structs.replace(MODEL, **example.model).resolved()
    history = AccountHistory(opened, model)
    for name in ("main", "other"):
        entries = [entry.cash for entry in history._entries if entry.account == name]
        assert 10_000 + sum(entries, D(0)) == harness.exchange.cash(name), name
    (liquidation,) = (order for order in opened.orders if order["component"] == "exchange")
    assert history.account_of(liquidation) == broken
    told = explain_order(opened, liquidation["client_order_id"], lambda _coin, _time: D(100))
    assert told[0].endswith(f"account {broken}")
    (trade,) = study_run(opened, tmp_path).book.trades
    assert (trade.entry_order, trade.qty) == ("t-1" if broken == "main" else "u-1", D(285))


FLAT_DEEP = (100, 101, 99, 100, 100_000)

CASES = [*order_cases(), *RULE_CASES, *MARGIN_CASES]


IMPOSSIBLE = ("invalid_qty", "invalid_price")  # numbers that no component can send and no file can hold


def test_orders_of_the_exchanges_own_cases_are_told_and_the_cash_adds_up(tmp_path: Path) -> None:
    # Every fourth: writing the runs takes the time.
    for number, example in enumerate(CASES[::4]):
        if example.accounts is not None or any(reason in example.expect for reason in IMPOSSIBLE):
            continue
        harness = run(example)
        opened = write_run(
            tmp_path / str(number), harness, dict(example.model), example.cash, example.account
        )
        history = AccountHistory(opened, msgspec.structs.replace(MODEL, **example.model).resolved())
        entries = sum((entry.cash for entry in history._entries), D(0))
        assert D(example.cash) + entries == harness.exchange.cash("main"), example.name
        for order in opened.orders:
            lines = explain_order(opened, order["client_order_id"], lambda _coin, _time: D(100))
            assert lines[-1].startswith(("end: ", "    cash ")), example.name
            assert not [line for line in lines if "config.toml" in line or "None" in line], example.name


def test_the_spread_of_an_emulated_exchange_is_told_from_the_runs_own(told: Callable[..., str]) -> None:
    ask = buy("1")
    own = Ask(ask.what, ask.time, {**ask.fields, "half_spread_bps": D(3)})
    rows: Rows = [(100, 101, 99, 100, 1000)] * 3
    text = told(case(rows, own, half_spread_bps=D(2), end="3:00"), order="t-1")
    assert "spread: half the spread of the emulated exchange that the order came by" in text
    assert "price      100 x (1 + 8 / 10000) = 100.08" in text


def test_a_buy_of_a_bot_that_spends_all_it_has_holds_its_likely_price(told: Callable[..., str]) -> None:
    ask = buy("99")
    own = Ask(ask.what, ask.time, {**ask.fields, "may_hold_less": True})
    rows: Rows = [(100, 101, 99, 100, 100_000)] * 3
    text = told(case(rows, own, end="3:00"), order="t-1")
    assert (
        "holds      99 x 100 (last close) = 9900 USD, without the margin and the fee, which did not fit"
        in text
    )
    assert "filled F1: 99 BTC at 100.05" in text
