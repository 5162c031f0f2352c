"""A bot on ccxt: looks, buys at the market, bids and takes back, sells below the bid, and tells all of it."""

import json
import sys
import time

import ccxt

exchange = getattr(ccxt, sys.argv[1])({"apiKey": "k", "secret": "s", "password": "p"})
SYMBOL = "BTC/USDT"


def say(what, value):
    print(json.dumps({"what": what, "time": time.time(), "value": value}), flush=True)


def ended(order_id):
    while True:
        order = exchange.fetch_order(order_id, SYMBOL)
        if order["status"] != "open":
            return order
        time.sleep(1)


time.sleep(10)
say("ohlcv", exchange.fetch_ohlcv(SYMBOL, "15m", limit=20))
say("ticker", exchange.fetch_ticker(SYMBOL))
say("balance", exchange.fetch_balance()["total"])
bought = exchange.create_order(SYMBOL, "market", "buy", 0.01)
say("bought", ended(bought["id"]))
price = exchange.fetch_ticker(SYMBOL)["last"]
bid = exchange.create_order(SYMBOL, "limit", "buy", 0.01, exchange.price_to_precision(SYMBOL, price * 0.9))
time.sleep(2)
say("resting", exchange.fetch_order(bid["id"], SYMBOL))
exchange.cancel_order(bid["id"], SYMBOL)
say("withdrawn", ended(bid["id"]))
offer = exchange.create_order(
    SYMBOL, "limit", "sell", 0.004, exchange.price_to_precision(SYMBOL, price * 0.99)
)
say("sold", ended(offer["id"]))
time.sleep(2)
say("fills", exchange.fetch_my_trades(SYMBOL))
try:
    exchange.create_order(SYMBOL, "market", "buy", 1000)
except ccxt.BaseError as error:
    say("too much", type(error).__name__)
say("balance", exchange.fetch_balance()["total"])
while True:
    time.sleep(60)
