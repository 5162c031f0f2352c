"""Programs on asyncio: tasks wait for answers side by side, and runs are the same."""

from __future__ import annotations

from pathlib import Path

from tests.bot.programs import run_in_replay

PREFIX = """
import asyncio, gc, json, threading, time
clock = next(o for o in gc.get_objects() if type(o).__name__ == "Clock")
began = time.time()
def passed():
    return round(time.time() - began, 3)
"""


def test_tasks_go_on_while_one_waits_for_an_answer(tmp_path: Path) -> None:
    program = """
    from _replay_shim import aio
    log = []
    async def ask(name):
        for _ in range(2):
            reply, body = await aio.call(clock, {"op": "http", "client": "test", "method": "GET", "url": "https://x/"})
            log.append([name, passed(), reply["status"]])
    async def pause():
        await asyncio.sleep(0.07)
        log.append(["pause", passed()])
    async def main():
        await asyncio.gather(ask("a"), ask("b"), pause())
    asyncio.run(main())
    print(json.dumps(log))
    """
    assert run_in_replay(tmp_path, PREFIX + _dedented(program)).value == [
        ["a", 0.05, 404], ["b", 0.05, 404], ["pause", 0.07], ["a", 0.1, 404], ["b", 0.1, 404],
    ]  # fmt: skip


MIXED = """
log = []
async def work(name, pause):
    for turn in range(3):
        await asyncio.sleep(pause)
        log.append([passed(), name, turn])
def block(seconds):
    time.sleep(seconds)
    log.append([passed(), "thread", seconds])
async def main():
    loop = asyncio.get_running_loop()
    jobs = [loop.run_in_executor(None, block, n) for n in (1, 2.5, 4)]
    loop.call_later(3, lambda: log.append([passed(), "later"]))
    loop.call_at(loop.time() + 2, lambda: log.append([passed(), "at"]))
    threading.Timer(3.5, lambda: loop.call_soon_threadsafe(log.append, ["from a thread"])).start()
    events = asyncio.Queue()
    async def take():
        while (event := await events.get()) is not None:
            log.append([passed(), event])
    taker = asyncio.create_task(take())
    await asyncio.gather(work("a", 1), work("b", 1), *jobs)
    await events.put("put")
    await events.put(None)
    async with asyncio.timeout(9):
        await taker
asyncio.run(main())
print(json.dumps(log))
"""


def test_five_runs_are_the_same(tmp_path: Path) -> None:
    first = run_in_replay(tmp_path, PREFIX + MIXED).value
    # A loop that was woken on the way waits for the rest in whole milliseconds, as natively.
    assert first == [
        [1.0, "thread", 1], [1.001, "a", 0], [1.001, "b", 0], [2.0, "at"], [2.001, "a", 1], [2.001, "b", 1],
        [2.5, "thread", 2.5], [3.0, "later"], [3.002, "a", 2], [3.002, "b", 2], ["from a thread"], [4.0, "thread", 4],
        [4.0, "put"],
    ]  # fmt: skip
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert run_in_replay(folder, PREFIX + MIXED).value == first


def test_a_loop_that_nothing_wakes_waits_without_end(tmp_path: Path) -> None:
    program = """
    def stop(loop):
        time.sleep(86_400)
        loop.call_soon_threadsafe(loop.stop)
    loop = asyncio.new_event_loop()
    threading.Thread(target=stop, args=(loop,)).start()
    loop.run_forever()
    loop.close()
    print(json.dumps(passed()))
    """
    assert run_in_replay(tmp_path, PREFIX + _dedented(program)).value == 86_400


def _dedented(program: str) -> str:
    return "\n".join(line[4:] for line in program.splitlines())
