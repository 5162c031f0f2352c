"""A bot whose shim is not up does not run; and where something still gets through, not one byte reaches a listener."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from components.bot import INJECT_FOLDER
from tests.bot.fake_orchestrator import FakeOrchestrator, wait_for_call
from tests.bot.programs import run_in_replay, started

TIMEOUT_SECONDS = 60
MODULES = sorted(
    path.name for path in (INJECT_FOLDER / "_replay_shim").glob("*.py") if path.name != "__init__.py"
)
BOT = 'open("ran", "w").close()\nprint("the bot runs", flush=True)\n'


def run_bot(
    folder: Path, environment: dict[str, str], *options: str, bot: str = BOT
) -> subprocess.CompletedProcess[str]:
    """Run a bot in the folder with this environment."""
    (folder / "bot.py").write_text(textwrap.dedent(bot))
    return subprocess.run(
        [sys.executable, *options, "bot.py"],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip


def assert_refused(done: subprocess.CompletedProcess[str], folder: Path, *words: str) -> None:
    """Check that the bot did not run, and that one line says why."""
    assert done.returncode == 70, done.stderr
    assert done.stdout == ""
    assert not (folder / "ran").exists()
    lines = done.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["replay:"]
    for word in words:
        assert word in lines[0]


def plain_environment() -> dict[str, str]:
    """Return an environment with the shim on the path and nothing of an orchestrator."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(INJECT_FOLDER)}


def test_no_orchestrator_in_the_environment(tmp_path: Path) -> None:
    assert_refused(run_bot(tmp_path, plain_environment()), tmp_path, "no orchestrator", "REPLAY_BOT_SOCKET")


def test_an_orchestrator_that_cannot_be_reached(tmp_path: Path) -> None:
    orchestrator = FakeOrchestrator(tmp_path / "socket")
    with orchestrator:
        environment = orchestrator.environment()
    assert_refused(run_bot(tmp_path, environment), tmp_path, "cannot be reached")


def test_an_orchestrator_that_says_no(tmp_path: Path) -> None:
    with FakeOrchestrator(tmp_path / "socket") as orchestrator:
        environment = orchestrator.environment() | {"REPLAY_TOKEN": "another"}
        assert_refused(run_bot(tmp_path, environment), tmp_path, "wrong version or token")


@pytest.mark.parametrize(
    ("module", "how"),
    [(module, "raises") for module in MODULES]
    + [("link.py", how) for how in ("exits", "is no Python", "is missing")],
)
def test_a_broken_shim(module: str, how: str, tmp_path: Path) -> None:
    inject = tmp_path / "inject"
    shutil.copytree(INJECT_FOLDER, inject, ignore=shutil.ignore_patterns("__pycache__"))
    file = inject / "_replay_shim" / module
    text = file.read_text()
    if how == "is missing":
        file.unlink()
    else:
        addition = {
            "raises": "raise ValueError('broken')",
            "exits": "raise SystemExit(0)",
            "is no Python": "def (",
        }
        file.write_text(f"{text}\n{addition[how]}\n")
    with FakeOrchestrator(tmp_path / "socket") as orchestrator:
        environment = orchestrator.environment() | {"PYTHONPATH": str(inject)}
        assert_refused(run_bot(tmp_path, environment), tmp_path, "the shim failed")


def test_a_library_that_has_changed_under_the_shim(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("")
    (tmp_path / "curl_cffi.py").write_text("")  # has no Curl
    with FakeOrchestrator(tmp_path / "socket") as orchestrator:
        done = run_bot(tmp_path, orchestrator.environment(), bot=f"import uvloop, curl_cffi\n{BOT}")
    assert_refused(done, tmp_path, "cannot take over curl_cffi")


def test_an_orchestrator_that_dies(tmp_path: Path) -> None:
    bot = (
        "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass\n"
    )
    with started(tmp_path, bot, is_held=lambda call: call["op"] == "sleep") as (process, orchestrator):
        wait_for_call(orchestrator, "sleep")
        orchestrator.__exit__(None, None, None)
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 70
    assert "the orchestrator is gone" in errors


def test_the_next_sitecustomize_runs_too(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import time\nSTAMP = time.time()\n")
    program = "import json, sitecustomize\nprint(json.dumps([sitecustomize.STAMP, sitecustomize.__file__]))"
    path = os.pathsep.join([str(INJECT_FOLDER), str(tmp_path / "site")])
    ended = run_in_replay(tmp_path, program, environment={"PYTHONPATH": path})
    assert ended.value[0] < 1_800_000_000
    assert ended.value[1] == str(tmp_path / "site" / "sitecustomize.py")


def test_a_sitecustomize_of_the_environment_that_raises_is_its_own_business(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("raise ValueError('not ours')\n")
    path = os.pathsep.join([str(INJECT_FOLDER), str(tmp_path / "site")])
    ended = run_in_replay(tmp_path, "import time; print(int(time.time()))", environment={"PYTHONPATH": path})
    assert ended.value < 1_800_000_000


def test_the_stack_is_written_on_request(tmp_path: Path) -> None:
    bot = "def spinning_for_ever():\n    print('x', flush=True)\n    while True:\n        pass\nspinning_for_ever()\n"
    with started(tmp_path, bot) as (process, _orchestrator):
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGRTMIN + 10)
        stack = tmp_path / "stack.txt"
        deadline = time.monotonic() + 10
        while "spinning_for_ever" not in stack.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "program.py" in stack.read_text()


# ---------------------------------------------------------------- in a network of its own, with a listener

# Every program tries to send a line to the listener. The first runs without the shim, so that the test is seen to
# see; of the others nothing may arrive.
SAY = "import socket; socket.create_connection(('192.0.2.1', {port}), 5).sendall(b'{name}\\n')"
ATTEMPTS = {
    "socket": "{say}",
    "child -I": "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', {say!r}], check=True)",
    "child -ES by the shell": "import os, sys\nos.system(sys.executable + ' -ES -c ' + repr({say!r}))",
    "child with an empty environment": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {say!r}], env={{}}, check=True)"
    ),
    "child by env -i": (
        "import subprocess, sys\nsubprocess.run(['env', '-i', sys.executable, '-c', {say!r}], check=True)"
    ),
    "execve with an empty environment": "import os, sys\nos.execve(sys.executable, ['python', '-c', {say!r}], {{}})",
    "fork": "import os\nif os.fork() == 0:\n    {say}\nos.wait()",
    "spawn": "import os, sys\nos.spawnve(os.P_WAIT, sys.executable, ['python', '-c', {say!r}], {{}})",
    "posix_spawn": "import os, sys\nos.waitpid(os.posix_spawn(sys.executable, ['python', '-c', {say!r}], {{}}), 0)",
    "uvloop": (
        "import asyncio, uvloop\n"
        "async def main():\n"
        "    _, writer = await asyncio.open_connection('192.0.2.1', {port})\n"
        "    writer.write(b'{name}\\n')\n"
        "    await writer.drain()\n"
        "uvloop.run(main())"
    ),
    "requests": "import requests\nrequests.get('http://192.0.2.1:{port}/{name}', timeout=3)",
    "urllib": "import urllib.request\nurllib.request.urlopen('http://192.0.2.1:{port}/{name}', timeout=3)",
    "aiohttp": (
        "import aiohttp, asyncio\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as s:\n"
        "        await s.get('http://192.0.2.1:{port}/{name}')\n"
        "asyncio.run(main())"
    ),
    "httpx": "import httpx\nhttpx.get('http://192.0.2.1:{port}/{name}')",
}

# Raises lo in a network of its own, gives it an address that is not loopback's, and listens there.
NAMESPACE = """
import json, os, socket, struct, subprocess, sys, fcntl, threading
control = socket.socket()
fcntl.ioctl(control, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))
address = struct.pack("16sHH4s8s", b"lo:1", socket.AF_INET, 0, socket.inet_aton("192.0.2.1"), b"")
fcntl.ioctl(control, 0x8916, address)
listener = socket.create_server(("192.0.2.1", 0))
heard = []
def listen():
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            heard.append(connection.recv(99).decode())
threading.Thread(target=listen, daemon=True).start()
attempts, environments, say = json.load(sys.stdin)
port = listener.getsockname()[1]
def run(name, text, environment):
    line = say.format(port=port, name=name)
    program = text.format(port=port, name=name, say=line)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=50)
    return [done.returncode, done.stderr]
results = {"native": run("native", "{say}", {"PATH": os.environ["PATH"]})}
for case, environment in environments.items():
    for name, text in attempts.items():
        results[case + ": " + name] = run(name, text, environment)
print(json.dumps([heard, results]))
"""


def has_namespaces() -> bool:
    """Return whether this system lets anyone have a network of its own."""
    try:
        done = subprocess.run(["unshare", "-rn", "true"], capture_output=True, timeout=10, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not has_namespaces(), reason="this system allows no network namespace (unshare -rn)")
def test_not_one_byte_reaches_a_listener(tmp_path: Path) -> None:
    pytest.importorskip("uvloop", reason="uvloop does not exist for this system")
    broken = tmp_path / "inject"
    shutil.copytree(INJECT_FOLDER, broken)
    (broken / "_replay_shim" / "clock.py").write_text("raise ValueError('broken')")

    def answer(message: dict[str, object], _body: bytes) -> tuple[dict[str, object], bytes]:
        return {"failure": "refused", "message": f"{message['url']} is not emulated"}, b""

    with FakeOrchestrator(tmp_path / "socket", answer=answer) as orchestrator:
        environment = orchestrator.environment()
        environments = {
            "replay": environment,
            "broken": environment | {"PYTHONPATH": str(broken)},
            "no orchestrator": plain_environment(),
        }
        done = subprocess.run(
            ["unshare", "-rn", sys.executable, "-c", NAMESPACE],
            input=json.dumps([ATTEMPTS, environments, SAY]),
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    heard, results = json.loads(done.stdout)
    assert heard == ["native\n"]
    assert results.pop("native") == [0, ""]
    for name, (status, errors) in results.items():
        assert errors, name
        if name.startswith("replay: "):
            assert "replay" in errors or "not emulated" in errors, (name, errors)
        else:
            assert (status, errors.startswith("replay: ")) == (70, True), (name, errors)
