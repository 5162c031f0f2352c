"""The real primitives, kept before anything is replaced: the shim's own waits and its link use these.

Imported before every other module of the shim that replaces something.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import threading
import time
from typing import Any

__all__ = [
    "POLLIN", "POLLOUT", "allocate_lock", "asctime", "clock_gettime", "clock_gettime_ns", "ctime", "epoll", "get_ident",
    "getsignal", "is_alive", "join", "poll",
    "process_time_ns", "read", "select_", "signal_", "sigtimedwait", "sleep",
    "start_joinable_thread", "start_new_thread", "urandom", "waitid", "write",
]  # fmt: skip

allocate_lock = _thread.allocate_lock
get_ident = _thread.get_ident
start_new_thread = _thread.start_new_thread
start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)  # Python 3.13

join = threading.Thread.join
is_alive = threading.Thread.is_alive

sleep = time.sleep
ctime = time.ctime
asctime = time.asctime
process_time_ns = time.process_time_ns
clock_gettime = time.clock_gettime
clock_gettime_ns = time.clock_gettime_ns

select_ = select.select
poll = select.poll
POLLIN = select.POLLIN
POLLOUT = select.POLLOUT
epoll: Any = getattr(select, "epoll", None)  # Linux

signal_ = signal.signal
getsignal = signal.getsignal
sigtimedwait: Any = getattr(signal, "sigtimedwait", None)  # not on macOS

urandom = os.urandom
read = os.read
waitid = os.waitid
write = os.write
