"""Every way to read a clock and every way to wait, as a program: `time_cases.py CASE SECONDS`.

Each case returns what must be the same natively and in replay, and takes so many units of time.
"""

# mypy: ignore-errors
# Written as the authors of bots write: without types, and with clocks that know no time zone.
# ruff: noqa: DTZ002, DTZ003, DTZ005, DTZ011

from __future__ import annotations

import _thread
import asyncio
import datetime as dt
import io
import json
import logging
import pickle
import queue
import select
import selectors
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent import futures
from typing import Any

UNIT = float(sys.argv[2]) if __name__ == "__main__" else 0.0
CASES: dict[str, tuple[float, Callable[[], Any]]] = {}  # name: units that it takes, the program


def takes(units: float) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a case."""

    def register(case: Callable[[], Any]) -> Callable[[], Any]:
        CASES[case.__name__.removeprefix("case_")] = units, case
        return case

    return register


def kind(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the type of what a call returns, or what it raises."""
    try:
        return type(function(*arguments)).__name__
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return f"{type(error).__name__}: {error}"


def wrong(function: Callable[..., Any], *arguments: Any) -> str:
    """Return only the type of what a call raises."""
    return kind(function, *arguments).partition(":")[0]


@takes(3)
def case_sleep() -> Any:
    return [time.sleep(UNIT), time.sleep(2 * UNIT), time.sleep(0), time.sleep(False)]


@takes(0)
def case_sleep_errors() -> Any:
    return [kind(time.sleep, x) for x in (-1, -0.1, "a", None, float("nan"), 1e30, 10**30, [])] + [
        wrong(time.sleep),
        wrong(time.sleep, 1, 2),
    ]


@takes(0)
def case_sleep_of_an_index() -> Any:
    class Zero:
        def __index__(self):
            return 0

    return time.sleep(Zero())


@takes(0)
def case_clocks() -> Any:
    names = ["time", "time_ns", "localtime", "gmtime", "ctime", "asctime"]
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        names += [name, f"{name}_ns"]
    result = [kind(getattr(time, name)) for name in names]
    result += [kind(time.clock_gettime, i) for i in (0, 1, 2, 3, 4, 7, -1, "x")]
    result += [kind(time.clock_gettime_ns, i) for i in (0, 1, 2, 3, 4, 7)]
    result += [kind(time.strftime, "%Y"), kind(time.ctime, 0), time.ctime(0), time.asctime(time.gmtime(0))]
    result += [kind(time.ctime, "x"), kind(time.asctime, 1), wrong(time.monotonic, 1)]
    return result


@takes(0)
def case_clocks_rise() -> Any:
    reads = [[f() for _ in range(100)] for f in (time.time_ns, time.monotonic_ns, time.perf_counter_ns)]
    return [r == sorted(r) for r in reads]


@takes(0)
def case_clocks_agree() -> Any:
    now = dt.datetime.now(dt.UTC)
    return [
        abs(now.timestamp() - time.time()) < 5,
        abs(dt.datetime.utcnow().timestamp() - time.time()) < 5,
        dt.datetime.now().date() == dt.date.today(),
        dt.datetime.today().tzinfo is None,
        time.localtime()[:3] == time.gmtime()[:3],
        time.strftime("%Y") == str(now.year),
        str(now.year) in time.ctime(),
        time.asctime()[-4:] == str(now.year),
        abs(time.clock_gettime(time.CLOCK_REALTIME) - time.time()) < 5,
        abs(time.clock_gettime(time.CLOCK_MONOTONIC) - time.monotonic()) < 5,
    ]


@takes(0)
def case_pickle() -> Any:
    functions = (time.sleep, time.monotonic, time.time)
    return [pickle.loads(pickle.dumps(f)) == f for f in functions]  # noqa: S301 - its own


@takes(1)
def case_a_clock_as_an_attribute() -> Any:
    class Throttle:
        clock, sleep, wall = (time.monotonic, time.sleep, time.time)

    t = Throttle()
    began = t.clock()
    t.sleep(UNIT)
    return [t.clock() - began >= UNIT, type(t.wall()).__name__]


@takes(0)
def case_a_loop_on_the_clock() -> Any:
    end = time.time() + 0.02
    while time.time() < end:
        pass
    return time.time() >= end


@takes(3)
def case_event() -> Any:
    e = threading.Event()
    threading.Timer(2 * UNIT, e.set).start()
    result = [e.wait(UNIT), e.wait(), e.is_set(), e.wait(UNIT)]
    time.sleep(UNIT)
    return result


@takes(2)
def case_condition() -> Any:
    c = threading.Condition()
    box = []

    def give():
        time.sleep(UNIT)
        with c:
            box.append(1)
            c.notify_all()

    threading.Thread(target=give).start()
    with c:
        return [c.wait_for(lambda: box, 5 * UNIT), c.wait(UNIT)]


@takes(3)
def case_lock() -> Any:
    a = threading.Lock()
    result = [a.acquire(), a.acquire(False), a.acquire(timeout=UNIT), a.locked()]
    threading.Timer(UNIT, a.release).start()
    result += [a.acquire(timeout=5 * UNIT), a.release(), a.locked()]
    with a:
        time.sleep(UNIT)
    return result


@takes(0)
def case_lock_errors() -> Any:
    a = threading.Lock()
    a.acquire()
    result = [
        kind(a.acquire, False, 1),
        kind(a.acquire, True, -2),
        kind(a.acquire, True, "x"),
        kind(a.acquire, True, 1e30),
    ]
    a.release()
    result += [kind(a.release), kind(a.acquire, False, 1), kind(a.acquire, True, -2)]
    return result


@takes(1)
def case_reentrant_lock() -> Any:
    a = threading.RLock()
    result = [a.acquire(), a.acquire(), a.release(), a.release(), kind(a.release)]

    def hold():
        with a:
            time.sleep(UNIT)

    t = threading.Thread(target=hold)
    t.start()
    time.sleep(UNIT / 2)
    result += [a.acquire(blocking=False), a.acquire(timeout=5 * UNIT)]
    return result


@takes(3)
def case_condition_of_a_reentrant_lock() -> Any:
    lock = threading.RLock()
    condition = threading.Condition(lock)
    log = []

    def give():
        time.sleep(UNIT)
        with lock, lock, condition:
            log.append("given")
            condition.notify()
            time.sleep(UNIT)

    threading.Thread(target=give).start()
    with lock, condition:
        log += [condition.wait(5 * UNIT), wrong(threading.Condition(lock).notify), condition.wait(UNIT)]
    log += [wrong(condition.notify), wrong(condition.wait), kind(lock.release), lock.acquire(False)]
    threading.Thread(target=lambda: log.append(kind(lock.release))).start()
    time.sleep(0)
    return log


@takes(2)
def case_semaphore() -> Any:
    s = threading.BoundedSemaphore(1)
    result = [s.acquire(), s.acquire(timeout=UNIT), s.acquire(blocking=False)]
    threading.Timer(UNIT, s.release).start()
    result += [s.acquire(), s.release(), kind(s.release)]
    return result


@takes(1)
def case_barrier() -> Any:
    b = threading.Barrier(2)
    return [kind(b.wait, UNIT), b.broken]


@takes(2)
def case_timer() -> Any:
    box = []
    t = threading.Timer(UNIT, box.append, [1])
    u = threading.Timer(UNIT, box.append, [2])
    t.start()
    u.start()
    u.cancel()
    time.sleep(2 * UNIT)
    return [box, t.is_alive(), u.is_alive()]


@takes(3)
def case_thread() -> Any:
    t = threading.Thread(target=time.sleep, args=(2 * UNIT,))
    result = [t.is_alive(), kind(t.join)]
    t.start()
    result += [t.is_alive(), t.join(UNIT), t.is_alive(), t.join(), t.is_alive(), t.join(), kind(t.start)]
    d = threading.Thread(target=time.sleep, args=(50 * UNIT,), daemon=True)
    d.start()
    result += [d.join(UNIT), d.is_alive(), threading.active_count()]
    result += [kind(threading.current_thread().join)]
    return result


@takes(1)
def case_thread_that_raises() -> Any:
    threading.excepthook = lambda a: result.append(a.exc_type.__name__)
    result = []

    def fail():
        time.sleep(UNIT)
        raise ValueError("x")

    t = threading.Thread(target=fail)
    t.start()
    t.join()
    return result


@takes(1)
def case_raw_thread() -> Any:
    a = _thread.allocate_lock()
    a.acquire()

    def run(x, y=0):
        time.sleep(UNIT)
        box.append(x + y)
        a.release()

    box = []
    ident = _thread.start_new_thread(run, (1,), {"y": 2})
    return [type(ident).__name__, a.acquire(), box]


@takes(4)
def case_queue() -> Any:
    q = queue.Queue(1)
    result = [
        kind(q.get, True, UNIT),
        q.put(1),
        kind(q.put, 2, True, UNIT),
        kind(q.get_nowait),
        kind(q.get, False),
    ]
    threading.Timer(UNIT, q.put, [3]).start()
    result += [q.get(), kind(q.get, True, -1)]

    def work():
        time.sleep(UNIT)
        for _ in range(3):
            q.task_done()

    threading.Thread(target=work).start()
    result += [q.join()]
    return result


@takes(2)
def case_simple_queue() -> Any:
    q = queue.SimpleQueue()
    result = [kind(q.get, True, UNIT), kind(q.get_nowait), q.empty()]
    threading.Timer(UNIT, q.put, [3]).start()
    result += [q.get()]
    return result


@takes(4)
def case_futures() -> Any:
    def work(n):
        time.sleep(n * UNIT)
        return n

    with futures.ThreadPoolExecutor(2) as pool:
        made = [pool.submit(work, n) for n in (3, 1, 1)]
        done, left = futures.wait(made, 1.5 * UNIT)
        result = [len(done), len(left), kind(made[0].result, 0.1 * UNIT)]
        result += [[f.result() for f in futures.as_completed(made)][-1], list(pool.map(work, [1, 0.5]))]
    return result


@takes(3)
def case_select() -> Any:
    a, b = socket.socketpair()
    result = [select.select([], [], [], UNIT), select.select([a], [], [], UNIT)]
    threading.Timer(UNIT, b.send, [b"x"]).start()
    result += [
        select.select([a], [], [], 5 * UNIT)[0] == [a],
        len(select.select([], [b], [])[1]),
        kind(select.select, [], [], [], -1),
    ]
    result += [kind(select.select, [99], [], [], 0), kind(select.select, [], [], [], "x")]
    a.close()
    b.close()
    return result


@takes(3)
def case_poll() -> Any:
    a, b = socket.socketpair()
    p = select.poll()
    p.register(a, select.POLLIN)
    result = [p.poll(UNIT * 1000), p.poll(0)]
    threading.Timer(UNIT, b.send, [b"x"]).start()
    result += [
        [e for _, e in p.poll()],
        p.modify(a, 0),
        p.poll(UNIT * 1000),
        p.unregister(a),
        wrong(p.unregister, a),
    ]
    a.close()
    b.close()
    return result


@takes(2)
def case_epoll() -> Any:
    a, b = socket.socketpair()
    p = select.epoll()
    p.register(a, select.EPOLLIN)
    result = [p.poll(UNIT), p.poll(0), p.closed]
    threading.Timer(UNIT, b.send, [b"x"]).start()
    result += [
        [e for _, e in p.poll()],
        [e for _, e in p.poll(UNIT, 1)],
        p.close(),
        p.closed,
        kind(p.poll, 0),
    ]
    a.close()
    b.close()
    return result


@takes(4)
def case_selectors() -> Any:
    result = []
    for make in (
        selectors.DefaultSelector,
        selectors.EpollSelector,
        selectors.PollSelector,
        selectors.SelectSelector,
    ):
        a, b = socket.socketpair()
        with make() as s:
            s.register(a, selectors.EVENT_READ, "data")
            result += [s.select(0), s.select(UNIT / 2)]
            threading.Timer(UNIT / 2, b.send, [b"x"]).start()
            result += [[(k.data, e) for k, e in s.select()]]
        a.close()
        b.close()
    return result


@takes(6)
def case_asyncio() -> Any:
    async def work(n):
        await asyncio.sleep(n * UNIT)
        return n

    async def run():
        loop = asyncio.get_running_loop()
        result = [await asyncio.gather(work(1), work(0.5)), await asyncio.sleep(0, "x")]
        try:
            await asyncio.wait_for(work(9), UNIT)
        except TimeoutError:
            result.append("timeout")
        done = loop.create_future()
        loop.call_later(UNIT, done.set_result, 5)
        result.append(await done)
        result.append(await loop.run_in_executor(None, lambda: time.sleep(UNIT)))
        late = loop.create_future()
        threading.Timer(UNIT, lambda: loop.call_soon_threadsafe(late.set_result, 6)).start()
        result.append(await late)
        q = asyncio.Queue()
        try:
            await asyncio.wait_for(q.get(), UNIT)
        except TimeoutError:
            result.append("empty")
        result.append(type(loop.time()).__name__)
        return result

    return asyncio.run(run())


@takes(2)
def case_asyncio_in_a_thread() -> Any:
    loop = asyncio.new_event_loop()
    t = threading.Thread(target=loop.run_forever)
    t.start()

    async def work():
        await asyncio.sleep(UNIT)
        return 1

    f = asyncio.run_coroutine_threadsafe(work(), loop)
    result = [
        f.result(5 * UNIT),
        kind(asyncio.run_coroutine_threadsafe(asyncio.sleep(9 * UNIT), loop).result, UNIT),
    ]
    loop.call_soon_threadsafe(loop.stop)
    t.join()
    return result


@takes(3)
def case_interval_timer() -> Any:
    result = []
    signal.signal(signal.SIGALRM, lambda n, _: result.append(n))
    result.append(signal.setitimer(signal.ITIMER_REAL, UNIT, UNIT))
    time.sleep(2.5 * UNIT)
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    result += [0 < left[0] <= UNIT, signal.getitimer(signal.ITIMER_REAL)]
    time.sleep(0.5 * UNIT)
    return result


@takes(1)
def case_alarm_that_raises() -> Any:
    def ring(n, f):
        raise TimeoutError("rang")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, UNIT)
    return [kind(time.sleep, 9 * UNIT), kind(signal.setitimer, 0, -1)]


@takes(1)
def case_waiting_for_a_signal() -> Any:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    result = [
        kind(signal.sigtimedwait, [signal.SIGUSR1], UNIT),
        kind(signal.sigtimedwait, [signal.SIGUSR1], -1),
    ]
    signal.raise_signal(signal.SIGUSR1)
    result += [signal.sigwait([signal.SIGUSR1]).name]
    return result


@takes(1)
def case_pause() -> Any:
    result = []
    signal.signal(signal.SIGALRM, lambda n, _: result.append(n))
    signal.setitimer(signal.ITIMER_REAL, UNIT)
    result += [signal.pause()]
    return result


@takes(0)
def case_handlers() -> Any:
    def handler(n, f):
        result.append(n)

    result = [signal.signal(signal.SIGUSR1, handler) == signal.SIG_DFL]
    result += [signal.getsignal(signal.SIGUSR1) is handler, signal.raise_signal(signal.SIGUSR1)]
    result += [
        signal.signal(signal.SIGUSR1, signal.SIG_IGN) is handler,
        kind(signal.signal, 10, "x"),
        kind(signal.signal, 999, handler),
    ]
    result += [signal.getsignal(signal.SIGINT) is signal.default_int_handler]
    return result


@takes(1)
def case_logging() -> Any:
    out = io.StringIO()
    logging.basicConfig(stream=out, format="%(asctime)s %(created)f", level=logging.INFO)
    logging.info("x")
    time.sleep(UNIT)
    stamp = out.getvalue().split(",")[0]
    ago = dt.datetime.now() - dt.datetime.fromisoformat(stamp)
    return UNIT - 2 < ago.total_seconds() < UNIT + 2


@takes(0)
def case_uuid() -> Any:
    a, b = (uuid.uuid1(), uuid.uuid1())
    unix = (a.time - 122192928000000000) / 10000000.0
    return [
        a.version,
        uuid.uuid4().version,
        a != b,
        abs(unix - time.time()) < 5,
        uuid.uuid4() != uuid.uuid4(),
    ]


@takes(0)
def case_pandas() -> Any:
    import pandas as pd  # noqa: PLC0415 - takes a second

    now = pd.Timestamp.now("UTC").timestamp()
    return [
        abs(now - time.time()) < 5,
        abs(pd.Timestamp("now", tz="UTC").timestamp() - time.time()) < 5,
        abs(pd.Timestamp.utcnow().timestamp() - time.time()) < 5 if hasattr(pd.Timestamp, "utcnow") else True,
        pd.Timestamp.today().date() == dt.date.today(),
        abs(pd.to_datetime("now", utc=True).timestamp() - time.time()) < 5,
    ]


@takes(2)
def case_deadline_loop() -> Any:
    deadline = time.monotonic() + 2 * UNIT
    turns = 0
    while time.monotonic() < deadline:
        turns += 1
        time.sleep(UNIT / 2)
    return 3 <= turns <= 4


if __name__ == "__main__":
    began = time.monotonic(), time.time()
    outcome = CASES[sys.argv[1]][1]()
    passed = [(time.monotonic() - began[0]) / UNIT, (time.time() - began[1]) / UNIT]
    sys.stdout.write(json.dumps([outcome, *passed]))
