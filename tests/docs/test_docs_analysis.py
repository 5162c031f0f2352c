"""docs/analysis.md names every figure."""

from __future__ import annotations

import re

import msgspec
import pytest

from orchestrator.analysis.costs import Costs
from orchestrator.analysis.frames import AnalysedRun
from orchestrator.analysis.metrics import (
    BenchmarkFigures,
    DrawdownFigures,
    GapFigures,
    Metrics,
    MonthlyReturn,
    OpenTradeFigures,
    RegimeFigures,
    RegimesFigures,
    Remark,
    SharpeInterval,
)
from orchestrator.analysis.sources import SourceFigures, WorstMoment
from orchestrator.analysis.trade_figures import TradeFigures
from orchestrator.analysis.trade_rows import trades_csv
from orchestrator.analysis.walk_forward_figures import AgeFigures, WalkForwardFigures, WindowFigures
from tests.docs.markdown import REPOSITORY

ANALYSIS = REPOSITORY / "docs" / "analysis.md"

FIGURES = (
    *(
        Metrics,
        DrawdownFigures,
        SharpeInterval,
        BenchmarkFigures,
        RegimeFigures,
        RegimesFigures,
        MonthlyReturn,
    ),
    *(OpenTradeFigures, GapFigures, Remark, Costs, TradeFigures, SourceFigures, WorstMoment),
    *(WalkForwardFigures, WindowFigures, AgeFigures),
)


@pytest.mark.parametrize("struct", FIGURES, ids=lambda struct: struct.__name__)
def test_every_figure_is_documented(struct: type[msgspec.Struct]) -> None:
    text = ANALYSIS.read_text(encoding="utf-8")
    names = [field.name for field in msgspec.structs.fields(struct)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_column_of_trades_csv_is_documented() -> None:
    text = ANALYSIS.read_text(encoding="utf-8")
    names = trades_csv((), ()).strip().split(",")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_member_of_a_loaded_run_is_documented() -> None:
    text = ANALYSIS.read_text(encoding="utf-8")
    names = [name for name in vars(AnalysedRun) if not name.startswith("_") and name != "study"]
    assert [name for name in names if not re.search(rf"`{name}[`(]", text)] == []
