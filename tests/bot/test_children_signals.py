"""A signal that another process has a handler for has been heard there when its sender goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

HEARER = """
import select, signal, sys, threading, time
def hear(number, frame):
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    sys.stdout.write("heard\\n")
    sys.stdout.flush()
    if sys.argv[1] == "leave":
        sys.exit()
signal.signal(signal.SIGUSR1, hear)
threading.Thread(target=select.select, args=([], [], []), daemon=True).start()
print("ready", flush=True)
while True:
    select.select([], [], [], 60)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110 - Linux
@pytest.mark.parametrize("how", ["stay", "leave"])
def test_a_handler_has_run_when_kill_returns(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inject = os.path.join(os.path.dirname(__file__), "../../components/bot/inject")  # noqa: PTH118, PTH120
    monkeypatch.syspath_prepend(inject)
    from _replay_shim import children  # noqa: PLC0415 - only on the path of bots

    monkeypatch.setattr(os, "kill", os.kill)
    monkeypatch.setattr(os, "killpg", os.killpg)
    family: Any = SimpleNamespace(born_ns={})
    children._replace_kills(family)
    hearer = subprocess.Popen([sys.executable, "-c", HEARER, how], stdout=subprocess.PIPE)
    assert hearer.stdout is not None
    try:
        assert hearer.stdout.readline() == b"ready\n"
        os.kill(hearer.pid, 10)
        os.set_blocking(hearer.stdout.fileno(), False)
        assert os.read(hearer.stdout.fileno(), 100) == b"heard\n"
    finally:
        hearer.kill()
        hearer.communicate(timeout=10)
