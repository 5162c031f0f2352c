"""What a bot is started with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.runtime.bot_launch import (
    INJECT_FOLDER,
    bot_command,
    bot_environment,
    closed_command,
    is_namespace_available,
    replaced_variables,
)

SECONDS_MAX = 30


def environment(**more: str) -> dict[str, str]:
    return bot_environment(
        {"PATH": "/usr/bin", **more},
        socket=Path("/run/replay/bots"),
        token="t0ken",  # noqa: S106 - of nothing
        component="trader",
        stack=Path("/runs/r/logs/trader.stack.txt"),
    )


class TestEnvironment:
    def test_the_shim_is_first_on_the_path_of_python(self) -> None:
        assert environment()["PYTHONPATH"] == str(INJECT_FOLDER)
        assert environment(PYTHONPATH="/mine")["PYTHONPATH"] == f"{INJECT_FOLDER}:/mine"
        assert (INJECT_FOLDER / "sitecustomize.py").is_file()

    def test_what_is_fixed_is_fixed_for_everyone(self) -> None:
        found = environment(PYTHONHASHSEED="99", TZ="Asia/Tokyo", TERM="xterm", PYTHONSAFEPATH="1")
        fixed = ("PYTHONHASHSEED", "TZ", "TERM", "PYTHONIOENCODING")
        assert [found[name] for name in fixed] == ["0", "UTC", "dumb", "utf-8"]
        assert "PYTHONSAFEPATH" not in found

    def test_keys_are_replaced_the_same_each_time(self) -> None:
        found = environment(
            **dict.fromkeys(
                ("KUCOIN_API_KEY", "MY_SECRET", "DB_PASSWORD", "KC_APISECRET", "SECRETKEY", "RH_PRIVATEKEY"),
                "real",
            )
        )
        assert "real" not in found.values()
        assert found["KUCOIN_API_KEY"] == environment(KUCOIN_API_KEY="other")["KUCOIN_API_KEY"]
        assert replaced_variables({"MY_SECRET": "real", "HOME": "/root"}) == ("MY_SECRET",)

    @pytest.mark.parametrize(
        "name", ["KEYBOARD", "MONKEY", "LC_ALL", "HOME", "PWD", "SSH_AUTH_SOCK", "PYTHONPATH"]
    )
    def test_what_is_no_key_stays(self, name: str) -> None:
        assert replaced_variables({name: "x"}) == ()


class TestCommand:
    def test_an_executable_of_the_folder_is_the_copys(self, tmp_path: Path) -> None:
        for folder in ("bot", "copy"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "run.sh").write_text("")
        command = (str(tmp_path / "bot" / "run.sh"), "--now")
        assert bot_command(command, tmp_path / "bot", tmp_path / "copy")[0] == str(
            tmp_path / "copy" / "run.sh"
        )

    def test_an_interpreter_of_an_environment_inside_stays_where_it_is(self, tmp_path: Path) -> None:
        word = str(tmp_path / "bot" / "venv" / "bin" / "python")
        assert bot_command((word, "x.py"), tmp_path / "bot", tmp_path / "copy") == (word, "x.py")

    def test_a_whole_path_into_the_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="leads into the user's own folder"):
            bot_command(("/usr/bin/python", str(tmp_path / "x.py")), tmp_path, tmp_path / "copy")


@pytest.mark.skipif(is_namespace_available() is not None, reason="no network namespace can be had here")
class TestClosedNetwork:
    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        command = closed_command((sys.executable, "-I", "-c", program))
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    def test_there_is_the_loopback_interface_and_nothing_else(self) -> None:
        done = self.run("import socket; print([name for _, name in socket.if_nameindex()])")
        assert done.stdout.strip() == "['lo']"

    def test_the_loopback_interface_is_up(self) -> None:
        program = (
            "import socket\n"
            "server = socket.create_server(('127.0.0.1', 0))\n"
            "client = socket.create_connection(server.getsockname(), timeout=5)\n"
            "print('connected')"
        )
        assert self.run(program).stdout.strip() == "connected"

    def test_no_other_address_can_be_reached(self) -> None:
        program = "import socket\nsocket.create_connection(('192.0.2.1', 443), timeout=5)"  # of documentation
        done = self.run(program)
        assert done.returncode == 1
        assert "Network is unreachable" in done.stderr

    def test_the_process_stays_the_same(self) -> None:
        started = subprocess.Popen(
            closed_command((sys.executable, "-c", "import os; print(os.getpid(), os.getuid())")),
            stdout=subprocess.PIPE,
            text=True,
        )
        printed, _ = started.communicate(timeout=SECONDS_MAX)
        assert printed.split()[0] == str(started.pid)

    def test_a_command_that_is_none_is_said(self) -> None:
        done = subprocess.run(
            closed_command(("/nonsense/python",)),
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 127
        assert "cannot start ['/nonsense/python']" in done.stderr
