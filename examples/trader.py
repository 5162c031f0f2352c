"""Trade what thinker.py says, with market orders on Robinhood Crypto."""

import base64
import datetime
import json
import os
import time
import traceback
import uuid

import requests
from nacl.signing import SigningKey

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = os.path.join(HERE, "settings.json")
LEDGER = os.path.join(HERE, "ledger.json")
TERMINAL = {"filled", "canceled", "cancelled", "rejected", "failed", "error"}


def read_text(*parts):
    try:
        with open(os.path.join(HERE, *parts)) as f:
            return f.read().strip()
    except OSError:
        return ""


class Robinhood:
    """The official crypto API, version 1."""

    base_url = "https://trading.robinhood.com"

    def __init__(self, key_file, secret_file):
        self.api_key = read_text(key_file)
        self.private_key = SigningKey(base64.b64decode(read_text(secret_file)))
        self.last_prices = {}

    def request(self, method, path, body=None):
        """Give the decoded answer, with "errors" in it when refused, or None when there is none."""
        text = json.dumps(body) if body else ""
        timestamp = int(datetime.datetime.now(tz=datetime.timezone.utc).timestamp())
        signed = self.private_key.sign(f"{self.api_key}{timestamp}{path}{method}{text}".encode())
        headers = {
            "x-api-key": self.api_key,
            "x-signature": base64.b64encode(signed.signature).decode(),
            "x-timestamp": str(timestamp),
        }
        try:
            if method == "GET":
                response = requests.get(self.base_url + path, headers=headers, timeout=10)
            else:
                response = requests.post(self.base_url + path, headers=headers, json=body, timeout=10)
            return response.json()
        except Exception as e:
            print("robinhood:", method, path, e)
            return None

    def buying_power(self):
        while True:
            account = self.request("GET", "/api/v1/crypto/trading/accounts/")
            if account and "buying_power" in account:
                return float(account["buying_power"])
            time.sleep(5)

    def holdings(self):
        page = self.request("GET", "/api/v1/crypto/trading/holdings/")
        if not page or "results" not in page:
            return None
        return {row["asset_code"]: float(row["total_quantity"]) for row in page["results"]}

    def prices(self, symbol):
        """Give (ask, bid) with the spread in them; the last ones known when there is no answer."""
        page = self.request("GET", f"/api/v1/crypto/marketdata/best_bid_ask/?symbol={symbol}")
        if page and page.get("results"):
            row = page["results"][0]
            ask, bid = row["ask_inclusive_of_buy_spread"], row["bid_inclusive_of_sell_spread"]
            self.last_prices[symbol] = (float(ask), float(bid))
        return self.last_prices.get(symbol)

    def orders(self, symbol):
        page = self.request("GET", f"/api/v1/crypto/trading/orders/?symbol={symbol}")
        return page["results"] if page and "results" in page else []

    def market_order(self, side, symbol, quantity):
        """Place it, wait until it has ended, and give it back; None when it was refused."""
        for _ in range(5):
            body = {
                "client_order_id": str(uuid.uuid4()),
                "side": side,
                "type": "market",
                "symbol": symbol,
                "market_order_config": {"asset_quantity": f"{quantity:.8f}"},
            }
            order = self.request("POST", "/api/v1/crypto/trading/orders/", body)
            if order is None:
                return None
            if "errors" not in order:
                return self.wait_for(symbol, order["id"])
            for error in order["errors"]:
                detail = error.get("detail", "")
                print("refused:", side, quantity, symbol, detail)
                if "has too much precision" not in detail:
                    return None
                nearest = detail.split("nearest ")[1].split(" ")[0]
                quantity = round(quantity, len(nearest.split(".")[1].rstrip("0")))
        return None

    def wait_for(self, symbol, order_id):
        while True:
            for order in self.orders(symbol):
                if order["id"] == order_id and order["state"].lower() in TERMINAL:
                    return order
            time.sleep(1)


class Trader:
    def __init__(self):
        self.settings_time = None
        self.read_settings()
        self.robinhood = Robinhood(self.settings["key_file"], self.settings["secret_file"])
        self.acted = {}  # coin -> hour of the signal that was acted upon
        text = read_text("ledger.json")
        self.ledger = json.loads(text) if text else self.new_ledger()

    def read_settings(self):
        changed = os.path.getmtime(SETTINGS)
        if changed != self.settings_time:
            self.settings_time = changed
            self.settings = json.loads(read_text("settings.json"))

    def new_ledger(self):
        cost = {}
        for coin, quantity in (self.robinhood.holdings() or {}).items():
            cost[coin] = self.cost_of(coin, quantity)
        return {"cash": self.robinhood.buying_power(), "realized": 0.0, "cost": cost, "trades": []}

    def cost_of(self, coin, quantity):
        """What is held was bought last: walk the buys from the newest until they cover it."""
        cost = 0.0
        for order in sorted(
            self.robinhood.orders(coin + "-USD"), key=lambda o: o["created_at"], reverse=True
        ):
            if order["state"] != "filled" or order["side"] != "buy":
                continue
            used = min(quantity, float(order["filled_asset_quantity"]))
            cost += used * float(order["average_price"])
            quantity -= used
        return cost

    def trade(self, side, coin, quantity):
        before = self.robinhood.buying_power()
        order = self.robinhood.market_order(side, coin + "-USD", quantity)
        after = self.robinhood.buying_power()
        if order is None or float(order["filled_asset_quantity"]) == 0:
            return
        change = after - before
        cost = self.ledger["cost"]
        if side == "buy":
            cost[coin] = cost.get(coin, 0.0) - change
        else:
            self.ledger["realized"] += change - cost.pop(coin, 0.0)
        self.ledger["cash"] = after
        filled = order["filled_asset_quantity"]
        self.ledger["trades"].append([order["created_at"], side, coin, filled, change])
        with open(LEDGER, "w") as f:
            json.dump(self.ledger, f, indent=2)

    def manage(self):
        self.read_settings()
        holdings = self.robinhood.holdings()
        if holdings is None:
            return
        lines = []
        for coin in self.settings["coins"]:
            prices = self.robinhood.prices(coin + "-USD")
            if prices is None:
                continue
            ask, bid = prices
            held, cost = holdings.get(coin, 0.0), self.ledger["cost"].get(coin, 0.0)
            gain = 100 * (held * bid - cost) / cost if held and cost else 0.0
            level = read_text("signals", coin, "long_signal.txt")
            hour = read_text("signals", coin, "signal_hour.txt")
            lines.append(f"{coin:5} {ask:14.6f} {bid:14.6f} {held:16.8f} {gain:+8.2f}% {level or '-':>8}")
            if held and gain >= self.settings["take_profit_pct"]:
                self.trade("sell", coin, held)
                held = 0.0
            if level.isdigit() and self.acted.get(coin) != hour:
                self.acted[coin] = hour
                if not held and int(level) >= self.settings["buy_level"]:
                    self.trade("buy", coin, self.settings["trade_usd"] / ask)
                elif held and int(level) <= self.settings["sell_level"]:
                    self.trade("sell", coin, held)
        self.show(lines)

    def show(self, lines):
        os.system("cls" if os.name == "nt" else "clear")
        print(time.strftime("%Y-%m-%d %H:%M:%S"))
        print(f"cash {self.ledger['cash']:.2f}   realized {self.ledger['realized']:+.2f}")
        print("coin             ask            bid             held      gain   signal")
        print("\n".join(lines))


if __name__ == "__main__":
    trader = Trader()
    while True:
        try:
            trader.manage()
        except Exception:
            traceback.print_exc()
        time.sleep(3)
