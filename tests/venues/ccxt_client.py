"""ccxt's own clients with their wire replaced: requests go into a simulated run instead of a socket."""

from __future__ import annotations

from typing import Any

import ccxt

from tests.venues.simulated_run import MS, SimulatedRun

REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
}


def ccxt_client(name: str, run: SimulatedRun, **config: Any) -> Any:
    """Return a ccxt exchange whose `fetch` and clock are those of the run.

    What ccxt does to a decoded answer, its error handling included, stays its own.
    """
    base: Any = getattr(ccxt, name)

    class Client(base):  # type: ignore[misc]  # ccxt has no types
        sent: list[str]

        def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            headers = self.prepare_request_headers(headers)
            self.sent.append(f"{method} {url}")
            answer = run.send(method, url, headers=headers, body=body or b"")
            text = answer.body.decode()
            parsed = self.parse_json(text)
            status, reason = answer.status, REASONS.get(answer.status, "")
            self.handle_errors(status, reason, url, method, dict(answer.headers), text, parsed, headers, body)
            self.handle_http_status_code(status, reason, url, method, text)
            return text if parsed is None else parsed

        def milliseconds(self) -> int:
            return run.now_ns // MS

        def nonce(self) -> int:
            return self.milliseconds()

    client = Client({"enableRateLimit": False, **config})
    client.sent = []
    return client
