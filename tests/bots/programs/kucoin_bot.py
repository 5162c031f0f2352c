"""A bot on kucoin-python: looks, buys at the market, bids and takes back, bids and waits, and tells all of it."""

import json
import time

from kucoin.client import Market, Trade, User

market = Market(url="https://api.kucoin.com")
trade = Trade(key="k", secret="s", passphrase="p", url="https://api.kucoin.com")
user = User(key="k", secret="s", passphrase="p", url="https://api.kucoin.com")


def say(what, **values):
    print(json.dumps({"what": what, "time": time.time(), **values}), flush=True)


def ended(order_id):
    while True:
        order = trade.get_order_details(order_id)
        if not order["isActive"]:
            return order
        time.sleep(1)


time.sleep(10)
say("klines", rows=market.get_kline("BTC-USDT", "15min"))
say("ticker", ticker=market.get_ticker("BTC-USDT"))
say("balances", accounts=user.get_account_list(account_type="trade"))

bought = trade.create_market_order("BTC-USDT", "buy", size="0.01")["orderId"]
say("bought", order=ended(bought))

price = float(market.get_ticker("BTC-USDT")["price"])
bid = trade.create_limit_order("BTC-USDT", "buy", "0.01", f"{price * 0.9:.1f}")["orderId"]
time.sleep(2)
say("resting", order=trade.get_order_details(bid))
say("cancelled", ids=trade.cancel_order(bid)["cancelledOrderIds"], id=bid)
say("withdrawn", order=ended(bid))

offer = trade.create_limit_order("BTC-USDT", "sell", "0.004", f"{price * 0.99:.1f}")["orderId"]  # a taker
say("sold", order=ended(offer))

say("fills", fills=trade.get_fill_list("TRADE", symbol="BTC-USDT")["items"])
say("orders", orders=trade.get_order_list(symbol="BTC-USDT", status="done")["items"])
try:
    trade.create_market_order("BTC-USDT", "buy", size="1000")
except Exception as error:
    say("too much", kind=type(error).__name__, text=str(error))
say("balances", accounts=user.get_account_list(account_type="trade"))
while True:
    time.sleep(60)
