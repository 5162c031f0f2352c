"""The figures of fidelity as lines, and as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.fidelity_measures import BOOK_SIZES, SIZES, BookCosts, Limits, Takers, wrong_shares
from orchestrator.execution_settings import ExecutionModelSettings

BEGIN, END = "<!-- made by `make fidelity`: begin -->", "<!-- made by `make fidelity`: end -->"


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


def write_page(path: Path, tables: Sequence[str]) -> None:
    """Put the tables between the markers of a page."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} lacks the lines {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(tables).strip()
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
