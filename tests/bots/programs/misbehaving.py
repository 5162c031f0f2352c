"""A bot that misbehaves in the way that its first argument names; what it has to say it prints as JSON lines."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KUCOIN = "https://api.kucoin.com"
TICKER = KUCOIN + "/api/v1/market/orderbook/level1?symbol=BTC-USDT"


def say(**what):
    print(json.dumps({"time": time.time(), **what}), flush=True)


def look_for_ever(seconds=60):
    """What every bot does that has nothing else to do."""
    import requests

    while True:
        say(price=requests.get(TICKER, timeout=5).json()["data"]["price"])
        time.sleep(seconds)


# ---------------------------------------------------------------- what ends the run


def spin():
    say(before="spinning")
    while True:
        pass


def spin_after_a_while():
    time.sleep(1800)
    spin()


def print_without_end():
    while True:
        print("again and again, and nothing is asked and nobody sleeps " * 20)


def crash():
    time.sleep(1200)
    raise RuntimeError("a mistake in the bot's own code")


def leave():
    time.sleep(1200)
    print("a crash that was swallowed: it leaves with status 0")
    sys.exit(0)


def exit_at_once():
    time.sleep(1200)
    os._exit(3)


def kill_itself():
    time.sleep(1200)
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_a_lock_in_c():
    # Neither a sleep nor a request: a wait that nothing stands for.
    read, _ = os.pipe()
    os.read(read, 1)


def leave_a_tool_behind():
    # No Python, and it never ends: nobody can say when it has done what it was started for.
    subprocess.Popen(["/usr/bin/env", "tail", "-f", "/dev/null"])
    look_for_ever()


# ---------------------------------------------------------------- what does not


def error_loop():
    import requests

    errors = 0
    while True:
        try:
            response = requests.get(KUCOIN + "/api/v1/no/such/path", timeout=5)
            if response.json()["code"] != "200000":
                raise ValueError(response.text)
        except Exception:
            errors += 1
            if errors % 100 == 0:
                say(errors=errors)


def flood():
    for number in range(250_000):
        print(f"{number:0100}")
    look_for_ever()


def threads():
    lock = threading.Lock()

    def beat(name, seconds):
        while True:
            time.sleep(seconds)
            with lock:
                say(beat=name)

    for name, seconds in (("a", 61), ("b", 97.5), ("c", 180)):
        threading.Thread(target=beat, args=(name, seconds), daemon=True).start()
    event = threading.Event()
    while not event.wait(600):
        say(beat="main")


def tasks():
    import aiohttp

    async def look(session, symbol, seconds):
        while True:
            async with session.get(KUCOIN + "/api/v1/market/stats", params={"symbol": symbol}) as response:
                answer = await response.json()
            say(symbol=symbol, last=answer["data"]["last"])
            await asyncio.sleep(seconds)

    async def main():
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(
                *(look(session, f"{coin}-USDT", s) for coin, s in (("BTC", 60), ("ETH", 45)))
            )

    asyncio.run(main())


def restart():
    path = os.path.join(HERE, "restarts.json")
    count = 0
    if os.path.exists(path):
        with open(path) as file:
            count = json.load(file)
    say(restarts=count, pid_is_the_same=os.environ.get("BOT_PID", str(os.getpid())) == str(os.getpid()))
    os.environ["BOT_PID"] = str(os.getpid())
    with open(path, "w") as file:
        json.dump(count + 1, file)
    time.sleep(600)
    os.execv(sys.executable, [sys.executable, "-u", *sys.argv])


def unknown_coin():
    import requests

    for symbol, size in (("XRP-USDT", "10"), ("BTC-USDT", "nonsense"), ("BTC-USDT", "0.01")):
        order = {"clientOid": symbol + size, "side": "buy", "symbol": symbol, "type": "market", "size": size}
        answer = requests.post(KUCOIN + "/api/v1/orders", json=order, timeout=5)
        say(symbol=symbol, size=size, status=answer.status_code, code=answer.json()["code"], body=answer.text)
    look_for_ever()


def ignore_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    look_for_ever()


def handle_sigterm():
    import requests

    def handle(number, frame):
        say(signal=number)
        for _ in range(100):
            time.sleep(10)
            requests.get(TICKER, timeout=5)
        say(handled=True)

    signal.signal(signal.SIGTERM, handle)
    look_for_ever()


def close_stdout():
    sys.stdout.flush()
    os.close(1)
    path = os.path.join(HERE, "closed.txt")
    while True:
        try:
            print("who hears this?", flush=True)
        except OSError as error:
            with open(path, "a") as file:
                file.write(f"{error.errno}\n")
        time.sleep(600)


def children():
    before = time.time()
    words = [sys.executable, os.path.join(HERE, "child.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    say(
        status=done.returncode,
        lasted=round(time.time() - before),
        child=json.loads(done.stdout or "{}"),
        stderr=done.stderr,
    )
    try:
        subprocess.run(words, timeout=5)
    except subprocess.TimeoutExpired:
        say(gave_up_after=round(time.time() - before))
    say(shell=os.system("true"), false=os.waitstatus_to_exitcode(os.system("exit 3")))
    look_for_ever()


def clear():
    while True:
        say(status=os.system("cls" if os.name == "nt" else "clear"))
        subprocess.run(["clear"], check=True)
        time.sleep(60)


def huge():
    import requests

    paths = (
        "/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt=0&endAt=99999999999",
        "/api/v1/market/candles?symbol=BTC-USDT&type=1hour&startAt=-1&endAt=99999999999999999999999",
        "/api/v1/orders?pageSize=1000000000&currentPage=99999999",
        "/api/v1/market/orderbook/level2_1000000?symbol=BTC-USDT",
        "/api/v3/market/orderbook/level2?symbol=BTC-USDT",
    )
    for path in paths:
        answer = requests.get(KUCOIN + path, timeout=5)
        say(path=path, status=answer.status_code, length=len(answer.content))
    look_for_ever()


def garbage():
    import requests

    bodies = (
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b"{" * 100_000,
        b"9" * 100_000,
        b'{"size": 1e999999}',
    )
    for body in bodies:
        for method in ("POST", "DELETE", "PUT", "PATCH"):
            answer = requests.request(method, KUCOIN + "/api/v1/orders", data=body, timeout=5)
            if answer.status_code >= 500:
                say(method=method, body=body[:20].decode("latin-1"), status=answer.status_code)
    for path in (
        "/%00/..%2f..",
        "//",
        "/api/v1/market/candles?symbol=%ff&type=\u20ac",
        "/api/v1/orders/" + "x" * 5000,
        "/?" + "a=1&" * 5000,
    ):
        answer = requests.get(KUCOIN + path, timeout=5)
        if answer.status_code >= 500:
            say(path=path[:20], status=answer.status_code)
    side = {
        "clientOid": "x",
        "side": {"a": [1]},
        "symbol": ["BTC-USDT"],
        "type": 7,
        "size": None,
        "price": "NaN",
    }
    answer = requests.post(KUCOIN + "/api/v1/orders", json=side, timeout=5)
    say(status=answer.status_code, body=answer.text[:200])
    look_for_ever()


def strangers():
    import socket
    import urllib.request

    import requests

    def attempt(name, function):
        try:
            function()
        except Exception as error:
            say(
                tried=name,
                kind=type(error).__module__ + "." + type(error).__qualname__,
                text=str(error)[:400],
            )
        else:
            say(tried=name, kind="")

    attempt("requests", lambda: requests.get("https://api.telegram.org/bot1/sendMessage?text=hi", timeout=5))
    attempt("urllib", lambda: urllib.request.urlopen("https://hooks.slack.com/x", data=b"{}", timeout=5))
    attempt("socket", lambda: socket.create_connection(("93.184.216.34", 443), timeout=5))
    attempt("venue by socket", lambda: socket.create_connection(("api.kucoin.com", 443), timeout=5))
    attempt("loopback", lambda: socket.create_connection(("127.0.0.1", 6379), timeout=5))
    attempt("dns", lambda: socket.getaddrinfo("example.com", 443))
    attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53)))
    attempt("curl", lambda: subprocess.run(["curl", "-s", "https://example.com"], check=True))

    async def stream():
        import websockets

        async with websockets.connect("wss://ws-api-spot.kucoin.com/?token=x"):
            pass

    async def aiohttp_stream():
        import aiohttp

        async with aiohttp.ClientSession() as session, session.ws_connect("wss://ws-api-spot.kucoin.com/"):
            pass

    attempt("websockets", lambda: asyncio.run(stream()))
    attempt("aiohttp websocket", lambda: asyncio.run(aiohttp_stream()))
    look_for_ever()


def write_outside():
    with open(os.path.join(HERE, "where.txt")) as file:
        where = file.read()
    os.environ["WHERE"] = where
    os.system('echo "a bot was here" >> "$WHERE"')  # Python's own writes are refused
    look_for_ever()


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            say(daemon="lives")
            time.sleep(900)
    os.wait()
    look_for_ever()


def busy_child():
    # A child that computes for ever holds the time of all.
    subprocess.Popen([sys.executable, "-c", "while True: pass"])
    look_for_ever()


def sell_what_has_no_data():
    """Buy a coin whose candles end before the run does, and hold on to it."""
    import requests

    while True:
        order = {
            "clientOid": f"gone-{int(time.time())}",
            "symbol": "GONE-USDT",
            "side": "buy",
            "type": "market",
            "size": "1",
        }
        answer = requests.post(KUCOIN + "/api/v1/orders", json=order, timeout=5).json()
        price = requests.get(TICKER.replace("BTC", "GONE"), timeout=5).json()
        say(code=answer["code"], text=answer.get("msg"), price=(price.get("data") or {}).get("price"))
        time.sleep(900)


def mind_ones_business():
    look_for_ever()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
