"""A bot that buys and sells by chance, now and then with a limit, and says what it knows: seeds, ids, books, time."""

import json
import random
import sys
import time
import uuid

import requests

KUCOIN = "https://api.kucoin.com"
COINS = ["BTC", "ETH", "DOGE"]


def ask(method, path, **body):
    """What gets no answer is asked again, like live; an order by the same id, so that it happens once."""
    while True:
        try:
            answer = requests.request(method, KUCOIN + path, json=body or None, timeout=10)
            answer = answer.json()
        except (requests.RequestException, ValueError) as error:
            print(
                json.dumps({"trouble": type(error).__name__, "time": time.time(), "body": body}), flush=True
            )
            time.sleep(1)
            continue
        if answer["code"] == "200000":
            return answer["data"]
        print(json.dumps({"refused": answer, "time": time.time(), "body": body}), flush=True)
        if answer["code"] != "429000" and not answer["code"].startswith("5"):
            return None
        time.sleep(1)


def deal():
    coin = random.choice(COINS)
    symbol = coin + "-USDT"
    price = float(ask("GET", f"/api/v1/market/orderbook/level1?symbol={symbol}")["price"])
    accounts = ask("GET", "/api/v1/accounts?type=trade")
    held = {row["currency"]: float(row["available"]) for row in accounts}
    order = {"clientOid": str(uuid.uuid4()), "symbol": symbol}
    if held.get(coin, 0) > 0 and random.random() < 0.5:
        order |= {"side": "sell", "type": "market", "size": f"{held[coin]:.8f}"}
    elif random.random() < 0.3:
        order |= {
            "side": "buy",
            "type": "limit",
            "size": f"{50 / price:.4f}",
            "price": f"{price * 0.998:.4f}",
        }
    else:
        order |= {"side": "buy", "type": "market", "size": f"{100 / price:.4f}"}
    answer = ask("POST", "/api/v1/orders", **order)
    print(json.dumps({"time": time.time(), "order": order, "answer": answer, "held": held}), flush=True)


if __name__ == "__main__":
    pause = float(sys.argv[1])
    while True:
        deal()
        time.sleep(pause * random.uniform(0.5, 1.5))
