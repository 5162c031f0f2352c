"""Children get the shim and a name, and are waited for in simulated time, whatever starts them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bot.fake_orchestrator import Message
from tests.bot.programs import Ended, run_in_replay, run_natively

FRAME = """
import json, os, subprocess, sys, time
result = None
if __name__ == "__main__":
    began = time.time()
CHILD = "import os, sys, time; time.sleep({seconds}); {then}"
def child(seconds, then="pass"):
    return CHILD.format(seconds=seconds, then=then)
def python(*arguments):
    return [sys.executable, *arguments]
def error_of(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as error:
        return [type(error).__name__, str(error)]
BODY
if __name__ == "__main__":
    print(json.dumps([result, round(time.time() - began)]))
"""
HOUR = 3600


def run(folder: Path, body: str, **settings: Any) -> Ended:
    """Run statements that set `result`."""
    return run_in_replay(folder, FRAME.replace("BODY", body), **settings)


def names_of(calls: list[Message], operation: str = "hello") -> list[str]:
    """Return the names of the processes that were spoken of, in order."""
    return [call["process"] for call in calls if call["op"] == operation]


# ways to start a child that sleeps an hour, writes its name on the clock into a file, and ends with status 3
STARTS = {
    "run": "result = subprocess.run(python('child.py')).returncode",
    "run with env": "result = subprocess.run(python('child.py'), env={}).returncode",
    "call by the shell": "result = subprocess.call(f'{sys.executable} child.py', shell=True)",
    "Popen.wait": "result = subprocess.Popen(python('child.py')).wait()",
    "Popen.communicate": (
        "p = subprocess.Popen(python('child.py'), stdout=-1, stderr=-1)\np.communicate()\nresult = p.returncode"
    ),
    "Popen.poll": (
        "p = subprocess.Popen(python('child.py'))\nwhile p.poll() is None:\n    time.sleep(10)\nresult = p.returncode"
    ),
    "vfork": "result = subprocess.Popen(python('child.py'), close_fds=False).wait()",
    "preexec_fn": "result = subprocess.Popen(python('child.py'), preexec_fn=os.setsid).wait()",
    "system": "result = os.waitstatus_to_exitcode(os.system(f'{sys.executable} child.py'))",
    "popen": "result = os.waitstatus_to_exitcode(os.popen(f'{sys.executable} child.py').close())",
    "spawnv": "result = os.spawnv(os.P_WAIT, sys.executable, python('child.py'))",
    "spawnvp": "result = os.spawnvp(os.P_WAIT, sys.executable, python('child.py'))",
    "spawnle": "result = os.spawnle(os.P_WAIT, sys.executable, sys.executable, 'child.py', {})",
    "posix_spawn": (
        "pid = os.posix_spawn(sys.executable, python('child.py'), {})\n"
        "result = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    ),
    "fork": "if (pid := os.fork()) == 0:\n    exec(CODE)\nresult = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
    "fork and exec": (
        "if (pid := os.fork()) == 0:\n    os.execve(sys.executable, python('child.py'), {})\n"
        "result = os.waitstatus_to_exitcode(os.wait()[1])"
    ),
    "wait4": "if (pid := os.fork()) == 0:\n    exec(CODE)\nresult = os.waitstatus_to_exitcode(os.wait4(pid, 0)[1])",
    "waitid": "if (pid := os.fork()) == 0:\n    exec(CODE)\nresult = os.waitid(os.P_PID, pid, os.WEXITED).si_status",
    "multiprocessing by fork": (
        "import multiprocessing\np = multiprocessing.get_context('fork').Process(target=exec, args=(CODE,))\n"
        "p.start()\np.join()\nresult = p.exitcode"
    ),
    "multiprocessing by spawn": (
        "import multiprocessing\nif __name__ == '__main__':\n"
        "    p = multiprocessing.get_context('spawn').Process(target=exec, args=(CODE,))\n"
        "    p.start()\n    p.join()\n    result = p.exitcode"
    ),
    "asyncio": (
        "import asyncio\nasync def main():\n"
        "    p = await asyncio.create_subprocess_exec(*python('child.py'), stdout=subprocess.PIPE)\n"
        "    await p.communicate()\n    return p.returncode\nresult = asyncio.run(main())"
    ),
}  # fmt: skip
CODE = (
    "import os, sys, time; time.sleep(3600); "
    'open("child", "w").write(os.environ["REPLAY_BOT_PROCESS"] + " " + str(round(time.time()))); sys.exit(3)'
)


# The stand-in lets a parent's time run apart from its child's where the parent looks now and then; how long these
# take is tested in whole runs.
APART = ("Popen.poll", "Popen.communicate", "asyncio")


@pytest.mark.parametrize("way", STARTS)
def test_a_child_lives_in_simulated_time_and_is_waited_for(way: str, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CODE)
    ended = run(tmp_path, f"CODE = {CODE!r}\n{STARTS[way]}")
    status, took = ended.value
    assert status == 3
    assert took == HOUR or way in APART
    name, stamp = (tmp_path / "child").read_text().split()
    assert int(stamp) == 1_704_067_200 + HOUR
    assert name in names_of(ended.calls)
    assert names_of(ended.calls, "spawn")[0] == "0.1"


def test_children_are_named_by_their_order(tmp_path: Path) -> None:
    body = """
tell = "import os; print(os.environ['REPLAY_BOT_PROCESS'])"
twice = f"import subprocess, sys; [subprocess.run([sys.executable, '-c', {tell!r}]) for _ in range(2)]"
result = [subprocess.check_output(python("-c", code), text=True).split() for code in (tell, twice, tell)]
"""
    ended = run(tmp_path, body)
    assert ended.value[0] == [["0.1"], ["0.2.1", "0.2.2"], ["0.3"]]


def test_a_restart_by_exec_keeps_its_name_and_its_time(tmp_path: Path) -> None:
    body = """
if len(sys.argv) == 1:
    time.sleep(3600)
    os.execv(sys.executable, python(__file__, str(began)))
here = os.path.dirname(__file__)
result = [os.environ["REPLAY_BOT_PROCESS"], round(time.time() - float(sys.argv[1])), sys.path[0] == here]
"""
    ended = run(tmp_path, body)
    assert ended.value == [["0", HOUR, True], 0]
    assert names_of(ended.calls) == ["0", "0"]


def test_a_wait_that_times_out(tmp_path: Path) -> None:
    body = """
for_ever = "import threading; print('here', flush=True); threading.Event().wait()"
p = subprocess.Popen(python("-c", for_ever), stdout=subprocess.PIPE)
result = [error_of(p.wait, 60)[0], error_of(p.communicate, timeout=60)[0], p.poll()]
p.terminate()
result += [p.wait(5), p.stdout.read().decode(), p.poll()]
try:
    subprocess.run(python("-c", for_ever), timeout=60, capture_output=True)
except subprocess.TimeoutExpired as error:
    result += [error.timeout, error.output.decode()]
"""
    ended = run(tmp_path, body)
    assert ended.value == [["TimeoutExpired", "TimeoutExpired", None, -15, "", -15, 60, "here\n"], 180]


@pytest.mark.slow
def test_pipes_do_not_deadlock(tmp_path: Path) -> None:
    body = """
many = 300_000
result = [len(subprocess.check_output(["head", "-c", str(many), "/dev/zero"]))]
echo = "import sys; data = sys.stdin.buffer.read(); sys.stderr.write('e' * len(data)); sys.stdout.buffer.write(data)"
p = subprocess.Popen(python("-c", echo), stdin=-1, stdout=-1, stderr=-1)
out, errors = p.communicate(b"x" * many)
result += [len(out), len(errors), p.returncode]
lines = "import time\\nfor n in range(3):\\n    print(n, flush=True)\\n    time.sleep(60)"
p = subprocess.Popen(python("-c", lines), stdout=subprocess.PIPE, text=True, bufsize=1)
result += [[line for line in p.stdout], p.wait(), type(p.stdout).__name__]
first = subprocess.Popen(["echo", "one two"], stdout=subprocess.PIPE)
result += [subprocess.check_output(["wc", "-w"], stdin=first.stdout, text=True).strip(), first.wait()]
result += [subprocess.getoutput("echo a; echo b"), os.popen("echo c").read()]
"""
    ended = run(tmp_path, body)
    assert ended.value[0] == [
        300_000, 300_000, 300_000, 0, ["0\n", "1\n", "2\n"], 0, "TextIOWrapper", "2", 0, "a\nb", "c\n",
    ]  # fmt: skip


def test_multiprocessing_shares_work(tmp_path: Path) -> None:
    body = """
import multiprocessing
def work(queue, lock, number):
    time.sleep(number * 60)
    with lock:
        queue.put(number)
if __name__ == "__main__":
    result = []
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue, lock = context.Queue(), context.Lock()
        processes = [context.Process(target=work, args=(queue, lock, n)) for n in (2, 1)]
        for p in processes:
            p.start()
        result.append(sorted(queue.get() for _ in processes))
        for p in processes:
            p.join()
        result.append([p.exitcode for p in processes])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        result.append(pool.map(abs, range(-5, 0)))
"""
    ended = run(tmp_path, body)
    assert ended.value[0] == [[1, 2], [0, 0], [1, 2], [0, 0], [5, 4, 3, 2, 1]]


def test_clearing_the_screen_starts_no_shell(tmp_path: Path) -> None:
    body = """
result = [os.system("clear"), os.system("cls"), os.system("cls" if os.name == "nt" else "clear"),
    subprocess.call("clear", shell=True), subprocess.call(["clear"]),
    subprocess.run("cls", shell=True, capture_output=True, text=True).stdout]
with subprocess.Popen("clear", stdout=subprocess.PIPE) as p:
    result += [p.communicate()[0].decode(), p.poll(), p.returncode]
"""
    ended = run(tmp_path, body)
    assert ended.value == [[0, 0, 0, 0, 0, "", "", 0, 0], 0]
    assert names_of(ended.calls, "spawn") == []


REFUSED = {
    "-I": "subprocess.run, python('-I', 'x.py')",
    "-E among others": "subprocess.run, python('-uBE', 'x.py')",
    "-S after an option with a value": "subprocess.run, python('-W', 'ignore', '-X', 'utf8', '-S', 'x.py')",
    "by the shell": "subprocess.run, 'cd / && python3 -I x.py | cat', shell=True",
    "by system": "os.system, 'python3 -Es x.py; true'",
    "env -i": "subprocess.run, ['env', '-i', sys.executable, 'x.py']",
    "env -u": "subprocess.run, ['/usr/bin/env', '-u', 'PYTHONPATH', sys.executable, 'x.py']",
    "a cleared variable": "os.system, 'PYTHONPATH= python3 x.py'",
    "a script's first line": "subprocess.run, ['./isolated.py']",
    "spawnv": "os.spawnv, os.P_WAIT, sys.executable, python('-I', 'x.py')",
    "posix_spawn": "os.posix_spawn, sys.executable, python('-I', 'x.py'), {}",
    "execv": "os.execv, sys.executable, python('-S', 'x.py')",
    "execlp": "os.execlp, 'env', 'env', '-i', 'python3', 'x.py'",
    "curl": "subprocess.run, ['curl', 'https://api.example.com']",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_child_without_the_shim_is_refused(command: str, tmp_path: Path) -> None:
    script = tmp_path / "isolated.py"
    script.write_text(f"#!{sys.executable} -I\nprint('live')\n")
    script.chmod(0o755)
    ended = run(tmp_path, f"result = error_of({REFUSED[command]})")
    (name, message), _ = ended.value
    assert name == "ChildRefusedError"
    assert "replay" in message
    assert "replay: " in ended.errors
    assert [call["what"] for call in ended.calls if call["op"] == "refused"] == ["process"]
    assert names_of(ended.calls, "spawn") == []


ALLOWED = [
    "subprocess.run(python('-c', 'import sys; print(sys.argv[1:])', '-I'), capture_output=True, text=True).stdout",
    "subprocess.check_output(python('-u', '-X', 'dev', '-W', 'ignore', '-c', 'print(1)', '-S'), text=True)",
    "subprocess.run(['env', 'A=1', 'sh', '-c', 'echo $A'], capture_output=True, text=True).stdout",
    "subprocess.getoutput('echo python -I')",
    "subprocess.getoutput('ls -I x /dev/null')",
    "subprocess.run(['sh', '-c', 'exit 4']).returncode",
    "error_of(subprocess.run, ['/nowhere/at/all'])",
    "error_of(subprocess.run, ['no-such-command-of-any-kind'])",
    "error_of(os.execv, '/nowhere/at/all', ['x'])",
    "error_of(os.posix_spawn, '/nowhere/at/all', ['x'], {})",
    "os.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', 'exit 5')",
    "os.spawnl(os.P_WAIT, '/nowhere/at/all', 'x')",
    "[error_of(os.waitpid, 999999999, 0), error_of(os.wait)]",
    "subprocess.run('kill -9 $$', shell=True).returncode",
    "error_of(subprocess.check_call, ['false'])",
    "os.waitpid(os.spawnlp(os.P_NOWAIT, 'true', 'true'), 0)[1]",
]


def test_other_commands_do_what_they_do_natively(tmp_path: Path) -> None:
    program = FRAME.replace("BODY", "result = [" + ",\n".join(ALLOWED) + "]")
    native, replay = run_natively(tmp_path, program).value, run_in_replay(tmp_path, program).value
    assert replay[0] == native[0]
