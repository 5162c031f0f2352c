"""The one way in which the shim gives up: a line on standard error, and the end of the process.

Python prints what a `sitecustomize` raises and runs the program all the same, and bots swallow exceptions. So
nothing is raised: `os._exit` runs no handler of the bot, and its status says whose decision it was.
"""

from __future__ import annotations

import os
from typing import NoReturn

__all__ = ["EXIT_STATUS", "describe", "refuse"]

EXIT_STATUS = 70  # EX_SOFTWARE of sysexits.h

_write = os.write
_exit = os._exit


def refuse(reason: str) -> NoReturn:
    """Write the reason to standard error and end the process at once."""
    line = "replay: " + " ".join(reason.split()) + "\n"
    try:
        _write(2, line.encode("utf-8", "backslashreplace"))
    finally:
        _exit(EXIT_STATUS)


def describe(error: BaseException) -> str:
    """Return an exception as one line, with the place that raised it."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"  # noqa: PTH119 - pathlib costs every child its import
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
