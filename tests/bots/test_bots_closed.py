"""No bot of a run reaches a network: what would leave the shim out is refused, and what still escapes is cut off."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runtime.bot_launch import is_namespace_available
from tests.bots.running import BotPlace, bot, script, tree

WHY_NOT = is_namespace_available()

SAY = "import socket; socket.create_connection(('127.0.0.1', {port}), 3).sendall(b'{name}')"

REFUSED = {
    "-I": ["python", "-I", "bot.py"],
    "-E": ["python", "-u", "-E", "bot.py"],
    "a shell": ["sh", "-c", "cd . && python -S bot.py"],
    "an empty environment": ["env", "-i", sys.executable, "bot.py"],
    "a script of its own": ["./isolated.py"],
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("namespace", ["auto", "off"])
def test_a_command_without_the_shim_is_refused_before_the_run(
    bot_place: BotPlace, workdir: Path, case: str, namespace: str
) -> None:
    script(workdir, "open('ran', 'w').close()")
    path = workdir / script(workdir, f"#!{sys.executable} -I\nopen('ran', 'w').close()\n", "isolated.py")
    path.chmod(0o755)
    section = bot("bad", workdir, "bot.py") | {"command": REFUSED[case]}
    config = bot_place.bots([section], bots={"network_namespace": namespace})
    directory = bot_place.results / f"refused-{case}-{namespace}"
    done = bot_place.call("start", "--config", config, "--output-dir", directory, "--quiet")
    assert done.status == 2
    assert "shim" in done.error_line or "empty environment" in done.error_line
    assert not directory.exists()
    assert not (workdir / "ran").exists()


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a listener on loopback and what it has heard."""
    heard: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    heard.append(connection.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


# Each bot tries to speak, in its own way, and then waits for the end.
ATTEMPTS = {
    "plain": "{say}",
    "child": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {say!r}], env={{}}, check=True)",
    "isolated": "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', {say!r}], check=True)",
    # A shell script that nobody looks into: only the closed network stops what it starts.
    "hidden": "import subprocess\nsubprocess.run(['/bin/sh', 'hidden.sh'], check=True, timeout=20)",
    "requests": "import requests\nrequests.get('http://127.0.0.1:{port}/{name}', timeout=3)",
    "uvloop": (
        "import asyncio, uvloop\n"
        "async def main():\n"
        "    _, writer = await asyncio.open_connection('127.0.0.1', {port})\n"
        "    writer.write(b'{name}')\n"
        "    await writer.drain()\n"
        "uvloop.run(main())"
    ),
}
BOT = """
import json, time, traceback
try:
    exec({attempt!r})
except BaseException as error:
    print(json.dumps({{"failed": f"{{type(error).__name__}}: {{error}}"}}), flush=True)
else:
    print(json.dumps({{"failed": ""}}), flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.skipif(WHY_NOT is not None, reason=f"no network namespace: {WHY_NOT}")
def test_not_one_byte_of_a_run_reaches_a_listener(
    bot_place: BotPlace, tmp_path: Path, listener: tuple[int, list[bytes]]
) -> None:
    pytest.importorskip("uvloop", reason="uvloop does not exist for this system")
    port, heard = listener
    sections: list[dict[str, Any]] = []
    for name, text in ATTEMPTS.items():
        folder = tmp_path / name
        folder.mkdir()
        say = SAY.format(port=port, name=name)
        script(folder, BOT.format(attempt=text.format(say=say, port=port, name=name)))
        script(folder, f'exec env -i {sys.executable} -I -c "{say}"\n', "hidden.sh")
        sections.append(bot(name, folder, "bot.py"))
    with socket.create_connection(("127.0.0.1", port), 3) as native:
        native.sendall(b"native")  # the listener is seen to hear
    run = bot_place.complete(
        bot_place.bots(sections, end="2024-01-01T00:30", bots={"network_namespace": "require"})
    )
    assert heard == [b"native"]
    for name in ATTEMPTS:
        (said,) = run.said(name)
        assert said["failed"], f"{name} was not stopped"
    refused = {row["component"] for row in run.facts["refused"]}
    assert refused == ATTEMPTS.keys() - {"hidden"}  # whose child was not Replay's to refuse
    assert run.manifest["refused_requests"] >= len(refused)
    assert run.facts["protections"]["network_namespace"] == "bots have no network"
    assert "asyncio" in run.log("uvloop")  # whose loop stands in for it


def test_without_a_namespace_the_shim_alone_refuses(
    bot_place: BotPlace, tmp_path: Path, listener: tuple[int, list[bytes]]
) -> None:
    port, heard = listener
    sections = []
    for name in ATTEMPTS.keys() - {"hidden"}:
        folder = tmp_path / name
        folder.mkdir()
        say = SAY.format(port=port, name=name)
        script(folder, BOT.format(attempt=ATTEMPTS[name].format(say=say, port=port, name=name)))
        sections.append(bot(name, folder, "bot.py"))
    sections.sort(key=lambda section: str(section["name"]))
    run = bot_place.complete(
        bot_place.bots(sections, end="2024-01-01T00:30", bots={"network_namespace": "off"})
    )
    assert heard == []
    assert {row["component"] for row in run.facts["refused"]} == ATTEMPTS.keys() - {"hidden"}
    assert "switched off" in run.facts["protections"]["network_namespace"]


WRITES_HOME = """
import json, os, pathlib, sqlite3, sys, time

home = pathlib.Path(FOLDER)
(home / "backtest_results").mkdir()
tries = {
    "open": lambda: (home / "state.json").write_text("spoilt"),
    "os.remove": lambda: os.remove(home / "state.json"),
    "os.rename": lambda: os.rename("bot.py", home / "state.json"),
    "os.mkdir": lambda: os.mkdir(home / "new"),
    "os.open": lambda: os.open(bytes(home / "new"), os.O_RDWR | os.O_CREAT),
    "sqlite3": lambda: sqlite3.connect(home / "new.db"),
    "a way round": lambda: open(os.path.relpath(home / "state.json"), "a"),
}
said = {"read": (home / "state.json").read_text()}
for name, write in tries.items():
    try:
        write()
        said[name] = "done"
    except OSError as error:
        said[name] = type(error).__name__
pathlib.Path("state.json").write_text("mine")
print(json.dumps(said), flush=True)
time.sleep(86_400)
"""


def test_nothing_is_written_in_the_user_s_own_folder(bot_place: BotPlace, workdir: Path) -> None:
    (workdir / "state.json").write_text("live")
    section = bot("bot", workdir, script(workdir, WRITES_HOME.replace("FOLDER", repr(str(workdir)))))
    before = tree(workdir)
    run = bot_place.complete(bot_place.bots([section]))
    (said,) = run.said("bot")
    assert said.pop("read") == "live"
    assert set(said.values()) == {"PermissionError"}
    (workdir / "backtest_results").rmdir()
    after = tree(workdir)
    assert {name: state.split()[0] for name, state in after.items()} == {
        name: state.split()[0] for name, state in before.items()
    }
    assert (run.copy() / "state.json").read_text() == "mine"
    assert run.manifest["refused_requests"] == len(said)
