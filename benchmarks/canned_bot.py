"""Runs a bot's script with canned answers and without sleeping, and prints the CPU seconds that it used to stderr.

usage: python canned_bot.py SCRIPT REQUESTS ANSWERS.json transport|session

What is measured is the bot's own code: no network, no replay. It ends after so many requests. Answers are canned in
place of the transport, so that requests prepares and reads them as it does live, or in place of the whole of requests.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

JSON = {"Content-Type": "application/json"}


class Enough(BaseException):
    """The bot has made all its requests; nothing that catches `Exception` catches it."""


def main() -> None:
    script, count = sys.argv[1], int(sys.argv[2])
    answers: dict[str, str] = json.loads(Path(sys.argv[3]).read_text())
    bodies = {url: body.encode() for url, body in answers.items()}
    left = count

    def body_of(method: str, url: str) -> bytes:
        nonlocal left
        if method.upper() != "GET" or url not in bodies:
            raise SystemExit(f"no canned answer to {method} {url}")
        if left == 0:
            raise Enough
        left -= 1
        return bodies[url]

    def answer(_session: Any, method: str, url: str, **_options: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.encoding, response.url = 200, "utf-8", url
        response._content = body_of(method, url)
        return response

    def send(adapter: Any, request: Any, **_options: Any) -> requests.Response:
        body = io.BytesIO(body_of(request.method, request.url))
        raw = HTTPResponse(body=body, status=200, headers=JSON, preload_content=False)
        return adapter.build_response(request, raw)  # type: ignore[no-any-return]

    began = time.time()
    if sys.argv[4] == "transport":
        HTTPAdapter.send = send  # type: ignore[method-assign,assignment]
    else:
        requests.Session.request = answer  # type: ignore[method-assign,assignment]
    time.sleep = lambda _seconds: None
    time.time = lambda: began
    sys.stdout = Path("printed.txt").open("w")  # noqa: SIM115 - for as long as the bot runs
    sys.argv = [script]
    sys.path.insert(0, ".")
    with contextlib.suppress(Enough):
        runpy.run_path(script, run_name="__main__")
    print(time.process_time(), file=sys.stderr)


if __name__ == "__main__":
    main()
