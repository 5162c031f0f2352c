"""docs/orders.md says what the exchange does: every word of it is explained, and its example is true."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.account_settings import AccountSettings
from orchestrator.exchange.events import OrderFilled
from orchestrator.exchange.vocabulary import Reason, Rule, SlippagePart
from tests.exchange.cases import Case, buy, run
from tests.exchange.harness import Row

DOC = (Path(__file__).resolve().parents[2] / "docs" / "orders.md").read_text(encoding="utf-8")
D = Decimal


@pytest.mark.parametrize("word", [*Reason, *Rule, *SlippagePart])
def test_every_word_is_explained(word: str) -> None:
    assert f"`{word}`" in DOC


def test_the_worked_example() -> None:
    rows = [(opened, opened + 1, opened - 1, opened, 1000) for opened in (100, 100, 101, 102, 102)]
    harness = run(Case("", rows, [buy("25")], "", "", model={"impact_bps": D(100)}))
    fills = [outcome for outcome in harness.outcomes if isinstance(outcome, OrderFilled)]
    assert [(fill.qty, fill.price, fill.fee) for fill in fills] == [
        (D(10), D("100.15"), D("2.003")),
        (D(10), D("101.16"), D("2.0232")),
        (D(5), D("102.13"), D("1.0213")),
    ]
    parts = dict(fills[1].slippage_parts)
    assert parts == {"base": D(5), "impact": D(10), "rounding": D("0.84158416")}
    assert fills[1].slippage_bps == D("15.84158416")
    assert dict(fills[2].slippage_parts)["impact"] == D("7.07106781")
    assert harness.exchange.cash("main") == D("7471.2025")
    for number in ("100.15", "101.16", "102.13", "15.84158416", "7.07106781", "7471.2025"):
        assert number in DOC


def test_the_worked_example_of_margin() -> None:
    flat: Row = (100, 101, 99, 100, 100_000)
    rows: list[Row | None] = [*[flat] * 60, (100, 101, 63, 90, 100_000), flat]
    account = AccountSettings(kind="margin").resolved()
    harness = run(Case("", rows, [buy("250")], "", "", account=account, end="62:00"))
    said = harness.transcript()
    assert said[2:5] == [
        "1:00.1 t-1 filled 250 @ 100.05 fee 50.025 taker_open",
        "60:00 main interest_quote -0.17194664",
        "61:00 exchange-1 accepted",
    ]
    for number in ("26250", "29842.5", "15062.525", "0.17194664", "687.30305336", "787.5"):
        assert number in DOC
    assert D("250") * 63 - D("15062.525") - D("0.17194664") == D("687.30305336")
