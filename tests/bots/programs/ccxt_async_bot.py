"""The bot of ccxt_bot.py on ccxt's async client."""

import asyncio
import json
import sys
import time

import ccxt.async_support as ccxt

SYMBOL = "BTC/USDT"


def say(what, value):
    print(json.dumps({"what": what, "time": time.time(), "value": value}), flush=True)


async def ended(exchange, order_id):
    while True:
        order = await exchange.fetch_order(order_id, SYMBOL)
        if order["status"] != "open":
            return order
        await asyncio.sleep(1)


async def main():
    exchange = getattr(ccxt, sys.argv[1])({"apiKey": "k", "secret": "s", "password": "p"})
    await asyncio.sleep(10)
    candles, ticker, balance = await asyncio.gather(
        exchange.fetch_ohlcv(SYMBOL, "15m", limit=20), exchange.fetch_ticker(SYMBOL), exchange.fetch_balance()
    )
    say("ohlcv", candles)
    say("ticker", ticker)
    say("balance", balance["total"])
    bought = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    say("bought", await ended(exchange, bought["id"]))
    price = (await exchange.fetch_ticker(SYMBOL))["last"]
    low, under = (exchange.price_to_precision(SYMBOL, price * factor) for factor in (0.9, 0.99))
    bid = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low)
    await asyncio.sleep(2)
    say("resting", await exchange.fetch_order(bid["id"], SYMBOL))
    await exchange.cancel_order(bid["id"], SYMBOL)
    say("withdrawn", await ended(exchange, bid["id"]))
    offer = await exchange.create_order(SYMBOL, "limit", "sell", 0.004, under)
    say("sold", await ended(exchange, offer["id"]))
    await asyncio.sleep(2)
    say("fills", await exchange.fetch_my_trades(SYMBOL))
    try:
        await exchange.create_order(SYMBOL, "market", "buy", 1000)
    except ccxt.BaseError as error:
        say("too much", type(error).__name__)
    say("balance", (await exchange.fetch_balance())["total"])
    await exchange.close()
    while True:
        await asyncio.sleep(60)


asyncio.run(main())
