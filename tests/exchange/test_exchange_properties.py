"""Random orders, cancels, replaces and candles, against a naive second exchange; all its invariants at each step."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.exchange.events import OrderArrived, OrderFilled
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import OrderType, Side, TimeInForce
from tests.exchange.harness import MINUTE, SECOND, Harness, MemoryMarket, Row, candles_of, describe
from tests.exchange.naive_model import NaiveAccount, NaiveCandle, NaiveExchange, NaiveRules

COINS = ("BTC", "ETH")
COMPONENTS = {"t": "main", "u": "main", "v": "other"}  # component -> account
LENGTH = 30  # candles
SEED = 11

# Few distinct prices, so that orders touch, cross and share candles often.
cents = st.integers(-300, 300)
volumes = st.sampled_from([0.0, 0.3, 40.0, 200.0, 1000.0, 1000.5])


@st.composite
def rows(draw: st.DrawFn) -> list[Row | None]:
    made: list[Row | None] = []
    price = 10_000
    for place in range(LENGTH):
        if place and draw(st.integers(0, 9)) == 0:
            made.append(None)
            continue
        spike = draw(st.sampled_from([0, 0, 0, 0, 3_000]))  # a candle too dear for what orders hold
        opened = max(9_000, price + spike + draw(st.sampled_from([0, 0, 0, 50, -50, 400, -400])))
        closed = max(9_000, opened + draw(cents))
        high = max(opened, closed) + draw(st.sampled_from([0, 10, 100]))
        low = min(opened, closed) - draw(st.sampled_from([0, 10, 100]))
        made.append((opened / 100, high / 100, low / 100, closed / 100, draw(volumes)))
        price = closed - spike
    return made


quantities = st.sampled_from(["0.04", "0.5", "1", "3", "7.5", "10", "10.05", "17", "25", "60", "1.0005"]).map(
    Decimal
)
prices = st.integers(9_700, 10_300).map(lambda value: Decimal(value) / 100)
waits = st.sampled_from([1, 10, 60, 100, 250, 1000, 20_000, 60_000, 60_000, 60_000, 150_000])  # milliseconds
lifetimes = st.sampled_from([100, 700, 60_000, 200_000])


def fraction(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def naive(series: list[Row | None]) -> list[NaiveCandle]:
    return [
        NaiveCandle(c.open_time_ns, c.close_time_ns, *(Fraction(repr(value)) for value in c[2:]))
        for c in candles_of(series)
    ]


class TwoExchanges(RuleBasedStateMachine):
    """The exchange and the naive model, told the same things."""

    @initialize(
        series=st.tuples(rows(), rows()),
        impact=st.sampled_from([0, 50]),
        half_spread=st.sampled_from([0, 0, 30]),
        fees=st.sampled_from([(20, 20), (10, 40)]),
        cash=st.sampled_from([120, 2_000, 2_700, 50_000]),
    )
    def start(
        self,
        series: tuple[list[Row | None], list[Row | None]],
        impact: int,
        half_spread: int,
        fees: tuple[int, int],
        cash: int,
    ) -> None:
        candles = {coin: candles_of(made) for coin, made in zip(COINS, series, strict=True)}
        end = LENGTH * MINUTE
        model = ExecutionModelSettings(
            impact_bps=Decimal(impact),
            half_spread_bps=Decimal(half_spread),
            maker_bps=Decimal(fees[0]),
            taker_bps=Decimal(fees[1]),
        )
        accounts = {"main": Decimal(cash), "other": Decimal(1_000)}
        self.real = Harness(MemoryMarket(candles), end_ns=end, model=model, accounts=accounts, seed=SEED)
        endowed = {name: NaiveAccount(Fraction(amount)) for name, amount in accounts.items()}
        for account in accounts:
            self.real.endow("BTC", Decimal(30), account)
            endowed[account].coins["BTC"] = Fraction(30)
        self.naive = NaiveExchange(
            {coin: naive(made) for coin, made in zip(COINS, series, strict=True)},
            endowed,
            NaiveRules(
                impact=Fraction(impact),
                half_spread=Fraction(half_spread),
                maker=Fraction(fees[0]),
                taker=Fraction(fees[1]),
            ),
            SEED,
            end,
        )
        self.orders = dict.fromkeys(COMPONENTS, 0)
        self.requests = dict.fromkeys(COMPONENTS, 0)
        for exchange in (self.real, self.naive):
            exchange.advance(MINUTE)  # now a first candle has closed

    @rule(
        component=st.sampled_from(sorted(COMPONENTS)),
        coin=st.sampled_from(COINS),
        side=st.sampled_from(list(Side)),
        qty=quantities,
        order_type=st.sampled_from(list(OrderType)),
        limit=prices,
        stop=prices,
        tif=st.sampled_from(list(TimeInForce)),
        lifetime=lifetimes,
        own_spread=st.sampled_from([None, None, 0, 55]),
        may_hold_less=st.booleans(),
    )
    def place(
        self,
        component: str,
        coin: str,
        side: Side,
        qty: Decimal,
        order_type: OrderType,
        limit: Decimal,
        stop: Decimal,
        tif: TimeInForce,
        lifetime: int,
        own_spread: int | None,
        may_hold_less: bool,
    ) -> None:
        self.orders[component] += 1
        limit_price = limit if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
        stop_price = stop if order_type in (OrderType.STOP, OrderType.STOP_LIMIT) else None
        expires = self.real.now_ns + lifetime * SECOND // 1000 if tif is TimeInForce.GTD else None
        who: dict[str, Any] = {
            "component": component,
            "source": sorted(COMPONENTS).index(component),
            "account": COMPONENTS[component],
        }
        self.real.order(
            self.orders[component],
            coin,
            side,
            qty,
            order_type=order_type,
            limit_price=limit_price,
            stop_price=stop_price,
            time_in_force=tif,
            expire_time_ns=expires,
            half_spread_bps=None if own_spread is None else Decimal(own_spread),
            may_hold_less=may_hold_less,
            **who,
        )
        self.naive.ask(
            number=self.orders[component],
            coin=coin,
            is_buy=side is Side.BUY,
            qty=Fraction(qty),
            limit=fraction(limit_price),
            stop=fraction(stop_price),
            tif=tif.value,
            expires=expires,
            own_spread=None if own_spread is None else Fraction(own_spread),
            may_hold_less=may_hold_less,
            **who,
        )

    @precondition(lambda self: sum(self.orders.values()) > 0)
    @rule(place=st.integers(0, 5), is_other=st.sampled_from([False] * 9 + [True]), wish=st.data())
    def change(self, place: int, is_other: bool, wish: st.DataObject) -> None:
        # Mostly the last open orders, by their own component.
        known = [o for o in self.naive.orders if o.state != "over"] or self.naive.orders
        client_order_id = known[-1 - place % len(known)].id if known else "t-99"
        component = "v" if is_other else client_order_id.partition("-")[0]
        self.requests[component] += 1
        number = self.requests[component]
        source = sorted(COMPONENTS).index(component)
        fields: dict[str, Decimal] = {}
        if wish.draw(st.integers(0, 3)) == 0:
            self.real.cancel(number, client_order_id, component, source)
            replace = None
        else:
            fields = wish.draw(
                st.fixed_dictionaries(
                    {}, optional={"qty": quantities, "limit_price": prices, "stop_price": prices}
                )
            )
            self.real.replace(number, client_order_id, component, source, **fields)
            replace = {name: Fraction(value) for name, value in fields.items()}
        self.naive.request(
            component=component, source=source, number=number, order_id=client_order_id, replace=replace
        )

    @rule(wait=waits)
    def wait(self, wait: int) -> None:
        to = min(self.real.now_ns + wait * SECOND // 1000, LENGTH * MINUTE)
        self.real.advance(to)
        self.naive.advance(to)

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "real"):
            return
        said = [
            f"{outcome.sim_time_ns} {describe(outcome).split(' ', 1)[1]}" for outcome in self.real.outcomes
        ]
        assert said == self.naive.log
        for name, account in self.naive.accounts.items():
            state = self.real.exchange.account_state(name)
            assert Fraction(state.cash) == account.cash
            assert {c: Fraction(q) for c, q in state.holdings.items() if q} == {
                c: q for c, q in account.coins.items() if q
            }
            holds = [o for o in self.naive.orders if o.account == name]
            assert Fraction(state.cash_held) == sum(o.hold for o in holds if o.is_buy)
            for coin in COINS:
                held = sum(o.hold for o in holds if not o.is_buy and o.coin == coin)
                assert Fraction(state.holdings_held.get(coin, Decimal(0))) == held
            assert 0 <= state.cash_held <= state.cash
            assert all(0 <= state.holdings_held[c] <= q for c, q in state.holdings.items())

    @invariant()
    def fills_are_lawful(self) -> None:
        if not hasattr(self, "real"):
            return
        arrived: set[str] = set()
        filled: dict[str, Decimal] = {}
        time_ns = 0
        for outcome in self.real.outcomes:
            assert outcome.sim_time_ns >= time_ns
            time_ns = outcome.sim_time_ns
            if isinstance(outcome, OrderArrived):
                arrived.add(outcome.client_order_id)
            if isinstance(outcome, OrderFilled):
                assert outcome.client_order_id in arrived
                filled[outcome.client_order_id] = (
                    filled.get(outcome.client_order_id, Decimal(0)) + outcome.qty
                )
                assert sum(bps for _, bps in outcome.slippage_parts) == outcome.slippage_bps
                assert outcome.slippage_bps >= 0
                assert outcome.reference_open_time_ns <= outcome.sim_time_ns
        for order in self.naive.orders:
            assert filled.get(order.id, Decimal(0)) <= order.qty

    def teardown(self) -> None:
        if hasattr(self, "real"):
            self.real.finish()
            self.naive.finish()
            self.agree()


TestTwoExchanges = TwoExchanges.TestCase
TestTwoExchanges.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
