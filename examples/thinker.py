"""Watch a few coins on seven timeframes and write for the trader how many of them point up."""

import json
import os
import time

from kucoin.client import Market

HERE = os.path.dirname(os.path.abspath(__file__))
SIGNALS = os.path.join(HERE, "signals")
READY = os.path.join(HERE, "state", "ready.json")
COINS = ["BTC", "ETH", "DOGE"]
TIMEFRAMES = ["1hour", "2hour", "4hour", "8hour", "12hour", "1day", "1week"]

market = Market(url="https://api.kucoin.com")


def write_ready(ready):
    with open(READY, "w") as f:
        json.dump({"ready": ready, "timestamp": time.time(), "coins": COINS}, f, indent=2)


def get_candles(coin, timeframe):
    """Newest first; the first one is still open."""
    while True:
        try:
            text = str(market.get_kline(coin + "-USDT", timeframe))
            return text.replace("[[", "[").replace("]]", "], ").split("], [")
        except Exception as e:
            print("kucoin:", coin, timeframe, e)
            time.sleep(3.5)


def get_close(candle):
    return float(candle.replace("'", "").split(", ")[2])


def is_rising(coin, timeframe):
    """Did the last closed candle close above the one before it?"""
    candles = get_candles(coin, timeframe)
    try:
        return get_close(candles[1]) > get_close(candles[2])
    except (IndexError, ValueError):
        return False  # a young coin: not enough weeks yet


def write_signal(coin, level, hour):
    folder = os.path.join(SIGNALS, coin)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "long_signal.txt"), "w") as f:
        f.write(str(level))
    with open(os.path.join(folder, "signal_hour.txt"), "w") as f:
        f.write(str(hour))


def main():
    os.makedirs(SIGNALS, exist_ok=True)
    os.makedirs(os.path.dirname(READY), exist_ok=True)
    write_ready(False)
    rising = {coin: {} for coin in COINS}
    index = 0
    hour = 0
    while True:
        timeframe = TIMEFRAMES[index]
        if index == 0:
            hour = int(time.time()) // 3600
        for coin in COINS:
            rising[coin][timeframe] = is_rising(coin, timeframe)

        index += 1
        if index == len(TIMEFRAMES):
            index = 0
            # A pass over a full hour has candles of both sides of it: wait for the next one.
            if int(time.time()) // 3600 == hour:
                for coin in COINS:
                    level = sum(rising[coin].values())
                    write_signal(coin, level, hour)
                    print(time.strftime("%Y-%m-%d %H:%M:%S"), coin, "points up on", level, "timeframes")
                write_ready(True)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
