"""KuCoin's keys, signatures and limits, all judged by simulation time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest

from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.http import VenueResponse
from tests.venues.simulated_run import MS, SECOND, SimulatedRun
from tests.venues.test_venues_kucoin_market import market_of

HOST = "https://api.kucoin.com"
KEY, SECRET, PASSPHRASE = "key-1", "secret-1", "open sesame"
VERIFY = VenueSettings(signatures="verify", api_key=KEY, api_secret=SECRET, api_passphrase=PASSPHRASE)
ORDER = json.dumps(
    {"clientOid": "a", "side": "buy", "symbol": "BTC-USDT", "type": "limit", "price": "90", "size": "1"}
)


def run_with(settings: VenueSettings) -> SimulatedRun:
    run = SimulatedRun(
        {"kucoin": settings}, market=market_of({"BTC": [(100.0, 101.0, 99.0, 100.0, 1_000.0)] * 60})
    )
    run.advance(90 * SECOND + 123 * MS)
    return run


def digest(message: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).digest()).decode()


def signed(run: SimulatedRun, method: str, path: str, body: str = "", **changes: str) -> dict[str, str]:
    """Return the headers of a key of version 2, as the vendor's page describes them."""
    time_ms = changes.pop("time", str(run.now_ns // SECOND * 1_000))
    headers = {
        "KC-API-KEY": KEY,
        "KC-API-SIGN": digest(f"{time_ms}{method}{path}{body}"),
        "KC-API-TIMESTAMP": time_ms,
        "KC-API-PASSPHRASE": digest(PASSPHRASE),
        "KC-API-KEY-VERSION": "2",
    }
    return {**headers, **changes}


def code_of(answer: VenueResponse) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


# ---------------------------------------------------------------- signatures


def test_nothing_is_looked_at_where_signatures_are_ignored() -> None:
    run = run_with(VenueSettings())
    assert code_of(run.send("GET", HOST + "/api/v1/accounts")) == (200, "200000")
    wrong = {"KC-API-KEY": "x", "KC-API-TIMESTAMP": "0"}
    assert code_of(run.send("POST", HOST + "/api/v1/orders", body=ORDER, headers=wrong)) == (200, "200000")


@pytest.mark.parametrize("missing", ["KC-API-KEY", "KC-API-SIGN", "KC-API-TIMESTAMP", "KC-API-PASSPHRASE"])
@pytest.mark.parametrize("settings", [VenueSettings(signatures="present"), VERIFY])
def test_a_missing_header_is_refused(settings: VenueSettings, missing: str) -> None:
    run = run_with(settings)
    headers = signed(run, "GET", "/api/v1/accounts")
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers)) == (200, "200000")
    lower = {key.lower(): value for key, value in headers.items()}
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=lower)) == (200, "200000")
    del headers[missing]
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers)) == (401, "400001")


def test_present_headers_may_say_anything() -> None:
    run = run_with(VenueSettings(signatures="present"))
    headers = signed(run, "GET", "/api/v1/accounts", time="1", **{"KC-API-SIGN": "no", "KC-API-KEY": "other"})
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers)) == (200, "200000")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/accounts?type=trade", ""),
        ("GET", "/api/v1/accounts?currency=USDT&type=trade", ""),
        ("POST", "/api/v1/orders", ORDER),
        ("POST", "/api/v1/hf/orders", ORDER.replace('"a"', '"a", "remark": "ä"')),
        ("DELETE", "/api/v1/orders?symbol=BTC-USDT", ""),
    ],
)
def test_a_good_signature_of_the_bytes_as_they_were_sent(method: str, path: str, body: str) -> None:
    run = run_with(VERIFY)
    answer = run.send(method, HOST + path, headers=signed(run, method, path, body), body=body)
    assert code_of(answer) == (200, "200000")
    changed = run.send(method, HOST + path + " ", headers=signed(run, method, path, body), body=body)
    assert code_of(changed)[1] in ("400005", "404000")
    if body:
        blank = run.send(method, HOST + path, headers=signed(run, method, path, body), body=body + " ")
        assert code_of(blank) == (401, "400005")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"KC-API-KEY": "other"}, (401, "400003")),
        ({"KC-API-PASSPHRASE": PASSPHRASE}, (401, "400004")),
        ({"KC-API-PASSPHRASE": ""}, (401, "400004")),
        ({"KC-API-SIGN": "bm8="}, (401, "400005")),
        ({"KC-API-SIGN": "\u00e4"}, (401, "400005")),
        ({"time": "soon"}, (400, "400002")),
        ({"time": "9" * 400}, (400, "400002")),
        ({"time": "-1"}, (400, "400002")),
    ],
)
def test_a_wrong_header(changes: Mapping[str, str], refused: tuple[int, str]) -> None:
    run = run_with(VERIFY)
    headers = signed(run, "GET", "/api/v1/accounts", **changes)
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers)) == refused


def test_a_key_of_version_1_sends_its_passphrase_as_it_is() -> None:
    run = run_with(VERIFY)
    headers = signed(run, "GET", "/api/v1/accounts", **{"KC-API-PASSPHRASE": PASSPHRASE})
    del headers["KC-API-KEY-VERSION"]
    assert code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers)) == (200, "200000")


@pytest.mark.parametrize(("skew_ms", "is_good"), [(-5_001, 0), (-5_000, 1), (0, 1), (5_000, 1), (5_001, 0)])
def test_the_time_may_be_five_seconds_off(skew_ms: int, is_good: int) -> None:
    run = run_with(VERIFY)
    headers = signed(run, "GET", "/api/v1/accounts", time=str(run.now_ns // MS + skew_ms))
    answer = code_of(run.send("GET", HOST + "/api/v1/accounts", headers=headers))
    assert answer == ((200, "200000") if is_good else (400, "400002"))


def test_public_pages_need_no_signature() -> None:
    run = run_with(VERIFY)
    for path in ("/api/v1/timestamp", "/api/v1/market/allTickers", "/api/v2/symbols", "/api/v1/status"):
        assert code_of(run.send("GET", HOST + path, headers={"KC-API-SIGN": "bad"})) == (200, "200000")


# ---------------------------------------------------------------- limits


def limits_of(answer: VenueResponse) -> tuple[int, int, int]:
    headers = dict(answer.headers)
    return (
        int(headers["gw-ratelimit-limit"]),
        int(headers["gw-ratelimit-remaining"]),
        int(headers["gw-ratelimit-reset"]),
    )


def test_a_window_of_thirty_seconds_from_the_first_request() -> None:
    run = run_with(VenueSettings())
    path = HOST + "/api/v1/market/allTickers"  # weighs 15 of 2000
    assert limits_of(run.send("GET", path)) == (2_000, 1_985, 30_000)
    run.advance(10 * SECOND)
    answers = [run.send("GET", path) for _ in range(132)]
    assert {answer.status for answer in answers} == {200}
    assert limits_of(answers[-1]) == (2_000, 5, 20_000)
    refused = run.send("GET", path)
    assert (refused.status, limits_of(refused)) == (429, (2_000, 5, 20_000))
    assert json.loads(refused.body)["code"] == "429000"
    # What is lighter still fits, other pools and other components have room of their own.
    assert run.send("GET", HOST + "/api/v1/market/candles?symbol=BTC-USDT&type=1min").status == 200
    assert limits_of(run.send("GET", HOST + "/api/v1/accounts"))[:2] == (2_000, 1_995)
    assert limits_of(run.send("GET", HOST + "/api/v1/base-fee"))[:2] == (4_000, 3_997)
    assert limits_of(run.send("GET", path, component="other"))[:2] == (2_000, 1_985)
    run.advance(20 * SECOND - 1)
    assert run.send("GET", path).status == 429
    run.advance(1)
    assert limits_of(run.send("GET", path)) == (2_000, 1_985, 30_000)


def test_a_refused_request_does_nothing() -> None:
    run = run_with(VenueSettings())
    for _ in range(66):
        run.send("GET", HOST + "/api/v1/hf/accounts/opened")  # weighs 30 of 4000
        run.send("GET", HOST + "/api/v1/hf/accounts/opened")
    run.send("GET", HOST + "/api/v1/hf/accounts/opened")
    for _ in range(10):
        run.send("GET", HOST + "/api/v1/base-fee")
    refused = run.send("POST", HOST + "/api/v1/orders", body=ORDER)
    assert refused.status == 429
    run.advance(30 * SECOND)
    assert run.json("GET", HOST + "/api/v1/limit/orders")["data"] == []


def test_what_the_process_kept_counts_when_it_is_told() -> None:
    run = run_with(VenueSettings())
    path = "/api/v1/market/stats?symbol=BTC-USDT"
    run.send("GET", HOST + path)
    run.venues.count_hits("bot", f"GET {HOST}{path}", 100, run.now_ns)
    assert limits_of(run.send("GET", HOST + path))[1] == 2_000 - 102 * 15
    run.venues.count_hits("bot", f"GET {HOST}{path}", 100, run.now_ns)
    assert run.send("GET", HOST + path).status == 429
    assert [tuple(row) for row in run.venues.counts] == [("bot", "kucoin", "GET /api/v1/market/stats", 203)]


def test_limits_can_be_switched_off() -> None:
    run = run_with(VenueSettings(rate_limits=False))
    answers = [run.send("GET", HOST + "/api/v1/market/allTickers") for _ in range(300)]
    assert {answer.status for answer in answers} == {200}
    assert {name for answer in answers for name, _ in answer.headers} == {"Content-Type"}
