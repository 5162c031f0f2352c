"""An independent checker of a run: recomputes every number of its result files from the candles.

It imports nothing of the program. It takes a run directory and the candles, and returns what does not add up,
one line each; an empty list means that every line, row, count and digest is as the rules say::

    discrepancies = check_run(directory, {"BTC": read_candles(files), …})

Latency draws are read from the files (an order's `arrived` event) and must lie in the configured range. Signals
and quantities of the reference components are recomputed too; what other components say or order is their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from tests.replay.checker_files import Number, Row, RunFiles, date_ns, moment_text, total_digest
from tests.replay.checker_market import Array, CandleTable, CoinMarket, read_candles, tick_times
from tests.replay.checker_recount import Coin, Model, Order, Recount, Rules
from tests.replay.checker_reference import check_reference_components

__all__ = ["CandleTable", "check_run", "date_ns", "read_candles"]

REPORTED_MAX = 20  # per kind of discrepancy
CHECKPOINT_SEQUENCES = 1_000
ENDS = {"filled", "cancelled", "expired"}


def check_run(directory: Path, candles: Mapping[str, CandleTable]) -> list[str]:
    """Return what does not add up in a run, which has ended; nothing when all is as it should be."""
    return _Check(RunFiles(directory), candles).discrepancies()


class _Check:
    def __init__(self, files: RunFiles, candles: Mapping[str, CandleTable]) -> None:
        self.files = files
        self.config = files.config
        self.manifest = files.manifest
        self.is_complete = self.manifest["status"] == "complete"
        self.markets = {
            coin: CoinMarket(
                candles[coin], timeframe_ns=files.timeframe_ns, start_ns=files.start_ns, end_ns=files.end_ns
            )
            for coin in files.coins
        }
        self.ticks = tick_times(self.markets, files.start_ns, files.end_ns)
        self.places = {component["name"]: place for place, component in enumerate(self.config["component"])}
        self.stages = [component["stage"] for component in self.config["component"]]
        self.arrivals = {
            row["client_order_id"]: row["ts"]
            for row in files.rows["order_events.jsonl"]
            if row["event"] == "arrived"
        }

    def discrepancies(self) -> list[str]:
        """Return everything that is found, at most a few lines of each kind."""
        unsupported = list(self._unsupported())
        if unsupported:
            return unsupported
        recount = self._recount()
        kinds = (
            self.files.problems,
            self._placed_in_time(),
            self._in_order(),
            self._numbered(),
            self._states(),
            recount.problems,
            self._fills(recount),
            self._events(recount),
            self._refusals(recount),
            self._equity(recount),
            self._manifest(),
            self._digests(),
            check_reference_components(self.files, self.markets, self.ticks, recount.turns),
        )
        return [line for kind in kinds for line in list(kind)[:REPORTED_MAX]]

    def _unsupported(self) -> Iterator[str]:
        # Nothing is passed over in silence: what this checker knows no rules of is named.
        for row in self.files.rows["orders.jsonl"]:
            if row["order_type"] != "market" or row["time_in_force"] not in ("GTC", "IOC", "FOK"):
                yield f"{row['client_order_id']}: {row['order_type']} {row['time_in_force']} cannot be checked"
        found = {
            "fee_tiers": self.config["execution_model"].get("fee_tiers"),
            "accounts of one's own": any("account" in component for component in self.config["component"]),
            "an account that may owe": self.config["account"].get("kind", "spot") != "spot",
        }
        yield from (f"{what} cannot be checked" for what, is_there in found.items() if is_there)

    # ------------------------------------------------------------ lines by themselves

    def _placed_in_time(self) -> Iterator[str]:
        for name, rows in self.files.rows.items():
            for number, row in enumerate(rows, start=1):
                sequence = int(np.searchsorted(self.ticks, row["ts"], side="right"))
                if row["sequence"] != sequence:
                    yield f"{name} line {number}: sequence is {row['sequence']}, should be {sequence}"
                if not 1 <= sequence <= self.manifest["sequences"] or row["ts"] > self.files.end_ns:
                    yield f"{name} line {number}: lies outside the run"
                if row["component"] not in self.places:
                    yield f"{name} line {number}: no component is called {row['component']}"
                if name == "signals.jsonl" and row["coin"] not in self.markets:
                    yield f"{name} line {number}: the run has no coin {row['coin']}"

    def _in_order(self) -> Iterator[str]:
        # What is said at one time is written by stage, declared order and the component's own counter; the
        # order of fills and events at one time is part of what is recounted.
        for name, rows in self.files.rows.items():
            is_said = name in ("orders.jsonl", "signals.jsonl")
            keys = [self._order_key(row) if is_said else (row["ts"],) for row in rows]
            for number, (one, other) in enumerate(pairwise(keys), start=2):
                if other < one or (name == "orders.jsonl" and other == one):
                    yield f"{name} line {number}: stands behind a line that comes later"

    def _order_key(self, row: Row) -> tuple[int, ...]:
        place = self.places.get(row["component"], -1)
        number = int(row["client_order_id"].rpartition("-")[2]) if "client_order_id" in row else 0
        return (row["ts"], self.stages[place], place, number)

    def _numbered(self) -> Iterator[str]:
        counters = dict.fromkeys(self.places, 0)
        for row in self.files.rows["orders.jsonl"]:
            counters[row["component"]] += 1
            expected = f"{row['component']}-{counters[row['component']]}"
            if row["client_order_id"] != expected:
                yield f"orders.jsonl: {row['client_order_id']} should be called {expected}"

    def _states(self) -> Iterator[str]:
        # accepted -> arrived -> (partial …) -> exactly one end; nothing about an order that was not accepted.
        seen: dict[str, list[str]] = {
            row["client_order_id"]: []
            for row in self.files.rows["orders.jsonl"]
            if row["state"] == "accepted"
        }
        for row in self.files.rows["order_events.jsonl"]:
            order_id, event = row["client_order_id"], row["event"]
            if event == "refused":
                continue
            if order_id not in seen:
                yield f"order_events.jsonl: {order_id} {event}, but was never accepted"
                continue
            before = seen[order_id]
            if (event == "arrived" and before) or ENDS & set(before):
                yield f"order_events.jsonl: {order_id} {event} after {', '.join(before)}"
            before.append(event)
        for order_id, events in seen.items():
            if self.is_complete and len(ENDS & set(events)) != 1:
                yield f"order_events.jsonl: {order_id} has the events {events}, which is no whole life"

    # ------------------------------------------------------------ lines against the candles

    def _recount(self) -> Recount:
        rules = self.config["instrument"]
        coins = {
            coin: Coin(
                market,
                Rules(*(Fraction(rules[coin][key]) for key in ("tick_size", "lot_size", "min_notional"))),
                place,
            )
            for place, (coin, market) in enumerate(self.markets.items())
        }
        recount = Recount(
            coins,
            _model(self.config["execution_model"]),
            initial_cash=Fraction(self.config["account"]["initial_cash"]),
            end_ns=self.files.end_ns,
            latency_ns=_latency_ns(self.config["execution_model"]),
            stages=self.stages,
        )
        events = self.files.rows["order_events.jsonl"]
        cancels = [row for row in events if row["reason"] == "requested"]
        last_ns = int(self.ticks[self.manifest["sequences"] - 1]) if self.manifest["sequences"] else 0
        if not self.is_complete:  # it went on between its last tick and the next
            last_ns = max([last_ns, *(row["ts"] for rows in self.files.rows.values() for row in rows)])
        recount.run(map(self._order, self.files.rows["orders.jsonl"]), cancels, last_ns)
        if self.is_complete:
            recount.end_all(last_ns, "end_of_run")
        elif self.manifest["status"] == "interrupted":
            recount.end_all(last_ns, "interrupted")
        return recount

    def _order(self, row: Row) -> Order:
        order_id = row["client_order_id"]
        number = int(order_id.rpartition("-")[2])
        exact_row = {key: value.exact if isinstance(value, Number) else value for key, value in row.items()}
        return Order(exact_row, self.places[row["component"]], number, self.arrivals.get(order_id))

    def _fills(self, recount: Recount) -> Iterator[str]:
        for number, (row, expected) in enumerate(
            zip_longest(self.files.rows["fills.jsonl"], recount.fills), start=1
        ):
            if row is None or expected is None:
                if self.is_complete or expected is None:
                    yield f"fills.jsonl line {number}: is {row}, should be {expected}"
                continue
            found = {key: _exact(value) for key, value in row.items() if key != "sequence"}
            for key, value in expected.items():
                if found[key] != value:
                    yield f"fills.jsonl line {number}: {key} is {_text(found[key])}, should be {_text(value)}"
            if list(row["slippage_parts"]) != list(expected["slippage_parts"]):
                yield f"fills.jsonl line {number}: slippage_parts are {list(row['slippage_parts'])}"

    def _events(self, recount: Recount) -> Iterator[str]:
        found = [
            (row["ts"], row["client_order_id"], row["event"], row["reason"])
            for row in self.files.rows["order_events.jsonl"]
            if row["event"] != "refused"
        ]
        for row, expected in zip_longest(found, recount.events):
            if row != expected and (self.is_complete or row is not None):
                yield f"order_events.jsonl: there is {row}, should be {expected}"
        for row in self.files.rows["order_events.jsonl"]:
            if not row["client_order_id"].startswith(f"{row['component']}-") and row["event"] != "refused":
                yield f"order_events.jsonl: {row['client_order_id']} is not of {row['component']}"

    def _refusals(self, recount: Recount) -> Iterator[str]:
        # Cancels that came to nothing, each with a reason that holds.
        requested = {row["client_order_id"]: row["ts"] for row in self.files.rows["orders.jsonl"]}
        _, latency_max_ns = _latency_ns(self.config["execution_model"])
        for row in self.files.rows["order_events.jsonl"]:
            if row["event"] != "refused":
                continue
            order_id, now = row["client_order_id"], row["ts"]
            order = recount.orders.get(order_id)
            holds = {
                "unknown_order": order is None or requested[order_id] > now,
                "not_own_order": order is not None and order.row["component"] != row["component"],
                "already_ended": order is not None and order.end_ns is not None and order.end_ns <= now,
                "after_end_of_run": now + latency_max_ns > self.files.end_ns,
            }
            if not holds.get(row["reason"], False):
                yield f"order_events.jsonl: a cancel of {order_id} at {now} was refused as {row['reason']}"

    def _equity(self, recount: Recount) -> Iterator[str]:
        found = self.files.equity
        n_rows = len(found["sequence"])
        if n_rows != self.manifest["sequences"]:
            yield f"equity has {n_rows} rows, the run {self.manifest['sequences']} sequences"
        times = self.ticks[:n_rows]
        columns: dict[str, Array] = {
            "sequence": np.arange(1, len(times) + 1),
            "time": times // 1_000_000_000,
        }
        # Balances at a tick are those after the last fill at or before it.
        rows = np.searchsorted([balance.time_ns for balance in recount.balances], times, side="right") - 1
        columns["cash"] = np.array([float(balance.cash) for balance in recount.balances])[rows]
        equity = columns["cash"].copy()
        for coin, market in self.markets.items():
            quantities = np.array([float(balance.qty[coin]) for balance in recount.balances])[rows]
            last = np.searchsorted(market.closes_ns, times, side="right") - 1
            closes = np.where(last >= 0, market.table.close[last], 0.0)
            equity = equity + quantities * closes
            columns[f"qty_{coin}"] = quantities
        columns["equity"] = equity
        for name, expected in columns.items():
            for row in np.flatnonzero(found[name][: len(times)] != expected)[:REPORTED_MAX]:
                yield f"equity row {row + 1}: {name} is {found[name][row]!r}, should be {expected[row]!r}"

    # ------------------------------------------------------------ the whole

    def _manifest(self) -> Iterator[str]:
        orders = self.files.rows["orders.jsonl"]
        expected = {
            "counts": {
                "orders": len(orders),
                "fills": len(self.files.rows["fills.jsonl"]),
                "rejected": sum(row["state"] == "rejected" for row in orders),
            },
            "seed": self.config["seed"],
            "sim_start": moment_text(self.files.start_ns),
            "sim_end": moment_text(self.files.end_ns),
            "coins": self.config["coins"],
            "timeframe": self.config["timeframe"],
        }
        if self.is_complete:
            expected["sequences"] = len(self.ticks)
            expected["reason"] = None
        for key, value in expected.items():
            if self.manifest[key] != value:
                yield f"run.json: {key} is {self.manifest[key]}, should be {value}"
        named = [(c["name"], c["stage"], c["command"]) for c in self.manifest["components"]]
        if named != [(c["name"], c["stage"], c["command"]) for c in self.config["component"]]:
            yield f"run.json: components are {named}"

    def _digests(self) -> Iterator[str]:
        files = self.files.file_digests()
        if self.manifest["file_digests"] != files:
            yield f"run.json: file_digests are {self.manifest['file_digests']}, should be {files}"
        if self.manifest["digest"] != total_digest(files):
            yield f"run.json: digest is {self.manifest['digest']}, should be {total_digest(files)}"
        yield from self._checkpoints()

    def _checkpoints(self) -> Iterator[str]:
        found = self.files.checkpoints
        sequences = list(range(CHECKPOINT_SEQUENCES, self.manifest["sequences"] + 1, CHECKPOINT_SEQUENCES))
        if [checkpoint["sequence"] for checkpoint in found] != sequences:
            yield f"digests.jsonl: has the sequences {[c['sequence'] for c in found]}, should have {sequences}"
        ticks = [int(self.ticks[checkpoint["sequence"] - 1]) for checkpoint in found]
        for checkpoint, files in zip(found, self.files.rolling_digests(ticks), strict=True):
            if checkpoint["files"] != files or checkpoint["digest"] != total_digest(files):
                yield f"digests.jsonl: the digests at sequence {checkpoint['sequence']} are not those of the lines"


def _model(section: Mapping[str, Any]) -> Model:
    base = Fraction(section["slippage_bps"])
    flat = section.get("fee_bps")
    maker, taker = (flat if flat is not None else section[key] for key in ("maker_bps", "taker_bps"))
    is_bounded = section["liquidity_model"] == "volume_share"
    return Model(
        base_bps=base,
        is_scaled=bool(base) and section["slippage_model"] == "volatility",
        impact_bps=Fraction(section["impact_bps"]),
        spread_bps=Fraction(section["half_spread_bps"]),
        fee_rate=Fraction(taker) / 10_000,
        fee_rate_max=Fraction(max(maker, taker)) / 10_000,
        share=Fraction(section["max_volume_pct"]) / 100 if is_bounded else None,
        threshold=Fraction(section["partial_fill_threshold"]) if is_bounded else Fraction(0),
    )


def _latency_ns(section: Mapping[str, Any]) -> tuple[int, int]:
    name = section["latency_model"]
    if name == "uniform":
        low, high = section["latency_ms"]
    elif name == "fixed":
        low = high = section["latency_fixed_ms"]
    else:
        low, high = Fraction(1, 1_000_000), section["latency_max_ms"]
    return int(Fraction(low) * 1_000_000), int(Fraction(high) * 1_000_000)


def _exact(value: object) -> object:
    if isinstance(value, Number):
        return Fraction(value.exact)
    return {key: _exact(item) for key, item in value.items()} if isinstance(value, dict) else value


def _text(value: object) -> str:
    if isinstance(value, Fraction):
        return str(float(value))
    return str({k: _text(v) for k, v in value.items()} if isinstance(value, dict) else value)
