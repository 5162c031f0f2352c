"""A child of a bot with a request and a sleep of its own."""

import json
import time

import requests

begin = time.time()
time.sleep(30)
answer = requests.get("https://api.kucoin.com/api/v1/timestamp", timeout=5).json()
print(json.dumps({"begin": begin, "end": time.time(), "asked": answer["data"] / 1000}))
