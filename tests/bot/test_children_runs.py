"""Children of a bot in a whole run: what one writes is read at the time at which it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bots.conftest import bot_place, workdir  # noqa: F401 - fixtures
from tests.bots.running import BotPlace, bot, script

START = 1_704_067_200.0

BOT = """
import asyncio, json, multiprocessing, os, subprocess, sys, threading, time
import requests
def say(**what):
    print(json.dumps({"time": time.time(), **what}), flush=True)
def price():
    url = "https://api.kucoin.com/api/v1/market/orderbook/level1?symbol=BTC-USDT"
    return requests.get(url, timeout=5).json()["data"]["price"]
def python(code):
    return [sys.executable, "-u", "-c", code]
LINES = "import time\\nfor n in range(3):\\n    print(n, time.time())\\n    time.sleep(60)"
def lines():
    p = subprocess.Popen(python(LINES), stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        written = float(line.split()[1])
        say(what="line", late=time.time() - written)
        price()
    say(what="lines", status=p.wait())
def threads():
    def child():
        subprocess.run(python("import time; time.sleep(300)"))
        say(what="thread's child")
    thread = threading.Thread(target=child)
    thread.start()
    for _ in range(3):
        time.sleep(60)
        say(what="meanwhile")
    thread.join()
def work(number):
    time.sleep(number)
    return time.time()
def pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        ends = pool.map(work, [60, 30], chunksize=1)
    say(what="pool", ends=ends)
async def in_loop():
    p = await asyncio.create_subprocess_exec(*python(LINES), stdout=subprocess.PIPE)
    late = []
    while line := await p.stdout.readline():
        late.append(time.time() - float(line.split()[1]))
    say(what="asyncio", late=late, status=await p.wait())
def poll():
    p = subprocess.Popen(python("import time; time.sleep(95)"))
    while p.poll() is None:
        time.sleep(10)
    say(what="poll", status=p.returncode)
def timeouts():
    try:
        subprocess.run(python("import time; print('x'); time.sleep(600)"), timeout=20, capture_output=True)
    except subprocess.TimeoutExpired as error:
        say(what="timeout", output=error.output.decode())
for each in (lines, threads, pool, poll, timeouts):
    began = time.time()
    each()
    say(what="took", name=each.__name__, seconds=time.time() - began)
began = time.time()
asyncio.run(in_loop())
say(what="took", name="asyncio", seconds=time.time() - began)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, "-u", __file__, "again"])
say(what="end")
while True:
    time.sleep(600)
"""


@pytest.mark.slow
def test_children_live_in_the_run_s_time(bot_place: BotPlace, workdir: Path) -> None:  # noqa: F811 - a fixture
    config = bot_place.bots([bot("family", workdir, script(workdir, BOT))])
    said = bot_place.complete(config).said("family")
    again = bot_place.complete(config).said("family")
    # Processes of a pool wait natively for one another, so their clocks may be read once more or less often.
    assert [each for each in again if "ends" not in each] == [each for each in said if "ends" not in each]
    assert said[-1]["what"] == "end"
    took = {each["name"]: each["seconds"] for each in said if each["what"] == "took"}
    assert took == pytest.approx(
        {"lines": 180, "threads": 300, "pool": 60, "poll": 100, "timeouts": 20, "asyncio": 180}, abs=2
    )
    assert [each["what"] for each in said].count("took") == 12
    late = [each["late"] for each in said if each["what"] == "line"]
    late += [late for each in said if each["what"] == "asyncio" for late in each["late"]]
    assert len(late) == 12
    assert 0 <= min(late) <= max(late) < 1.01  # what children wrote is looked for every second
    names = [each["what"] for each in said if each["what"] in ("meanwhile", "thread's child")]
    assert names == ["meanwhile", "meanwhile", "meanwhile", "thread's child"] * 2
