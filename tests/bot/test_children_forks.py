"""What a fork leaves behind, and what is refused again and again."""

from __future__ import annotations

from pathlib import Path

from tests.bot.programs import run_in_replay

LEFT_BEHIND = """
import json, os, queue, threading
tasks, lock = queue.Queue(), threading.RLock()
threads = [threading.Thread(target=tasks.get, daemon=True) for _ in "ab"]
def wait_for_lock():
    with lock:
        pass
threads.append(threading.Thread(target=wait_for_lock, daemon=True))
lock.acquire()
for thread in threads: thread.start()
import time; time.sleep(1)
pid = os.fork()
if pid == 0:
    tasks.put(1)                       # nobody is there any more who waits for it
    lock.release()
    with lock:
        os._exit(tasks.get() + 6)
result = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
lock.release()
tasks.put(1); tasks.put(2)
for thread in threads: thread.join(5)
print(json.dumps([*result, [thread.is_alive() for thread in threads]]))
"""


def test_a_fork_does_not_wait_for_threads_that_it_left_behind(tmp_path: Path) -> None:
    assert run_in_replay(tmp_path, LEFT_BEHIND).value == [7, [False] * 3]


AGAIN = """
import json, subprocess, time
began, tries = time.time(), 0
while time.time() < began + 2:
    tries += 1
    try:
        subprocess.run(["curl", "-s", "https://api.kucoin.com"])
    except OSError:
        pass
print(json.dumps(tries))
"""


def test_a_refused_command_takes_time(tmp_path: Path) -> None:
    assert 10 < run_in_replay(tmp_path, AGAIN).value <= 41


ODD = """
import json, http.client, subprocess
said = []
for host in ("[no", "\\udcff"):
    try:
        http.client.HTTPSConnection(host, timeout=float("inf")).request("GET", "/")
    except (OSError, UnicodeError) as error:
        said.append(isinstance(error, OSError))
try:
    subprocess.run(["curl", b"\\xff"])
except OSError:
    said.append(True)
print(json.dumps(said))
"""


def test_odd_words_reach_the_orchestrator_whole(tmp_path: Path) -> None:
    ended = run_in_replay(tmp_path, ODD)
    assert ended.value[-1] is True
    assert len(ended.value) == 3
    assert len([call for call in ended.calls if call["op"] == "refused"]) >= 1
