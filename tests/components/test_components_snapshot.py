"""What a component sees: candles decoded where they are looked at, signals, times."""

from __future__ import annotations

import datetime as dt
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.snapshot import SILENCE, Candle, SignalBook, Signals, Snapshot, from_ns, to_ns
from orchestrator import protocol
from orchestrator.errors import ConfigError
from orchestrator.protocol import CandleFlag, Reason, Signal
from tests.components.fake_replay import COINS, MINUTE_NS, NEW, OLD, STALE, T0, wire

PLACES = {coin: place for place, coin in enumerate(COINS)}
UTC = dt.UTC


def snapshot(message: protocol.Snapshot, book: SignalBook | None = None) -> Snapshot:
    return Snapshot(message, PLACES, book or SignalBook(COINS, {}))


class TestTimes:
    @given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2261, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
    def test_a_time_of_any_zone_survives(self, moment: dt.datetime, hours: int) -> None:
        aware = moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours)))
        assert from_ns(to_ns(aware)) == aware
        assert from_ns(to_ns(aware)).tzinfo is UTC

    @given(st.integers(0, 2**63 - 1))
    def test_nanoseconds_are_cut_to_the_microsecond_before(self, time_ns: int) -> None:
        assert 0 <= time_ns - to_ns(from_ns(time_ns)) < 1_000

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="has no timezone"):
            to_ns(dt.datetime(2024, 1, 1))  # noqa: DTZ001 - the mistake


class TestCandles:
    @given(st.data())
    def test_each_coin_s_candle_is_cut_from_the_block(self, data: st.DataObject) -> None:
        number = st.floats(width=64)
        rows = [data.draw(st.tuples(*[number] * 5)) for _ in COINS]
        opens = [data.draw(st.integers(0, 2**62)) for _ in COINS]
        flags = [data.draw(st.sampled_from([0, NEW, OLD, STALE])) for _ in COINS]
        seen = snapshot(
            protocol.Snapshot(
                3,
                0,
                T0,
                1,
                b"".join(struct.pack("<5d", *row) for row in rows),
                struct.pack("<3q", *opens),
                bytes(int(flag) for flag in flags),
            )
        )
        for coin, row, open_time, flag in zip(COINS, rows, opens, flags, strict=True):
            candle = seen[coin]
            if not flag:
                assert candle is None
                continue
            assert candle is not None
            assert all(
                a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(candle[:5], row, strict=True)
            )
            assert candle.open_time == from_ns(open_time)
            assert (candle.is_new, candle.is_stale) == (flag == NEW, flag == STALE)

    def test_fields_have_names(self) -> None:
        message = wire(1)
        assert snapshot(message)["BTC"] == Candle(
            100, 100, 100, 100, 1_000, from_ns(T0), is_new=True, is_stale=False
        )

    @pytest.mark.parametrize(
        ("coin", "hint"),
        [
            ("btc", "did you mean 'BTC'?"),
            ("BTC-USD", "did you mean 'BTC'?"),
            ("XRP", "BTC, ETH, DOGE"),
            (0, "coin 0"),
        ],
    )
    def test_a_coin_that_is_not_in_the_run(self, coin: str, hint: str) -> None:
        with pytest.raises(ConfigError, match="is not in this run; its coins are BTC, ETH, DOGE") as error:
            snapshot(wire(1))[coin]
        assert hint in str(error.value)


class TestSnapshot:
    def test_why_when_and_where(self) -> None:
        seen = snapshot(wire(2, 1, reason=Reason.ORDER | Reason.WAKE_UP, after_ns=1_500))
        assert (seen.sequence, seen.step, seen.sim_time_ns) == (2, 1, T0 + 2 * MINUTE_NS + 1_500)
        assert seen.time == dt.datetime(2024, 1, 1, 0, 2, 0, 1, tzinfo=UTC)
        assert Reason.ORDER in seen.reason
        assert Reason.TICK not in seen.reason
        assert seen.coins == COINS
        assert (seen.fills, seen.rejections, seen.ends) == ((), (), ())
        assert "sequence=2" in repr(seen)

    def test_nothing_of_it_is_decoded_before_it_is_looked_at(self) -> None:
        # A block that is too short for its coins is noticed where it is read, not before.
        broken = protocol.Snapshot(1, 0, T0, 1, b"", b"", bytes([CandleFlag.PRESENT] * 3))
        seen = snapshot(broken)
        assert seen.sequence == 1
        with pytest.raises(struct.error):
            _ = seen["BTC"]


def said(coin: str, key: str, value: int, time_ns: int = T0) -> Signal:
    return Signal(coin, key, value, time_ns)


class TestSignals:
    def test_by_coin_then_key_with_the_time_it_was_said(self) -> None:
        book = SignalBook(COINS, {}).updated(
            (said("BTC", "long", 3), said("BTC", "short", 0, T0 + 1_000_000))
        )
        assert dict(book["BTC"]) == {"long": 3, "short": 0}
        assert book["BTC"].time("short") == from_ns(T0 + 1_000_000)
        assert "long" in book["BTC"]
        assert book["BTC"].get("mood") is None
        assert "3" in repr(book["BTC"])
        with pytest.raises(KeyError):
            _ = book["BTC"]["mood"]

    def test_a_coin_of_which_nobody_spoke_is_silent_and_another_is_an_error(self) -> None:
        book = SignalBook(COINS, {})
        assert book["ETH"] is SILENCE
        assert (dict(book["ETH"]), len(book["ETH"])) == ({}, 0)
        with pytest.raises(ConfigError, match="'XRP' is not in this run"):
            _ = book["XRP"]

    def test_is_a_mapping_over_the_coins_of_the_run(self) -> None:
        book = SignalBook(COINS, {}).updated((said("ETH", "long", 1),))
        assert (tuple(book), len(book)) == (COINS, 3)
        assert {coin: dict(signals) for coin, signals in book.items()} == {
            "BTC": {},
            "ETH": {"long": 1},
            "DOGE": {},
        }
        assert "XRP" not in tuple(book)

    @given(
        st.lists(
            st.lists(
                st.tuples(st.sampled_from(COINS), st.sampled_from("ab"), st.integers(0, 99)), max_size=4
            ),
            max_size=6,
        )
    )
    def test_news_make_new_books_and_leave_the_old_ones_as_they_were(
        self, news: list[list[tuple[str, str, int]]]
    ) -> None:
        book = SignalBook(COINS, {})
        naive: dict[str, dict[str, int]] = {coin: {} for coin in COINS}
        books = []
        for words in news:
            book = book.updated(tuple(said(*word) for word in words))
            for coin, key, value in words:
                naive[coin][key] = value
            books.append((book, {coin: dict(values) for coin, values in naive.items()}))
        for kept, expected in books:
            assert {coin: dict(signals) for coin, signals in kept.items()} == expected

    def test_cannot_be_changed(self) -> None:
        signals = Signals({"long": said("BTC", "long", 1)})
        with pytest.raises(TypeError):
            signals["long"] = 2  # type: ignore[index]


@pytest.mark.parametrize("year", [1, 1600, 2300, 9999])
def test_a_time_that_no_message_can_carry_is_refused_where_it_is_said(year: int) -> None:
    with pytest.raises(ConfigError, match="out of range; from 1678 to 2261"):
        to_ns(dt.datetime(year, 1, 1, tzinfo=UTC))
