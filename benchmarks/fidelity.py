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
from decimal import Decimal
from pathlib import Path

import numpy as np

from benchmarks.fidelity_measures import (
    DAY_NS,
    SIZES,
    BookCosts,
    Days,
    Floats,
    Limits,
    Takers,
    days_of,
    measure_book,
    measure_limits,
    measure_takers,
    wrong_shares,
)
from benchmarks.fidelity_report import Report, report_book, report_limits, report_takers, write_page
from benchmarks.order_book import read_recording
from benchmarks.trade_tape import COIN, MINUTE_NS, read_trades
from orchestrator.exchange.instruments import Instrument, resolve_instruments
from orchestrator.execution_settings import ExecutionModelSettings

TRADES = "data/ticks/kraken/BTC-USDT_trades_2023-11.parquet"
BOOK = "data/ticks/binance/BTC-USDT_book_2024-08-08T2354.parquet"

SEED = 11  # of the calibration; the judging uses the next
CALIBRATION_DAYS, JUDGING_DAYS = 3, 2
SHARES = [Decimal(share) for share in (1, 2, 5, 10, 20, 30, 50, 75, 100)]  # max_volume_pct
WRONGLY_FILLED_MAX = 0.01  # on the calibration days; the aim is 0.02
SLIPPAGES_BPS = np.arange(0.0, 3.01, 0.25)
IMPACTS_BPS = np.arange(0.0, 10.01, 0.5)

BOOK_CALIBRATION_MINUTES = 6


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


def calibrate_book(costs: BookCosts) -> tuple[float, float]:
    """Return half-spread and impact: the observed half-spread, and the impact that makes the mean cost right."""
    half_spread = float(costs.half_spreads_bps.mean())
    roots = np.sqrt(costs.shares)
    impact = float((costs.costs_bps - half_spread) @ roots / (roots @ roots))
    return round(half_spread, 4), round(impact, 2)


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
