"""[execution_model] of replay.toml: what it may say, and that nothing it says is without effect."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.config import load_settings
from orchestrator.errors import ConfigError

HEAD = 'start_date = 2024-01-01\nend_date = 2024-02-01\ncoins = ["BTC"]\n[execution_model]\n'


def load(tmp_path: Path, text: str) -> str:
    path = tmp_path / "replay.toml"
    path.write_text(HEAD + text)
    return load_settings(path, {}).to_toml()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_volume_pct = 0", "max_volume_pct"),
        ("max_volume_pct = 101", "max_volume_pct"),
        ("max_volume_pct = nan", "not a number"),
        ("partial_fill_threshold = 1", "partial_fill_threshold"),
        ("slippage_bps = -1", "slippage_bps"),
        ("impact_bps = 10000", "impact_bps"),
        ("half_spread_bps = inf", "not a number"),
        ("latency_ms = [0, 10]", "latency_ms"),
        ("latency_ms = [20, 10]", "latency_ms"),
        ("latency_fixed_ms = 100", "latency_fixed_ms has no effect"),
        ('latency_model = "fixed"\nlatency_ms = [1, 2]', "latency_ms has no effect"),
        ('latency_model = "fixed"\nlatency_fixed_ms = 0', "latency_fixed_ms"),
        ('latency_model = "lognormal"\nlatency_sigma = 0', "latency_sigma"),
        ('latency_model = "lognormal"\nlatency_median_ms = 900\nlatency_max_ms = 800', "latency_max_ms"),
        ('latency_model = "lognormal"\nlatency_fixed_ms = 3', "latency_fixed_ms has no effect"),
        ('liquidity_model = "unlimited"\nmax_volume_pct = 2', "max_volume_pct has no effect"),
        ('liquidity_model = "unlimited"\npartial_fill_threshold = 0', "partial_fill_threshold has no effect"),
        ('slippage_model = "fixed"\nslippage_bps = 0', "slippage_model has no effect"),
        ('slippage_model = "cubic"', "cubic"),
        ('touch = "near"', "near"),
        ("maker_bps = 1", "maker_bps and taker_bps together"),
        ("fee_bps = 1\nmaker_bps = 1\ntaker_bps = 2", "fee_bps has no effect"),
        ("fee_bps = 1\nfee_tiers = [{volume = 0, maker_bps = 1, taker_bps = 2}]", "fee_bps has no effect"),
        ("fee_tiers = []", "fee_tiers"),
        ("fee_tiers = [{volume = 5, maker_bps = 1, taker_bps = 2}]", "the first is 0"),
        (
            "fee_tiers = [{volume = 0, maker_bps = 1, taker_bps = 2}, {volume = 0, maker_bps = 1, taker_bps = 2}]",
            "above the one before",
        ),
        ("fee_tiers = [{volume = 0, maker_bps = -1, taker_bps = 2}]", "maker_bps"),
        ("fee_tiers = [{volume = 0, maker_bp = 1, taker_bps = 2}]", "maker_bp"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'latency_model = "lognormal"',
        'latency_model = "fixed"\nlatency_fixed_ms = 20.5',
        'liquidity_model = "unlimited"',
        "slippage_bps = 0",
        "maker_bps = 1\ntaker_bps = 2",
        "fee_tiers = [{volume = 0, maker_bps = 1, taker_bps = 2}, {volume = 1e6, maker_bps = 0, taker_bps = 1}]",
    ],
)
def test_resolved_settings_repeat_themselves(tmp_path: Path, text: str) -> None:
    once = load(tmp_path, text)
    path = tmp_path / "again.toml"
    path.write_text(once)
    assert load_settings(path, {}).to_toml() == once


def test_defaults_are_filled_in_and_shown(tmp_path: Path) -> None:
    text = load(tmp_path, "")
    for line in ("slippage_bps = 5", "fee_bps = 20", "max_volume_pct = 1.0", 'slippage_model = "volatility"'):
        assert line in text
    model = load_settings(tmp_path / "replay.toml", {}).execution_model
    assert model.latency_ms == (Decimal(50), Decimal(500))
    assert model.latency_fixed_ms is None
