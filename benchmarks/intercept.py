"""What a request of an unmodified bot costs when its exchange is emulated, the way to the orchestrator included.

usage: python benchmarks/intercept.py [--requests 2000]

Prints `intercept_overhead_us`: microseconds of wall time for a GET by a session of requests, signed like
KuCoin's, `cached` when its answer is known for this tick and `uncached` when the orchestrator is asked; and a line
for each other client. The orchestrator is one that answers at once; both processes share one core, as in a run.
The median of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from components.bot import INJECT_FOLDER

HEAD = struct.Struct("<II")
FAR_NS = 10**18
BODY = json.dumps(
    {
        "code": "200000",
        "data": [["1704067200", "37010.2", "37080.5", "37100.0", "36990.1", "12.5", "46"]] * 60,
    }
)

BOT = """
import json, statistics, sys
from _replay_shim import real
requests_count = int(sys.argv[1])
URL = "https://api.kucoin.com/api/v1/%s?symbol=BTC-USDT&type=1hour"
KNOWN, ASKED = URL % "known", URL % "asked"
HEADERS = {"KC-API-KEY": "k", "KC-API-SIGN": "s" * 44, "KC-API-TIMESTAMP": "1704067200000",
    "KC-API-PASSPHRASE": "p" * 44, "KC-API-KEY-VERSION": "2", "Content-Type": "application/json",
    "User-Agent": "kucoin-python-sdk/1.0.26"}
def microseconds(ask):
    rounds = []
    for _ in range(9):
        began = real.clock_gettime(4)
        for _ in range(requests_count // 9 + 1):
            ask()
        rounds.append((real.clock_gettime(4) - began) * 1e6 / (requests_count // 9 + 1))
    return statistics.median(rounds)
def both(get):
    get(KNOWN)
    return [microseconds(lambda: get(KNOWN)), microseconds(lambda: get(ASKED))]
import asyncio, http.client, urllib.request
import aiohttp, httpx, requests, urllib3
session, pool, client = requests.Session(), urllib3.PoolManager(), httpx.Client()
figures = {
    "overhead": both(lambda url: session.get(url, headers=HEADERS, timeout=5)),
    "requests.get": both(lambda url: requests.get(url, headers=HEADERS, timeout=5)),
    "urllib3": both(lambda url: pool.request("GET", url, headers=HEADERS)),
    "urllib.request": both(lambda url: urllib.request.urlopen(url).read()),
    "httpx": both(lambda url: client.get(url, headers=HEADERS)),
}
async def aio():
    async with aiohttp.ClientSession() as s:
        async def get(url):
            async with s.get(url, headers=HEADERS) as response:
                return await response.read()
        async def timed(url):
            await get(url)
            began = real.clock_gettime(4)
            for _ in range(requests_count // 2):
                await get(url)
            return (real.clock_gettime(4) - began) * 1e6 / (requests_count // 2)
        return [await timed(KNOWN), await timed(ASKED)]
figures["aiohttp"] = asyncio.run(aio())
print(json.dumps(figures))
"""


def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the next call of the bot; EOFError when it is gone."""
    text_size, body_size = HEAD.unpack(exactly(connection, HEAD.size))
    text = exactly(connection, text_size)
    exactly(connection, body_size)
    message: dict[str, Any] = json.loads(text)
    return message


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def answer(message: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return what an orchestrator that does nothing else would answer."""
    now_ns = message.get("t", 1_704_067_200_000_000_000)
    reply: dict[str, Any] = {"now": now_ns, "horizon": now_ns + FAR_NS, "open_orders": False}
    if message["op"] == "hello":
        reply |= {"seed": "00" * 32, "tick_ns": 60 * 10**9, "tick_anchor_ns": 0, "burst": None, "phase_ns": 0}
        reply |= {"folder": "/nowhere", "latency_ns": 1000, "hosts": ["api.kucoin.com"], "sim_end": FAR_NS}
    if message["op"] != "http":
        return reply, b""
    is_known = "/known" in message["url"]
    headers = [["Content-Type", "application/json"], ["gw-ratelimit-remaining", "1997"]]
    reply |= {
        "status": 200,
        "reason": "OK",
        "headers": headers,
        "valid_until": now_ns + FAR_NS if is_known else None,
    }
    return reply, BODY.encode()


def serve(listener: socket.socket) -> None:
    """Answer one bot until it is gone."""
    connection, _ = listener.accept()
    try:
        while True:
            reply, body = answer(receive(connection))
            text = json.dumps(reply, separators=(",", ":")).encode()
            connection.sendall(HEAD.pack(len(text), len(body)) + text + body)
    except EOFError:
        return


def environment(path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(INJECT_FOLDER),
        "PYTHONHASHSEED": "0",
        "REPLAY_BOT_SOCKET": str(path),
        "REPLAY_BOT_PROCESS": "0",
        "REPLAY_COMPONENT": "bot",
        "REPLAY_TOKEN": "token",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "socket"
        listener.bind(str(path))
        listener.listen()
        command = [sys.executable, "-c", BOT, str(options.requests)]
        with subprocess.Popen(command, env=environment(path), stdout=subprocess.PIPE, text=True) as bot:
            serve(listener)
            output, _ = bot.communicate()
    if bot.returncode:
        raise SystemExit(f"the bot ended with status {bot.returncode}")
    for name, (cached, uncached) in json.loads(output).items():
        label = "intercept_overhead_us" if name == "overhead" else f"intercept_{name}_us"
        print(f"{label}: cached {cached:.1f} uncached {uncached:.1f}")


if __name__ == "__main__":
    main()
