"""One small site, answered by a real server on loopback, or by the orchestrator that stands in."""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import socketserver
import struct
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.bot.fake_orchestrator import Message

Headers = list[tuple[str, str]]

JSON_TYPE = ("Content-Type", "application/json")
LIMITS = [("gw-ratelimit-reset", "12"), ("Retry-After", "0")]
KEPT_HEADERS = ("x-test", "content-type", "cookie", "authorization", "content-length")


class Reply(NamedTuple):
    """What the site answers; a failure instead of an answer if `failure` is set."""

    status: int = 200
    reason: str = "OK"
    headers: Headers = []  # noqa: RUF012 - never changed
    body: bytes = b""
    failure: str | None = None


def reply_to(method: str, target: str, headers: Headers, body: bytes) -> Reply:
    """Return the site's answer to a request."""
    path = urllib.parse.urlsplit(target).path
    if path == "/echo":
        kept = sorted((key.lower(), value) for key, value in headers if key.lower() in KEPT_HEADERS)
        value = {"method": method, "target": target, "headers": kept, "body": body.decode("latin-1")}
        return Reply(headers=[JSON_TYPE], body=json.dumps(value).encode())
    return PAGES.get(path, Reply(404, "Not Found", [JSON_TYPE], b'{"code":"404000","msg":"not found"}'))


PAGES = {
    "/json": Reply(headers=[JSON_TYPE], body=b'{"code":"200000","data":[["1","2"],["3","4"]]}'),
    "/text": Reply(headers=[("Content-Type", "text/plain; charset=iso-8859-1")], body=b"n\xe9\nzwei\ndrei\n"),
    "/untyped": Reply(body=b"\x00\x01plain"),
    "/gzip": Reply(headers=[JSON_TYPE, ("Content-Encoding", "gzip")], body=gzip.compress(b'{"packed":true}', mtime=0)),
    "/big": Reply(headers=[("Content-Type", "application/octet-stream")], body=bytes(range(256)) * 1200),
    "/empty": Reply(204, "No Content"),
    "/created": Reply(201, "Created", [JSON_TYPE], b'{"id":"1"}'),
    "/bad": Reply(400, "Bad Request", [JSON_TYPE], b'{"code":"400100","msg":"bad"}'),
    "/limited": Reply(429, "Too Many Requests", [JSON_TYPE, *LIMITS], b'{"code":"429000"}'),
    "/broken": Reply(500, "Internal Server Error", [("Content-Type", "text/html")], b"<h1>broken</h1>"),
    "/redirect": Reply(302, "Found", [("Location", "/echo?from=redirect")], b"over there"),
    "/moved": Reply(301, "Moved Permanently", [("Location", "/echo")]),
    "/temporary": Reply(307, "Temporary Redirect", [("Location", "/echo")]),
    "/loop": Reply(302, "Found", [("Location", "/loop")]),
    "/cookie": Reply(headers=[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")], body=b"set"),
    "/slow": Reply(failure="timeout"),
    "/reset": Reply(failure="reset"),
}  # fmt: skip


def orchestrated(message: Message, body: bytes) -> tuple[Message, bytes]:
    """Return the site's answer to an "http" call; `localhost` is a host that nobody emulates."""
    url = urllib.parse.urlsplit(message["url"])
    if url.hostname != "127.0.0.1":
        return {"failure": "refused", "message": "Connection refused"}, b""
    target = url.path + (f"?{url.query}" if url.query else "")
    reply = reply_to(message["method"], target, [(k, v) for k, v in message["headers"]], body)
    if reply.failure == "timeout":
        return {"failure": "timeout", "now": message["t"] + int(message["timeout"] * 1e9)}, b""
    if reply.failure is not None:
        return {"failure": reply.failure}, b""
    answer: Message = {"status": reply.status, "reason": reply.reason, "headers": reply.headers}
    if url.path in PAGES and message["method"] == "GET":
        answer["valid_until"] = message["t"] + 10**15  # a page is always the same, so it may be kept
    return answer, reply.body


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self._body()
        reply = reply_to(self.command, self.path, list(self.headers.items()), body)
        if reply.failure == "timeout":
            assert isinstance(self.server, _Server)
            self.server.is_closing.wait(5)
        if reply.failure is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()  # a reset, since nothing may linger
            return
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _answer  # noqa: N815 - names of the base

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_arguments: Any) -> None:
        """Write nothing."""

    def finish(self) -> None:
        if not self.connection._closed:
            super().finish()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.is_closing = threading.Event()
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, *_arguments: Any) -> None:
        """A client that gave up is no error."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the site on a free port of loopback and give its address."""
    server = _Server(_Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.is_closing.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
