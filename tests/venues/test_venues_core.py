"""What all emulated exchanges share: finding who answers, counts, faults, ids, limits, numbers, settings."""

from __future__ import annotations

import base64
import builtins
import json
from collections import Counter
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError, InvariantError, ProtocolError
from orchestrator.venue_settings import FaultSettings, VenueSettings, validate_venue
from orchestrator.venues import venues
from orchestrator.venues.http import VenueRequest, parse_query
from orchestrator.venues.ids import IdSource
from orchestrator.venues.limits import TokenBucket, WindowLimit
from orchestrator.venues.numbers import decimals_of, float_formatter, parse_number, round_to, text, text_at
from orchestrator.venues.router import Endpoint, Router
from orchestrator.venues.signatures import ed25519_verifier
from orchestrator.venues.venues import VENUES, Venues
from tests.venues.simulated_run import MINUTE, SECOND, RunDesk, SimulatedRun
from tests.venues.test_venues_kucoin_market import market_of

D = Decimal
HOST = "https://api.kucoin.com"
LEVEL1 = HOST + "/api/v1/market/orderbook/level1?symbol=BTC-USDT"
MARKET = market_of({"BTC": [(100.0 + n, 101.0 + n, 99.0 + n, 100.5 + n, 1_000.0) for n in range(30)]})


def run_with(settings: VenueSettings | None = None, **options: Any) -> SimulatedRun:
    settings = settings or VenueSettings(rate_limits=False)
    run = SimulatedRun({"kucoin": settings}, market=MARKET, **options)
    run.advance(10 * MINUTE)
    return run


def order_body(number: int) -> str:
    order = {"clientOid": f"c{number}", "side": "buy", "symbol": "BTC-USDT", "type": "limit"}
    return json.dumps({**order, "price": "99.9", "size": "0.01"})


# ---------------------------------------------------------------- who answers


def test_every_host_belongs_to_one_venue() -> None:
    run = SimulatedRun({name: VenueSettings() for name in VENUES}, market=MARKET)
    assert len(set(run.venues.hosts)) == len(run.venues.hosts) >= len(VENUES)
    assert all(run.venues.is_emulated(host) for host in run.venues.hosts)
    assert not run.venues.is_emulated("example.org")
    with pytest.raises(InvariantError, match=r"example\.org is not emulated"):
        run.send("GET", "https://example.org/")


def test_a_venue_that_is_not_known() -> None:
    with pytest.raises(ConfigError, match=r"venue\.mtgox is not known; emulated are kucoin, "):
        SimulatedRun({"mtgox": VenueSettings()}, market=MARKET)


def test_requests_are_counted_by_component_and_endpoint() -> None:
    run = run_with()
    for component in ("b", "a", "b"):
        run.send("GET", LEVEL1, component=component)
    run.send("GET", HOST + "/api/v1/orders/x", component="b")
    run.send("GET", HOST + "/api/v1/orders/y?symbol=z", component="b")
    assert [tuple(row) for row in run.venues.counts] == [
        ("a", "kucoin", "GET /api/v1/market/orderbook/level1", 1),
        ("b", "kucoin", "GET /api/v1/market/orderbook/level1", 2),
        ("b", "kucoin", "GET /api/v1/orders/{orderId}", 2),
    ]
    run.venues.count_hits("b", f"GET {LEVEL1}", 40, run.now_ns)
    assert run.venues.counts[1].requests == 42
    run.venues.count_hits("b", "GET " + LEVEL1.replace("api.kucoin.com", "API.KuCoin.com:443"), 1, run.now_ns)
    assert run.venues.counts[1].requests == 43
    for wrong in ("GET https://example.org/", f"GET {HOST}/no/such", "", "GET", LEVEL1, "GET https://[x/"):
        with pytest.raises(ProtocolError, match="which nobody gave"):
            run.venues.count_hits("b", wrong, 1, run.now_ns)


def test_unknown_requests_are_counted_up_to_a_thousand_names() -> None:
    run = run_with()
    for number in range(1_010):
        run.send("GET", f"{HOST}/unknown/{number}")
    unknown = run.venues.unknown
    assert len(unknown) == 1_001
    assert ("bot", "kucoin", "others", 10) in [tuple(row) for row in unknown]


def test_an_answer_of_an_earlier_candle_is_never_given_for_a_later_one_nor_the_other_way_round() -> None:
    run = run_with()
    now = run.send("GET", LEVEL1).body
    run.now_ns += MINUTE
    later = run.send("GET", LEVEL1).body
    run.now_ns -= MINUTE
    assert run.send("GET", LEVEL1).body == now != later


def test_kept_answers_are_bounded_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venues, "_KEPT_BYTES_MAX", 20_000)
    run = run_with()
    candles = f"{HOST}/api/v1/market/candles?symbol=BTC-USDT&type=1min"
    first = run.send("GET", candles).body
    for end in range(
        100
    ):  # within one candle; a client that names the second asks for something else each time
        run.send("GET", f"{candles}&endAt={run.now_ns // 10**9 - end}")
        kept = sum(len(answer.body) for answer in run.venues._kept.values())
        assert kept < 20_000 + len(first)
    assert run.send("GET", candles).body == first


# ---------------------------------------------------------------- faults


def with_faults(**probabilities: str) -> SimulatedRun:
    faults = FaultSettings(**{name: D(value) for name, value in probabilities.items()})
    return run_with(VenueSettings(rate_limits=False, faults=faults))


def test_no_faults_by_default() -> None:
    assert not VenueSettings().faults.is_any
    assert FaultSettings(reset=D("0.001")).is_any


@pytest.mark.parametrize("fault", ["timeout", "reset"])
def test_a_request_that_never_arrives(fault: str) -> None:
    run = with_faults(**{fault: "1"})
    assert run.send("GET", LEVEL1).failure == fault
    assert run.send("POST", HOST + "/api/v1/orders", body=order_body(1)).failure == fault
    assert run.outcomes == []


def test_a_lost_answer_happens_to_orders_alone_and_they_happen() -> None:
    run = with_faults(lost_answer="1")
    assert run.send("GET", LEVEL1).status == 200
    assert run.send("POST", HOST + "/api/v1/orders", body=order_body(1)).failure == "timeout"
    assert len(run.json("GET", HOST + "/api/v1/orders?status=active")["data"]["items"]) == 1
    assert run.send("DELETE", HOST + "/api/v1/orders").failure == "timeout"
    run.advance(SECOND)
    assert run.json("GET", HOST + "/api/v1/orders?status=active")["data"]["items"] == []


def test_a_venue_in_trouble() -> None:
    busy = with_faults(http_429="1").send("GET", LEVEL1)
    assert (busy.status, json.loads(busy.body)["code"]) == (429, "429000")
    assert dict(busy.headers)["gw-ratelimit-remaining"] == "0"
    broken = with_faults(http_500="1").send("POST", HOST + "/api/v1/orders", body=order_body(1))
    assert (broken.status, broken.body) == (500, b'{"code":"500000","msg":"Internal Server Error"}')


def test_a_stale_quote_is_that_of_the_candle_before() -> None:
    stale, fresh = with_faults(stale_quote="1"), run_with()
    fresh.now_ns -= MINUTE
    assert stale.send("GET", LEVEL1).body == fresh.send("GET", LEVEL1).body
    assert stale.json("GET", HOST + "/api/v1/timestamp")["data"] == stale.now_ns // 10**6


def test_faults_come_as_often_as_asked_and_the_same_in_every_run() -> None:
    settings = {"timeout": "0.1", "http_429": "0.2", "http_500": "0.05", "reset": "0.15"}

    def drawn(component: str) -> list[tuple[int, str | None]]:
        run = with_faults(**settings)
        answers = [run.send("GET", LEVEL1, component=component) for _ in range(2_000)]
        assert all(answer.valid_until_ns is None for answer in answers)
        return [(answer.status, answer.failure) for answer in answers]

    once, counts = drawn("bot"), Counter(drawn("bot"))
    assert once == drawn("bot") != drawn("other")
    shares = {(0, "timeout"): 0.1, (429, None): 0.2, (500, None): 0.05, (0, "reset"): 0.15, (200, None): 0.5}
    assert {key: counts[key] / 2_000 for key in shares} == pytest.approx(shares, abs=0.03)


def test_another_component_leaves_the_faults_of_one_as_they_are() -> None:
    alone, together = with_faults(http_500="0.5"), with_faults(http_500="0.5")
    expected = [alone.send("GET", LEVEL1).status for _ in range(50)]
    found = []
    for _ in range(50):
        together.send("GET", LEVEL1, component="other")
        found.append(together.send("GET", LEVEL1).status)
    assert found == expected


# ---------------------------------------------------------------- settings

WRONG = [
    ({"spread_bps": D(-1)}, "spread_bps -1 is out of range; basis points from 0 to below 10000"),
    ({"spread_bps": D("inf")}, "spread_bps Infinity is out of range"),
    ({"depth_levels": 0}, "depth_levels 0 is out of range; from 1 to 1000"),
    ({"quote": "usdt"}, "quote 'usdt' is not understood"),
    ({"api_key": "k"}, 'api_key has no effect with signatures = "ignore"'),
    ({"signatures": "verify"}, 'signatures = "verify" needs api_key and api_secret'),
    ({"faults": FaultSettings(reset=D(2))}, r"faults\.reset 2 is out of range; from 0 to 1"),
    ({"faults": FaultSettings(reset=D("0.6"), timeout=D("0.5"))}, "faults add up to more than 1"),
]


@pytest.mark.parametrize(("keys", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_settings(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"venue\.kucoin\.{message}"):
        validate_venue("kucoin", VenueSettings(**keys))
    with pytest.raises(ConfigError):
        SimulatedRun({"kucoin": VenueSettings(**keys)}, market=MARKET)


# ---------------------------------------------------------------- paths and queries


def test_a_fixed_path_wins_over_a_pattern() -> None:
    patterns = ["/a/{x}", "/a/b", "/a/{x}/c", "/a/{x}/{y}"]
    router = Router([Endpoint("GET", pattern, MagicMock()) for pattern in patterns])
    found = {}
    for path in ("/a/b", "/a/z", "/a/z/c", "/a/z/d", "/a/", "/a", "/a/z/d/e", "/a//c"):
        match = router.find("GET", path)
        found[path] = (match[0].pattern, match[1]) if match else None
    assert found == {
        "/a/b": ("/a/b", ()),
        "/a/z": ("/a/{x}", ("z",)),
        "/a/z/c": ("/a/{x}/c", ("z",)),
        "/a/z/d": ("/a/{x}/{y}", ("z", "d")),
        "/a/": None,
        "/a": None,
        "/a/z/d/e": None,
        "/a//c": None,
    }
    assert router.find("POST", "/a/b") is None


def test_a_query_is_read_as_servers_read_it() -> None:
    assert parse_query("a=1&b=&c&a=2&&d=x=y") == [("a", "1"), ("b", ""), ("c", ""), ("a", "2"), ("d", "x=y")]
    assert parse_query("a=%20x&b=1+2") == [("a", " x"), ("b", "1 2")]
    assert parse_query("") == []


TEXTS = st.text(max_size=30)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]),
    venue=st.sampled_from(sorted(VENUES)),
    place=st.integers(min_value=0),
    names=st.lists(
        st.sampled_from(
            ["symbol", "type", "startAt", "limit", "lastId", "cursor", "id", "side", "quantity", "interval"]
        ),
        max_size=4,
    ),
    values=st.lists(
        TEXTS | st.sampled_from(["BTC-USDT", "BTC-USD", "BTCUSDT", "1hour", "1h", "-1", "1e9", "nan"]),
        min_size=4,
    ),
    body=st.binary(max_size=40) | st.recursive(st.none() | TEXTS, st.lists).map(json.dumps).map(str.encode),
)
def test_no_request_breaks_a_venue(
    method: str, venue: str, place: int, names: list[str], values: list[str], body: bytes
) -> None:
    endpoints = WILD.venues._venues[venue].router.endpoints
    endpoint = endpoints[place % len(endpoints)]
    query = "&".join(f"{name}={value}" for name, value in zip(names, values, strict=False))
    parts = ["x" if part.startswith("{") else part for part in endpoint.pattern.split("/")]
    path = "/".join(parts) + (f"?{query}" if query else "")
    host = WILD.venues._venues[venue].hosts[0]
    request = VenueRequest(method if place % 3 else endpoint.method, host, path, (), body)
    answer = WILD.venues.answer(request, RunDesk(WILD, "bot", "main"))
    assert 200 <= answer.status < 600
    assert answer.failure is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit={'9' * 5_000}", b""),
        (f"https://api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime={'9' * 5_000}", b""),
        (f"https://trading.robinhood.com/api/v1/crypto/trading/trading_pairs/?limit={'9' * 5_000}", b""),
        ("https://trading.robinhood.com/api/v1/crypto/trading/orders/", b'{"symbol":"\xff"}'),
        ("https://api.kucoin.com/api/v1/orders", b'{"symbol":"\xff"}'),
    ],
)
def test_what_no_number_and_no_text_can_be_is_refused(path: str, body: bytes) -> None:
    run = SimulatedRun({name: VenueSettings() for name in VENUES}, market=MARKET)
    run.advance(5 * MINUTE)
    assert run.send("POST" if body else "GET", path, body=body).status in (200, 400)


WILD = SimulatedRun({name: VenueSettings(rate_limits=False) for name in VENUES}, market=MARKET)
WILD.advance(5 * MINUTE)


# ---------------------------------------------------------------- ids, numbers, limits, signatures


def test_ids_look_like_a_venues_and_come_from_counters() -> None:
    one, other = IdSource(7, "kucoin"), IdSource(7, "kucoin")
    ids = [one.object_id("bot", "order", 1_700_000_000 * SECOND) for _ in range(100)]
    for _ in range(50):
        other.object_id("someone else", "order", 1_700_000_000 * SECOND)
    assert [other.object_id("bot", "order", 1_700_000_000 * SECOND) for _ in range(100)] == ids
    assert len(set(ids)) == 100
    assert all(len(order_id) == 24 and order_id.startswith("6553f100") for order_id in ids)
    assert IdSource(8, "kucoin").object_id("bot", "order", 0) != one.object_id("bot", "x", 0)
    uuid = one.uuid("bot", "order")
    assert (len(uuid), uuid[14], uuid[19] in "89ab", uuid.count("-")) == (36, "4", True, 4)
    assert all(10**11 <= one.number("bot", "n", 12) < 10**12 for _ in range(100))
    assert one.fixed("a", "b") == other.fixed("a", "b") != one.fixed("a", "c")


@given(st.floats(min_value=1e-12, max_value=1e12), st.sampled_from(["1", "0.1", "0.00001", "0.000000001"]))
def test_floats_are_written_without_exponent_and_read_back_equal(value: float, increment: str) -> None:
    spelled = float_formatter(D(increment))(value)
    assert "e" not in spelled.lower()
    assert float(spelled) == value
    assert len(spelled.partition(".")[2]) >= decimals_of(D(increment))


def test_numbers_as_they_are_written_and_read() -> None:
    assert [text(D(value)) for value in ("1E+2", "0.10", "100", "1E-9", "0")] == [
        "100",
        "0.1",
        "100",
        "0.000000001",
        "0",
    ]
    assert [text_at(D(value), D("0.01")) for value in ("1", "1.234", "1E+2")] == ["1.00", "1.234", "100.00"]
    good = {"1": D(1), " 1.50 ": D("1.5"), 2: D(2), 0.1: D("0.1"), "1e-8": D("1e-8")}
    assert {value: parse_number(value) for value in good} == good
    for wrong in ("", "x", None, True, "nan", "inf", "1e999", "1e-999", [1], {"a": 1}, "1" * 60):
        assert parse_number(wrong) is None
    assert (round_to(D("1.29"), D("0.1"), "floor"), round_to(D("1.21"), D("0.1"), "ceiling")) == (
        D("1.2"),
        D("1.3"),
    )


def test_a_token_bucket_refills_one_by_one() -> None:
    bucket = TokenBucket(3, SECOND)
    assert [bucket.take("a", 1, 0).is_allowed for _ in range(4)] == [True, True, True, False]
    assert bucket.take("a", 1, 0).reset_ns == SECOND
    assert bucket.take("b", 1, 0).remaining == 2
    assert not bucket.take("a", 1, SECOND - 1).is_allowed
    assert bucket.take("a", 1, SECOND).is_allowed
    assert not bucket.take("a", 1, SECOND).is_allowed
    assert [bucket.take("a", 1, 100 * SECOND).is_allowed for _ in range(4)] == [True, True, True, False]
    bucket.spend("b", 99, 0)
    assert not bucket.take("b", 1, 0).is_allowed
    assert bucket.take("b", 3, 3 * SECOND).is_allowed


def test_windows_begin_with_a_request_or_on_a_grid() -> None:
    window, aligned = WindowLimit(5, 10 * SECOND), WindowLimit(5, 10 * SECOND, is_aligned=True)
    assert window.take("a", 3, 7 * SECOND)[1:] == (3, 2, 10 * SECOND)
    assert aligned.take("a", 3, 7 * SECOND)[1:] == (3, 2, 3 * SECOND)
    assert not window.take("a", 3, 12 * SECOND).is_allowed
    assert aligned.take("a", 3, 12 * SECOND)[1:] == (3, 2, 8 * SECOND)
    assert window.look("a", 16 * SECOND)[1:] == (3, 2, SECOND)
    window.spend("a", 99, 16 * SECOND)
    assert window.look("a", 16 * SECOND).remaining == 0
    assert window.look("a", 17 * SECOND).remaining == 5


def test_ed25519_needs_its_library_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ConfigError, match=r"venue\.x\.api_secret is not a key"):
        ed25519_verifier("short", "venue.x.api_secret")
    assert not ed25519_verifier(seed, "x")("bm8=", b"message")
    importing = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="needs the package cryptography, which is not installed"):
        ed25519_verifier(seed, "venue.x.api_secret")


def test_venues_are_built_without_any() -> None:
    run = run_with()
    venues = Venues(
        {},
        market=run.market,
        instruments=run.instruments,
        currency="USD",
        maker_bps=D(0),
        taker_bps=D(0),
        seed=1,
    )
    assert (venues.hosts, venues.counts, venues.unknown) == ((), [], [])
