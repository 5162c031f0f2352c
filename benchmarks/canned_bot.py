"""Runs a bot's script with canned answers and without sleeping, and prints the CPU seconds that it used to stderr.

usage: python canned_bot.py SCRIPT REQUESTS ANSWERS.json

What is measured is the bot's own code with its libraries: no network, no replay. It ends after so many requests.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import requests


class Enough(BaseException):
    """The bot has made all its requests; nothing that catches `Exception` catches it."""


def main() -> None:
    script, count, answers = sys.argv[1], int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    bodies = {url: body.encode() for url, body in answers.items()}
    left = count

    def answer(_session: Any, method: str, url: str, **_options: Any) -> requests.Response:
        nonlocal left
        if method.upper() != "GET" or url not in bodies:
            raise SystemExit(f"no canned answer to {method} {url}")
        if left == 0:
            raise Enough
        left -= 1
        response = requests.Response()
        response.status_code = 200
        response._content = bodies[url]
        response.encoding = "utf-8"
        response.url = url
        return response

    began = time.time()
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
