"""An order may bring the half-spread of the venue that it came by; it then stands in for the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.cases import Ask, Case, run
from tests.exchange.test_exchange_rules import CASES

D = Decimal
OWN = [case for case in CASES if case.model.get("half_spread_bps")]


def with_own(case: Case, half_spread_bps: Decimal | None, model: Mapping[str, Any]) -> Case:
    asks = [
        Ask(ask.what, ask.time, {**ask.fields, "half_spread_bps": half_spread_bps})
        if ask.what == "order"
        else ask
        for ask in case.asks
    ]
    return replace(case, asks=asks, model=model)


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
@pytest.mark.parametrize("of_model", [0, 80])
def test_the_spread_of_orders_is_worth_that_of_the_model(case: Case, of_model: int) -> None:
    own = with_own(case, case.model["half_spread_bps"], {**case.model, "half_spread_bps": D(of_model)})
    assert run(own).transcript() == run(case).transcript()


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_no_spread_of_an_order_takes_the_spread_of_the_model_away(case: Case) -> None:
    without = replace(case, model={**case.model, "half_spread_bps": D(0)})
    assert run(with_own(case, D(0), case.model)).transcript() == run(without).transcript()


def test_there_are_such_cases() -> None:
    assert len(OWN) > 10
