"""Brings the shim up, in this order; whatever fails ends the process.

The real primitives are kept, the orchestrator says hello, then time, chance and threads are taken over, then
every way to a network, then what starts children. The next `sitecustomize` on the path runs last, as a part of
the bot's own environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from _replay_shim import ending, real  # noqa: F401 - the real primitives, before anything is replaced

__all__ = ["activate", "chain"]

PROTOCOL_VERSION = 1
_NEEDED = ("REPLAY_BOT_SOCKET", "REPLAY_TOKEN", "REPLAY_COMPONENT", "REPLAY_BOT_PROCESS")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "ftp_proxy")
_DUMP_SIGNAL = 10  # above the first real-time signal


def activate(file: str) -> None:
    """Bring the shim up.

    Parameters
    ----------
    file
        The `sitecustomize` that calls: its folder is the shim's.
    """
    try:
        _bring_up(_folder_of(file))
    except BaseException as error:  # noqa: BLE001 - whatever it is: without its shim a bot does not run
        ending.refuse(f"the shim failed, the bot is not run: {ending.describe(error)}")


def chain(file: str) -> None:
    """Run the `sitecustomize` that would have run without the shim; what it raises, `site` reports as ever."""
    from importlib.machinery import PathFinder  # noqa: PLC0415 - costs nothing: `site` has imported it
    from importlib.util import module_from_spec  # noqa: PLC0415

    folder = _folder_of(file)
    rest = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _folder_of(file: str) -> str:
    return os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120 - pathlib costs every child its import


def _bring_up(folder: str) -> None:
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        ending.refuse(
            f"no orchestrator: {', '.join(missing)} is not set; the folder {folder} belongs on PYTHONPATH only in"
            " processes that Replay starts"
        )
    from _replay_shim import children, clock, guard, hooks, http_answer, kept_out, link, pipes  # noqa: PLC0415 - see above

    _write_stacks_on_request()
    for name in _PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    connection = link.Link(os.environ["REPLAY_BOT_SOCKET"])
    welcome = _say_hello(connection, os.environ["REPLAY_BOT_PROCESS"])
    time = clock.Clock(connection, welcome)
    time.may_run_ahead = "." not in os.environ["REPLAY_BOT_PROCESS"]
    if not time.may_run_ahead:
        time.horizon_ns = time.now_ns()
    from _replay_shim import virtual  # noqa: PLC0415 - see above

    world = virtual.install(time, welcome)
    answers = http_answer.Answers(time, welcome["hosts"], welcome["latency_ns"])
    guard.install(answers, connection.path)
    kept_out.install(time, welcome["folder"])
    hooks.install()
    _install_interceptors(answers)

    def say_hello(process: str) -> None:
        connection.reopen()
        time.may_run_ahead = False
        world.begin_anew(_say_hello(connection, process))

    family = children.Family(time, os.environ["REPLAY_BOT_PROCESS"], folder, say_hello)
    children.install(family)
    pipes.install(family)


def _install_interceptors(answers: Any) -> None:
    from _replay_shim import (  # noqa: PLC0415 - see above
        http_aiohttp,
        http_httpx,
        http_requests,
        http_stdlib,
        http_urllib3,
    )

    for interceptor in (http_stdlib, http_urllib3, http_requests, http_httpx, http_aiohttp):
        interceptor.install(answers)


def _say_hello(connection: Any, process: str) -> Any:
    welcome, _ = connection.call(
        {
            "op": "hello",
            "version": PROTOCOL_VERSION,
            "token": os.environ["REPLAY_TOKEN"],
            "component": os.environ["REPLAY_COMPONENT"],
            "process": process,
            "pid": os.getpid(),
            "python": ".".join(map(str, sys.version_info[:3])),
        }
    )
    return welcome


# When simulated time stands still for too long, the orchestrator asks where: the handler is C, and works while
# the interpreter is busy or waits.
def _write_stacks_on_request() -> None:
    path = os.environ.get("REPLAY_BOT_STACK")
    if not path:
        return
    import faulthandler  # noqa: PLC0415 - built in, and only where a watchdog listens
    import signal  # noqa: PLC0415

    number = getattr(signal, "SIGRTMIN", None)
    if number is None:
        return  # macOS has no real-time signals
    file = open(path, "ab", buffering=0)  # noqa: PTH123, SIM115 - stays open for as long as the process lives
    _kept.append(file)
    faulthandler.register(number + _DUMP_SIGNAL, file=file, all_threads=True)


_kept: list[Any] = []
