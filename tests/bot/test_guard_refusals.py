"""What would reach a network is refused, says so, and is counted; what stays on the machine by itself goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bot.fake_orchestrator import Message
from tests.bot.programs import run_in_replay

FRAME = """
import asyncio, json, os, socket, sys
result = None
def error_of(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except BaseException as error:
        return [type(error).__name__, isinstance(error, OSError), str(error)]
BODY
print(json.dumps(result))
"""


def run(folder: Path, body: str, **settings: Any) -> Any:
    """Run statements that set `result`, with KuCoin emulated."""
    settings.setdefault("hello", {"hosts": ["api.kucoin.com"]})
    return run_in_replay(folder, FRAME.replace("BODY", body), **settings)


# what is tried, what is refused (what, target), what the exception is
REFUSED = {
    "connect": (
        "error_of(socket.create_connection, ('192.0.2.1', 443), 3)",
        ("socket.connect", "192.0.2.1:443"), "ConnectionRefusedError",
    ),
    "connect to a service of this machine": (
        "error_of(socket.create_connection, ('127.0.0.1', 6379))",
        ("socket.connect", "127.0.0.1:6379"), "ConnectionRefusedError",
    ),
    "connect_ex": (
        "error_of(socket.socket().connect_ex, ('192.0.2.1', 80))",
        ("socket.connect", "192.0.2.1:80"), "ConnectionRefusedError",
    ),
    "IPv6": (
        "error_of(socket.socket(socket.AF_INET6).connect, ('2001:db8::1', 80))",
        ("socket.connect", "2001:db8::1:80"), "ConnectionRefusedError",
    ),
    "resolve": (
        "error_of(socket.getaddrinfo, 'api.example.com', 443)",
        ("socket.getaddrinfo", "api.example.com"), "gaierror",
    ),
    "resolve a name that begins like an address of this machine": (
        "error_of(socket.getaddrinfo, '127.example.com', 443)",
        ("socket.getaddrinfo", "127.example.com"), "gaierror",
    ),
    "resolve a name of digits": (
        "error_of(socket.getaddrinfo, '1.2.3.4.5', 443)",
        ("socket.getaddrinfo", "1.2.3.4.5"), "gaierror",
    ),
    "resolve in the old way": (
        "error_of(socket.gethostbyname, 'api.example.com')",
        ("socket.gethostbyname", "api.example.com"), "gaierror",
    ),
    "sendto": (
        "error_of(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b'x', ('192.0.2.1', 53))",
        ("socket.sendto", "192.0.2.1:53"), "ConnectionRefusedError",
    ),
    "sendmsg": (
        "error_of(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg, [b'x'], [], 0, ('192.0.2.1', 53))",
        ("socket.sendmsg", "192.0.2.1:53"), "ConnectionRefusedError",
    ),
    "a Unix socket": (
        "error_of(socket.socket(socket.AF_UNIX).connect, '/run/docker.sock')",
        ("socket.connect", "/run/docker.sock"), "ConnectionRefusedError",
    ),
    "listen to the world": (
        "error_of(socket.socket().bind, ('0.0.0.0', 0))",
        ("socket.bind", "0.0.0.0:0"), "OSError",
    ),
    "mail": (
        "error_of(__import__('smtplib').SMTP, 'mail.example.com')",
        ("socket.getaddrinfo", "mail.example.com"), "gaierror",
    ),
    "ftp": (
        "error_of(__import__('ftplib').FTP, 'ftp.example.com')",
        ("socket.getaddrinfo", "ftp.example.com"), "gaierror",
    ),
    "asyncio": (
        "error_of(asyncio.run, asyncio.wait_for(asyncio.open_connection('api.example.com', 443), 3))",
        ("asyncio.create_connection", "api.example.com:443"), "ConnectionRefusedError",
    ),
    "a raw connection to an exchange": (
        "error_of(socket.create_connection, ('api.kucoin.com', 443))",
        ("socket.getaddrinfo", "api.kucoin.com"), "gaierror",
    ),
    "TLS to an exchange by asyncio": (
        "error_of(asyncio.run, asyncio.wait_for(asyncio.open_connection('api.kucoin.com', 443, ssl=True), 3))",
        ("asyncio.create_connection", "api.kucoin.com:443"), "ConnectionRefusedError",
    ),
    "websockets": (
        ("__import__('websockets.asyncio.client')\n"
        "async def main():\n"
        "    async with sys.modules['websockets.asyncio.client'].connect('wss://api.kucoin.com/ws', open_timeout=5):\n"
        "        pass\n"
        "result = error_of(asyncio.run, main())"),
        ("asyncio.create_connection", "api.kucoin.com:443"), "ConnectionRefusedError",
    ),
    "websockets without asyncio": (
        "result = error_of(__import__('websockets.sync.client').sync.client.connect, 'wss://api.kucoin.com/ws')",
        ("socket.getaddrinfo", "api.kucoin.com"), "gaierror",
    ),
    "a websocket by aiohttp": (
        ("import aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        await session.ws_connect('wss://api.kucoin.com/ws')\n"
        "result = error_of(asyncio.run, main())"),
        ("websocket", "wss://api.kucoin.com/ws"), "ClientConnectorError",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_way_to_a_network_is_refused_and_counted(case: str, tmp_path: Path) -> None:
    body, target, kind = REFUSED[case]
    ended = run(tmp_path, body if "result" in body else f"result = {body}")
    name, is_os_error, message = ended.value
    assert (name, is_os_error) == (kind, True)
    assert "replay" in message
    assert [(call["what"], call["target"]) for call in ended.calls if call["op"] == "refused"] == [target]
    if "api.kucoin.com" in target[1]:
        assert "not emulated by this replay" in message


def test_a_loop_of_refusals_takes_simulated_time(tmp_path: Path) -> None:
    body = """
import time
began = time.time()
count = 0
while time.time() - began < 1:
    error_of(socket.create_connection, ("192.0.2.1", 443))
    count += 1
result = count
"""
    assert run(tmp_path, body).value <= 21


def test_what_stays_in_the_process_goes_on(tmp_path: Path) -> None:
    body = """
import threading
left, right = socket.socketpair()
left.sendall(b"pair")
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.sendall(b"loop")
other, _ = server.accept()
names = [error_of(socket.getaddrinfo, host, 80) for host in ("127.0.0.1", "localhost", "192.0.2.1", None)]
result = [right.recv(9).decode(), other.recv(9).decode(), names, asyncio.run(asyncio.sleep(1, "slept"))]
"""
    ended = run(tmp_path, body)
    assert ended.value == ["pair", "loop", [None] * 4, "slept"]
    assert [call for call in ended.calls if call["op"] == "refused"] == []


def test_a_client_in_c_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pycurl.py").write_text(
        "class error(Exception): pass\nclass Curl: pass\nclass CurlMulti: pass\n"
    )
    ended = run(tmp_path, "import pycurl\nresult = error_of(pycurl.Curl)")
    assert ended.value[0] == "error"
    assert [call["what"] for call in ended.calls if call["op"] == "refused"] == ["pycurl.Curl"]


def test_uvloop_is_replaced_by_asyncio(tmp_path: Path) -> None:
    pytest.importorskip("uvloop", reason="uvloop does not exist for this system")
    body = """
import time, uvloop
def how(run):
    began = time.monotonic()
    async def main():
        await asyncio.sleep(3600)
        return type(asyncio.get_running_loop()).__module__
    return [run(main()), round(time.monotonic() - began)]
result = [how(uvloop.run)]
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    result.append(how(runner.run))
uvloop.install()
result.append(how(asyncio.run))
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
result.append(how(asyncio.run))
async def connect():
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, "192.0.2.1", 443)
result.append(error_of(asyncio.run, connect())[0])
"""
    ended = run(tmp_path, body)
    assert ended.value == [["asyncio.unix_events", 3600]] * 4 + ["ConnectionRefusedError"]
    assert "uvloop" in ended.errors


def test_proxies_of_the_environment_are_left_out(tmp_path: Path) -> None:
    def answer(message: Message, _body: bytes) -> tuple[Message, bytes]:
        return {"status": 200}, message["url"].encode()

    body = """
import urllib.request
result = [urllib.request.urlopen("https://api.kucoin.com/x").read().decode(), os.environ.get("HTTPS_PROXY")]
"""
    ended = run(tmp_path, body, answer=answer, environment={"HTTPS_PROXY": "http://proxy.example.com:3128"})
    assert ended.value == ["https://api.kucoin.com/x", None]


def test_a_request_to_a_host_that_is_not_emulated_is_asked_and_refused(tmp_path: Path) -> None:
    def answer(message: Message, _body: bytes) -> tuple[Message, bytes]:
        return {"failure": "refused", "message": "api.example.com is not emulated"}, b""

    body = """
import http.client, requests
result = [error_of(requests.get, "https://api.example.com/v1"),
    error_of(http.client.HTTPSConnection("api.example.com").request, "GET", "/v1")]
"""
    ended = run(tmp_path, body, answer=answer)
    assert [(name, "is not emulated" in message) for name, _, message in ended.value] == [
        ("ConnectionError", True),
        ("ConnectionRefusedError", True),
    ]
    assert [call["url"] for call in ended.calls if call["op"] == "http"] == [
        "https://api.example.com/v1", "https://api.example.com:443",
    ]  # fmt: skip
