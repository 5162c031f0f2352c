"""report.html: what it holds as text, and what a browser makes of it."""

from __future__ import annotations

import base64
import html.parser
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from orchestrator.analysis.charts import COLOURS, charts_of, distribution_chart, equity_chart
from orchestrator.analysis.comparison import differing_keys
from orchestrator.analysis.files import METRICS_FILE, REPORT_FILE, write_analysis, write_comparison
from orchestrator.analysis.measure import measure
from orchestrator.analysis.metrics import Metrics
from orchestrator.analysis.page import script_json
from orchestrator.analysis.study import Study, study_run
from orchestrator.runs.reader import open_run
from tests.analysis.browser import PROGRAMS, Browser, find_browser, running_browser
from tests.analysis.made_runs import make_run

HOSTILE = "<script>alert('x')</script> & \"quoted\""


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Study, Metrics]]:
    folder = tmp_path_factory.mktemp("pages")
    cache = folder / "backtest_cache"
    made = [
        make_run(
            folder / "long", cache, coins=("BTC", "ETH", "DOGE"), warm_up_days=200, gaps=3, notes=(HOSTILE,)
        ),
        make_run(folder / "short", folder / "other_cache", end="2024-01-12", status="interrupted"),
        make_run(folder / "idle", folder / "other_cache", every=0, end="2024-01-12"),
    ]
    studies = [study_run(open_run(run), folder / name) for run, name in zip(made, CACHES, strict=True)]
    both = [(study, measure(study)) for study in studies]
    for study, metrics in both:
        write_analysis(study, metrics)
    write_comparison(both[:2])
    return both


CACHES = ("backtest_cache", "other_cache", "no_cache")


@pytest.fixture(scope="module")
def pages(studied: list[tuple[Study, Metrics]]) -> list[Path]:
    return [study.run.directory / REPORT_FILE for study, _ in studied]


class Figures(html.parser.HTMLParser):
    """The figures of a page: path in metrics.json, the value given with it, and the text shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self._open: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "data-metric" in given:
            self._open = (str(given["data-metric"]), str(given["data-value"]))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found.append((*self._open, data))
            self._open = None


def value_at(plain: Any, path: str) -> Any:
    for part in path.split("."):
        plain = None if plain is None else plain[part]
    return plain


def read_metrics(page: Path) -> Any:
    return json.loads((page.parent / METRICS_FILE).read_text(encoding="utf-8"), parse_float=Decimal)


@pytest.mark.parametrize("number", range(3), ids=CACHES)
def test_every_figure_is_that_of_metrics_json(pages: list[Path], number: int) -> None:
    plain, found = read_metrics(pages[number]), Figures(pages[number].read_text(encoding="utf-8")).found
    assert len(found) > 40
    for path, value, text in found:
        expected = value_at(plain, path)
        assert json.loads(value, parse_float=Decimal) == expected, path
        shown = re.fullmatch(r"([+-]?)([\d,.]+)( %| pp)?", text.replace("\N{MINUS SIGN}", "-"))
        if shown and isinstance(expected, Decimal | int):
            size = Decimal(shown[2].replace(",", "")) * (-1 if shown[1] == "-" else 1)
            scale = 100 if shown[3] else 1
            assert abs(size - expected * scale) <= Decimal("0.06"), (path, text, expected)


def test_the_page_is_one_file_of_at_most_6_mb_and_names_no_other(pages: list[Path]) -> None:
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 6_000_000
        assert not re.search(r"<(script|img|iframe|link|object)[^>]+(src|href)=[\"'](?!data:)", text)
        assert "default-src 'none'" in text


def numbers(packed: Any) -> list[float]:
    return list(np.frombuffer(base64.b64decode(packed["bdata"]), dtype="<f8"))


@pytest.mark.parametrize(
    "returns",
    [
        [0.001, -0.0001, 0.0, 0.0, 0.02, -0.03, 0.0004],
        [0.0, 0.0, 0.0],
        [-0.02, -0.02],
        [0.01, 0.013, 0.04],
    ],
)
def test_bars_of_daily_returns_part_at_zero(returns: list[float]) -> None:
    (bars,) = distribution_chart(np.array(returns))["data"]
    counts = dict.fromkeys(("@loss", "@muted", "@gain"), 0.0)
    packed = zip(*(numbers(bars[name]) for name in ("x", "y", "width")), bars["marker"]["color"], strict=True)
    for middle, count, width, colour in packed:
        counts[colour] += count
        low, high = middle - width / 2, middle + width / 2
        assert {"@loss": high < 1e-12, "@muted": middle == 0.0, "@gain": low > -1e-12}[colour]
        if colour != "@muted":
            assert count == sum(low - 1e-12 <= x <= high + 1e-12 and x != 0 for x in returns)
    signs = [(x > 0) - (x < 0) for x in returns]
    assert counts == {colour: signs.count(sign) for colour, sign in zip(counts, (-1, 0, 1), strict=True)}


COINS = ("BTC", "ETH", "DOGE", "XRP", "SOL", "LTC", "LINK", "AVAX", "ADA", "DOT")


def test_the_page_of_many_coins_is_no_larger(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tmp_path, coins=COINS, timeframe="15m", end="2024-04-10", every=1)
    study = study_run(open_run(run), tmp_path)
    page = write_analysis(study, measure(study))
    assert page.stat().st_size < 6_000_000
    charts = charts_of(study, 0.0)
    for coin in COINS:
        price, *marks = charts[f"price_{coin}"]["data"]
        assert 500 <= n_points(price) <= 620
        assert sum(map(n_points, marks)) == 900
    rows = re.search(r'id="trade-rows">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert rows is not None
    assert len(json.loads(rows[1])["rows"]) == 3_000
    total = len(study.book.trades)
    assert f"The 3000 with the largest results of {total}; trades.csv has all." in page.read_text("utf-8")
    assert len((run / "trades.csv").read_text("utf-8").splitlines()) > total > 3_000


def n_points(line: Any) -> int:
    return len(numbers(line["x"]))


def test_text_of_others_is_escaped(pages: list[Path]) -> None:
    text = pages[0].read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(" in text
    assert script_json({"a": "</script><b>&"}) == '{"a":"\\u003c/script\\u003e\\u003cb\\u003e\\u0026"}'


def test_what_is_said_of_each_kind_of_run(pages: list[Path]) -> None:
    complete, interrupted, idle = (page.read_text(encoding="utf-8") for page in pages)
    assert 'class="banner"' not in complete.split("<noscript>")[0]
    assert "This run is interrupted: component trader crashed" in interrupted
    assert "too short" in interrupted
    assert "no fills" in idle
    assert "prices are left out" in idle


def test_charts_are_plotly_figures(studied: list[tuple[Study, Metrics]]) -> None:
    charts = charts_of(studied[0][0], 0.0)
    assert set(charts) == {
        *("equity", "exposure", "rolling", "distribution", "regimes"),
        *("price_BTC", "price_ETH", "price_DOGE"),
    }
    for figure in charts.values():
        text = json.dumps(figure)
        assert set(re.findall(r'"(@\w+)"', text)) <= {*COLOURS, "@paper"}
        go.Figure(
            json.loads(re.sub(r'"@\w+"', '"#123456"', text))
        )  # refuses a name that plotly does not know
    assert set(charts_of(studied[2][0], 0.0)) == {"equity", "exposure"}


def test_a_drawdown_that_never_was_is_drawn_at_the_top_of_its_axis(
    studied: list[tuple[Study, Metrics]],
) -> None:
    assert equity_chart(studied[2][0])["layout"]["yaxis2"]["range"] == [-0.1, 0.0]
    assert "range" not in equity_chart(studied[0][0])["layout"]["yaxis2"]


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_holding_bitcoin_alone_is_drawn_unless_it_is_the_run_s_only_coin(tmp_path: Path, coin: str) -> None:
    make_run(tmp_path / "other", tmp_path, coins=("BTC",), end="2024-01-05")
    run = make_run(tmp_path / "run", tmp_path, coins=(coin,), end="2024-01-05")
    study = study_run(open_run(run), tmp_path)
    names = [line["name"] for line in equity_chart(study)["data"]]
    assert names == ["equity", "buy and hold", *(["BTC alone"] if coin == "ETH" else []), "drawdown"]


def test_differing_keys() -> None:
    one = {"seed": 1, "a": {"b": 2, "c": [1, 2]}, "component": [{"name": "x"}]}
    two = {"seed": 1, "a": {"b": 3, "c": [1, 2]}, "component": [{"name": "y"}, {"name": "z"}]}
    assert differing_keys([one, two]) == [
        ("a.b", ["2", "3"]),
        ("component.0.name", ["x", "y"]),
        ("component.1.name", ["", "z"]),
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    program = find_browser()
    if program is None:
        pytest.skip(f"no Chromium found ({', '.join(PROGRAMS)}); on Debian: apt-get install chromium")
    with running_browser(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where pictures go: REPLAY_PICTURES keeps them for looking at."""
    kept = os.environ.get("REPLAY_PICTURES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_a_browser_draws_the_page(
    browser: Browser, pages: list[Path], pictures: Path, width: int, is_dark: bool
) -> None:
    browser.problems.clear()
    browser.requested.clear()
    browser.open(pages[0], width=width, height=900, is_dark=is_dark)
    browser.picture(pictures / f"report_{width}_{'dark' if is_dark else 'light'}.png")
    assert browser.problems == []
    assert [url for url in browser.requested if not url.startswith(("file:", "data:", "blob:"))] == []
    assert browser.requested.count(pages[0].resolve().as_uri()) == 1
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    drawn = browser.evaluate(
        "[...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('svg').length)"
    )
    assert len(drawn) == 6
    assert min(drawn) > 0
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(16, 19, 23)" if is_dark else "rgb(255, 255, 255)")


def test_a_browser_shows_the_figures_of_metrics_json(browser: Browser, pages: list[Path]) -> None:
    browser.open(pages[0], width=1280, height=900)
    plain = read_metrics(pages[0])
    found = browser.evaluate(
        "[...document.querySelectorAll('#summary [data-metric]')]"
        ".map(e => [e.dataset.metric, e.dataset.value, e.innerText])"
    )
    assert {path for path, _, _ in found} >= {
        "total_return",
        "sharpe",
        "max_drawdown.fraction",
        "digest",
        "trades",
    }
    for path, value, text in found:
        assert json.loads(value, parse_float=Decimal) == value_at(plain, path)
        assert text.strip()


def test_trades_can_be_sorted_and_paged(browser: Browser, pages: list[Path]) -> None:
    browser.open(pages[0], width=1280, height=900)
    plain = read_metrics(pages[0])
    rows = "[...document.querySelectorAll('#trades tbody tr')].map(r => r.cells[8].innerText)"
    assert len(browser.evaluate(rows)) == 25
    browser.evaluate("document.querySelectorAll('#trades th button')[8].click()")
    best = f"{plain['trade_figures']['best']:,.2f}"
    assert browser.evaluate(rows)[0] == best
    assert (
        browser.evaluate("document.querySelectorAll('#trades th')[8].getAttribute('aria-sort')")
        == "descending"
    )
    browser.evaluate("document.querySelectorAll('#trades th button')[8].click()")
    assert browser.evaluate(rows)[0] == f"{plain['trade_figures']['worst']:,.2f}"
    browser.evaluate("document.getElementById('after').click()")
    assert browser.evaluate("document.getElementById('page').innerText").startswith("2 of ")
    browser.evaluate(
        "(() => { const s = document.getElementById('coin'); s.value = 'price_DOGE';"
        " s.dispatchEvent(new Event('change')) })()"
    )
    browser.wait_for(
        "[...document.querySelectorAll('.legendtext')].some(e => e.textContent === 'DOGE close')"
    )
    assert browser.problems == []


@pytest.mark.parametrize("name", ["short/report.html", "idle/report.html", "long/comparison.html"])
def test_a_browser_draws_the_other_pages(
    browser: Browser, pages: list[Path], pictures: Path, name: str
) -> None:
    browser.problems.clear()
    page = pages[0].parent.parent / name
    for width in (1280, 390):
        browser.open(page, width=width, height=900)
        browser.picture(pictures / f"{name.replace('/', '_').removesuffix('.html')}_{width}.png")
        assert browser.problems == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
