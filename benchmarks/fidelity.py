"""How close fills on candles come to the trades and the order book that were really there.

Kraken's trades make candles of a minute. Seeded orders are played by the exchange on these candles, and walked
through the trades after their arrival (`trade_tape.Tape`). Settings are calibrated on the first three days and
judged on the two that follow. Binance's order book does the same for slippage by size.

Prints one `name: value` line per figure; with `--write FILE` also writes the tables into a page, between its
two markers. An error in price is positive when the exchange's price is worse for the trader than the trades'.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.order_book import Book, Recording, read_recording
from benchmarks.single_orders import Ask, Got, play
from benchmarks.trade_tape import COIN, MINUTE_NS, Tape, Trades, market_of, read_trades
from orchestrator.exchange.instruments import Instrument, resolve_instruments
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.market.market import Market
from orchestrator.protocol import Side

TRADES = "data/ticks/kraken/BTC-USDT_trades_2023-11.parquet"
BOOK = "data/ticks/binance/BTC-USDT_book_2024-08-08T2354.parquet"
BEGIN, END = "<!-- made by `make fidelity`: begin -->", "<!-- made by `make fidelity`: end -->"

ORDERS = 1_000
SIZES = {"small": Decimal("0.001"), "medium": Decimal("0.01"), "large": Decimal("0.1")}  # base currency
SEED = 11  # of the calibration; the judging uses the next
CALIBRATION_DAYS, JUDGING_DAYS = 3, 2
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
WARM_UP_NS = 2 * HOUR_NS  # until 100 candles have closed
RUN_OUT_NS = 4 * HOUR_NS  # after the last order, for what large ones wait for
LIMIT_LIFE_NS = HOUR_NS
LIMIT_OFFSET_BPS = (0.0, 30.0)  # from the last close

SHARES = [Decimal(share) for share in (1, 2, 5, 10, 20, 30, 50, 75, 100)]  # max_volume_pct
WRONGLY_FILLED_MAX = 0.01  # on the calibration days; the aim is 0.02
SLIPPAGES_BPS = np.arange(0.0, 3.01, 0.25)
IMPACTS_BPS = np.arange(0.0, 10.01, 0.5)

BOOK_SIZES = (0.01, 0.1, 1.0, 5.0, 10.0, 20.0, 50.0)
BOOK_EVERY_SECONDS = 2
BOOK_CALIBRATION_MINUTES = 6

Floats = npt.NDArray[np.float64]


class Days(NamedTuple):
    """A stretch of the tape, and the chance of its orders."""

    tape: Tape  # up to its end: what comes later does not exist
    market: Market
    start_ns: int
    end_ns: int  # of the stretch and of every order
    seed: int


class Takers(NamedTuple):
    """What market orders got, one row an order."""

    sizes: npt.NDArray[np.int64]  # place in SIZES
    errors_bps: Floats
    roots: Floats  # mean over its fills of the square root of the participation


class Limits(NamedTuple):
    """What became of limit orders, one row an order."""

    sizes: npt.NDArray[np.int64]
    has_filled: npt.NDArray[np.bool_]  # in the exchange, wholly
    has_traded: npt.NDArray[np.bool_]  # in the trades: as much as the order went beyond its limit
    has_touched: npt.NDArray[np.bool_]  # the same, but only with what went at its limit


# ---------------------------------------------------------------- orders


def market_asks(days: Days, *, is_mid_candle: bool) -> Iterator[tuple[int, Ask]]:
    """Yield size and order: sent when a candle closes, or at any time."""
    chance = np.random.default_rng([days.seed, 1, is_mid_candle])
    closes = _sending_times(days, RUN_OUT_NS)
    for number in range(1, ORDERS + 1):
        time_ns = int(chance.choice(closes)) + int(chance.integers(MINUTE_NS)) * is_mid_candle
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        size = number % len(SIZES)
        yield size, Ask(number, time_ns, side, list(SIZES.values())[size])


def limit_asks(days: Days) -> Iterator[tuple[int, Ask]]:
    """Yield size and order: sent when a candle closes, some basis points from its close, for an hour."""
    chance = np.random.default_rng([days.seed, 2])
    closes = _sending_times(days, LIMIT_LIFE_NS + MINUTE_NS)
    for number in range(1, ORDERS + 1):
        time_ns = int(chance.choice(closes))
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        last = days.market.last_closed(COIN, time_ns)
        offset = chance.uniform(*LIMIT_OFFSET_BPS) * 1e-4
        price = (last.close if last else 0.0) * (1 - offset if side is Side.BUY else 1 + offset)
        size = number % len(SIZES)
        limit = Decimal(str(round(price, 1)))
        yield (
            size,
            Ask(number, time_ns, side, list(SIZES.values())[size], limit, time_ns + LIMIT_LIFE_NS),
        )


def _sending_times(days: Days, reserve_ns: int) -> npt.NDArray[np.int64]:
    closes = days.market.tick_times_ns
    first_ns = max(days.start_ns, int(closes[0]) + WARM_UP_NS)
    return closes[(closes >= first_ns) & (closes < days.end_ns - reserve_ns)]


# ---------------------------------------------------------------- measuring


def measure_takers(
    days: Days, model: ExecutionModelSettings, instrument: Instrument, *, is_mid_candle: bool = False
) -> Takers:
    """Play the market orders of a stretch and compare what they got with the trades."""
    rows = []
    for size, ask in market_asks(days, is_mid_candle=is_mid_candle):
        got = play(ask, days.market, (), model, instrument, days.end_ns)
        walk = days.tape.take(ask.side, got.qty, got.arrival_ns) if got.qty else None
        if walk is not None and walk.qty > 0:
            worse = got.price / walk.price - 1
            rows.append((size, 1e4 * (worse if ask.side is Side.BUY else -worse), _root(got)))
    sizes, errors, roots = (np.array(column) for column in zip(*rows, strict=True))
    return Takers(sizes, errors, roots)


def _root(got: Got) -> float:
    quantities = np.array([float(fill.qty) for fill in got.fills])
    shares = np.array([float(fill.participation) for fill in got.fills])
    return float(quantities @ np.sqrt(shares) / quantities.sum())


def measure_limits(days: Days, model: ExecutionModelSettings, instrument: Instrument) -> Limits:
    """Play the limit orders of a stretch and compare what became of them with the trades."""
    closes = days.market.tick_times_ns.tolist()
    rows = []
    for size, ask in limit_asks(days):
        got = play(ask, days.market, closes, model, instrument, days.end_ns)
        qty = float(ask.qty)
        beyond, touching = days.tape.amount_beyond(
            ask.side, float(ask.limit or 0), got.arrival_ns, ask.deadline_ns or days.end_ns
        )
        has_traded = beyond >= qty
        rows.append((size, got.qty >= qty, has_traded, touching >= qty and not has_traded))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Limits(*columns)


def wrong_shares(limits: Limits) -> tuple[float, float]:
    """Return the share of the exchange's fills that the trades do not prove, and of the proven ones it lacks."""
    wrong = limits.has_filled & ~limits.has_traded
    missed = limits.has_traded & ~limits.has_filled
    return _share(wrong, limits.has_filled), _share(missed, limits.has_traded)


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    return float(part.sum() / max(1, whole.sum()))


# ---------------------------------------------------------------- calibrating


def calibrate(days: Days, instrument: Instrument) -> ExecutionModelSettings:
    """Return settings for the stretch.

    The share of the volume is the largest at which few limits fill wrongly. Slippage and impact are those with
    the smallest median errors for which no size has a mean error in the trader's favour, its standard error
    taken off.
    """
    fitting = [
        share
        for share in SHARES
        if wrong_shares(_limits_at(days, share, instrument))[0] <= WRONGLY_FILLED_MAX
    ]
    share = max(fitting, default=SHARES[0])
    plain = measure_takers(days, _settings(share, 0.0, 0.0), instrument)
    best = min(
        (
            (_typical(plain, slippage, impact), slippage, impact)
            for slippage in SLIPPAGES_BPS.tolist()
            for impact in IMPACTS_BPS.tolist()
            if _is_cautious(plain, slippage, impact)
        ),
        default=(0.0, float(SLIPPAGES_BPS[-1]), float(IMPACTS_BPS[-1])),
    )
    return _settings(share, best[1], best[2])


def _limits_at(days: Days, share: Decimal, instrument: Instrument) -> Limits:
    return measure_limits(days, _settings(share, 0.0, 0.0), instrument)


def _settings(share: Decimal, slippage_bps: float, impact_bps: float) -> ExecutionModelSettings:
    return ExecutionModelSettings(
        slippage_model="fixed" if slippage_bps else None,
        slippage_bps=Decimal(str(slippage_bps)),
        impact_bps=Decimal(str(impact_bps)),
        max_volume_pct=share,
    )


def _errors(plain: Takers, slippage_bps: float, impact_bps: float, size: int) -> Floats:
    chosen = plain.sizes == size
    errors: Floats = plain.errors_bps[chosen] + slippage_bps + impact_bps * plain.roots[chosen]
    return errors


def _typical(plain: Takers, slippage_bps: float, impact_bps: float) -> float:
    medians = [
        float(np.median(np.abs(_errors(plain, slippage_bps, impact_bps, s)))) for s in range(len(SIZES))
    ]
    return sum(medians)


def _is_cautious(plain: Takers, slippage_bps: float, impact_bps: float) -> bool:
    for size in range(len(SIZES)):
        errors = _errors(plain, slippage_bps, impact_bps, size)
        if float(errors.mean()) < float(errors.std()) / len(errors) ** 0.5:
            return False
    return True


# ---------------------------------------------------------------- the order book


class BookCosts(NamedTuple):
    """What market orders cost against the middle of the book, one row a moment and size."""

    sizes: Floats
    costs_bps: Floats
    shares: Floats  # of the volume of the last whole minute
    half_spreads_bps: Floats
    times_ns: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.bool_]) -> BookCosts:
        """Return the given rows."""
        return BookCosts(
            self.sizes[rows],
            self.costs_bps[rows],
            self.shares[rows],
            self.half_spreads_bps[rows],
            self.times_ns[rows],
        )


def measure_book(recording: Recording) -> BookCosts:
    """Walk the book every few seconds with orders of each size and side."""
    volumes: dict[int, float] = {}
    rows = []
    books: list[Book] = list(recording.books(BOOK_EVERY_SECONDS))
    first_minute = books[0].time_ns // MINUTE_NS + 2  # one whole minute lies before it
    for book in books:
        minute = book.time_ns // MINUTE_NS
        if minute < first_minute:
            continue
        if minute not in volumes:
            volumes[minute] = recording.volume((minute - 1) * MINUTE_NS, minute * MINUTE_NS)
        for size in BOOK_SIZES:
            for side in Side:
                share = size / volumes[minute]
                rows.append((size, book.cost_bps(side, size), share, book.half_spread_bps, book.time_ns))
    sizes, costs, shares, half_spreads, times = (np.array(column) for column in zip(*rows, strict=True))
    return BookCosts(sizes, costs, shares, half_spreads, times)


def calibrate_book(costs: BookCosts) -> tuple[float, float]:
    """Return half-spread and impact: the observed half-spread, and the impact that makes the mean cost right."""
    half_spread = float(costs.half_spreads_bps.mean())
    roots = np.sqrt(costs.shares)
    impact = float((costs.costs_bps - half_spread) @ roots / (roots @ roots))
    return round(half_spread, 4), round(impact, 2)


# ---------------------------------------------------------------- the report


class Report:
    """Figures as lines, and as tables of a page."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.page: list[str] = []

    def figure(self, name: str, value: float) -> None:
        """Add a figure."""
        self.lines.append(f"{name}: {value:.4g}")

    def table(self, heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table to the page."""
        self.page += [f"### {heading}", "", _row(columns), _row(["---"] * len(columns))]
        self.page += [_row(row) for row in rows] + [""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report_takers(report: Report, measured: dict[str, Takers]) -> None:
    """Report bias, median and 95th percentile of the price errors, by size."""
    rows = []
    for name, takers in measured.items():
        for place, (size, qty) in enumerate(SIZES.items()):
            errors = takers.errors_bps[takers.sizes == place]
            median, high = np.percentile(np.abs(errors), [50, 95])
            key = f"fidelity_{name.replace(' ', '_').replace(',', '')}_{size}"
            report.figure(f"{key}_bias_bps", float(errors.mean()))
            report.figure(f"{key}_median_bps", float(median))
            report.figure(f"{key}_p95_bps", float(high))
            deviation = float(errors.std()) / len(errors) ** 0.5
            rows.append(
                [
                    name,
                    f"{qty} BTC",
                    str(len(errors)),
                    f"{errors.mean():+.2f} ± {deviation:.2f}",
                    f"{median:.2f}",
                    f"{high:.1f}",
                ]
            )
    columns = ["settings", "size", "orders", "bias, bp", "median error, bp", "95th percentile, bp"]
    report.table("Market orders", columns, rows)


def report_limits(report: Report, measured: dict[str, Limits]) -> None:
    """Report the shares of limits wrongly filled and wrongly missed, by size and altogether."""
    rows = []
    for name, limits in measured.items():
        for place, label in enumerate([*(f"{qty} BTC" for qty in SIZES.values()), "all"]):
            chosen = limits.sizes == place if place < len(SIZES) else np.ones(len(limits.sizes), dtype=bool)
            part = Limits._make(column[chosen] for column in limits)
            wrong, missed = wrong_shares(part)
            key = f"fidelity_{name}_limits_{[*SIZES, 'all'][place]}"
            report.figure(f"{key}_wrongly_filled_pct", 100 * wrong)
            report.figure(f"{key}_wrongly_missed_pct", 100 * missed)
            counts = (len(part.sizes), part.has_filled.sum(), part.has_traded.sum(), part.has_touched.sum())
            rows.append([name, label, *map(str, counts), f"{100 * wrong:.1f} %", f"{100 * missed:.1f} %"])
    columns = ["settings", "size", "orders", "filled by the exchange", "proven by trades", "only touched"]
    report.table("Limit orders", [*columns, "wrongly filled", "wrongly missed"], rows)


def report_book(report: Report, costs: BookCosts, half_spread: float, impact: float) -> None:
    """Report what sizes cost in the book, and what the models charge for them."""
    rows = []
    for size in BOOK_SIZES:
        part = costs.take(costs.sizes == size)
        model = half_spread + impact * np.sqrt(part.shares)
        default = float(ExecutionModelSettings().slippage_bps)  # too few candles for its factor: m = 1
        errors = model - part.costs_bps
        report.figure(f"fidelity_book_{size:g}_cost_bps", float(part.costs_bps.mean()))
        report.figure(f"fidelity_book_{size:g}_calibrated_bias_bps", float(errors.mean()))
        rows.append(
            [
                f"{size:g} BTC",
                f"{100 * float(np.median(part.shares)):.3g} %",
                f"{part.costs_bps.mean():.3f}",
                f"{np.percentile(part.costs_bps, 95):.2f}",
                f"{default - float(part.costs_bps.mean()):+.2f}",
                f"{errors.mean():+.3f}",
                f"{np.median(np.abs(errors)):.3f}",
            ]
        )
    columns = ["size", "of the last minute's volume", "cost in the book, bp", "95th percentile, bp"]
    columns += ["bias at the defaults, bp", "bias calibrated, bp", "median error calibrated, bp"]
    report.table("Slippage by size", columns, rows)


def measure_kraken(report: Report, path: Path, seed: int = SEED) -> None:
    """Calibrate on the first days of the tape, judge on those that follow."""
    trades = read_trades(path)
    instrument = resolve_instruments((COIN,), {}, "kraken")[COIN]
    start_ns = int(trades.times_ns[0]) // DAY_NS * DAY_NS
    turn_ns = start_ns + CALIBRATION_DAYS * DAY_NS
    end_ns = turn_ns + JUDGING_DAYS * DAY_NS
    calibrated = calibrate(days_of(trades, start_ns, turn_ns, seed), instrument)
    judged = days_of(trades, turn_ns, end_ns, seed + 1)
    models = {"defaults": ExecutionModelSettings(), "calibrated": calibrated}
    report.page += [f"Calibrated on {CALIBRATION_DAYS} days, judged on the {JUDGING_DAYS} that follow:", ""]
    report.page += ["```toml", "[execution_model]", *_toml(calibrated), "```", ""]
    takers = {name: measure_takers(judged, model, instrument) for name, model in models.items()}
    takers |= {
        f"{name}, mid-candle": measure_takers(judged, model, instrument, is_mid_candle=True)
        for name, model in models.items()
    }
    report_takers(report, takers)
    report_limits(report, {name: measure_limits(judged, model, instrument) for name, model in models.items()})


def days_of(trades: Trades, start_ns: int, end_ns: int, seed: int) -> Days:
    """Return a stretch of the tape, with what came before as warm-up and nothing of what came after."""
    known = trades.take(slice(0, int(trades.times_ns.searchsorted(end_ns))))
    return Days(Tape(known), market_of(known, end_ns), start_ns, end_ns, seed)


def _toml(settings: ExecutionModelSettings) -> list[str]:
    lines = [f"slippage_bps = {settings.slippage_bps}"]
    if settings.slippage_model is not None:
        lines.insert(0, f'slippage_model = "{settings.slippage_model}"')
    return [*lines, f"impact_bps = {settings.impact_bps}", f"max_volume_pct = {settings.max_volume_pct}"]


def measure_binance(report: Report, path: Path) -> None:
    """Calibrate half-spread and impact on the first minutes of the book, judge on the rest."""
    costs = measure_book(read_recording(path))
    turn_ns = int(costs.times_ns[0]) + BOOK_CALIBRATION_MINUTES * MINUTE_NS
    half_spread, impact = calibrate_book(costs.take(costs.times_ns < turn_ns))
    turn = f"Calibrated on the first {BOOK_CALIBRATION_MINUTES} minutes of the book, judged on the rest"
    keys = f"`slippage_bps = 0`, `half_spread_bps = {half_spread}`, `impact_bps = {impact}`"
    report.page += [f"{turn}: {keys}.", ""]
    report_book(report, costs.take(costs.times_ns >= turn_ns), half_spread, impact)


def write_page(path: Path, tables: Sequence[str]) -> None:
    """Put the tables between the markers of a page."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} lacks the lines {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(tables).strip()
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, help="the page that gets the tables")
    parser.add_argument("--seed", type=int, default=SEED, help="another draw of the orders")
    options = parser.parse_args()
    shared = Path(os.environ.get("REPLAY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    missing = [name for name in (TRADES, BOOK) if not (shared / name).is_file()]
    if missing:
        print(
            f"fidelity: {shared / missing[0]} does not exist; set REPLAY_SHARED to the folder that holds data/",
            file=sys.stderr,
        )
        return 3
    report = Report()
    measure_kraken(report, shared / TRADES, options.seed)
    measure_binance(report, shared / BOOK)
    print("\n".join(report.lines))
    if options.write is not None:
        write_page(options.write, report.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
