"""`replay doctor`: each thing that would stop a run of unmodified bots, or spoil its results, is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.doctor import doctor as command
from orchestrator.cli.main import main
from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from orchestrator.runtime import doctor

HEAD = """
start_date = 2024-01-08
end_date = 2024-01-09
coins = ["BTC", "ETH"]
"""
BOT = """
[[component]]
name = "{name}"
kind = "bot"
command = {command}
workdir = "bot"
"""
VENUE = "[venue.kucoin]\n"


@pytest.fixture(scope="session")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("doctor-home")
    start_ns, end_ns = parse_date_ns("2024-01-05"), parse_date_ns("2024-01-10")
    synthesize(home / "backtest_cache", coins=("BTC", "ETH"), start_ns=start_ns, end_ns=end_ns)
    return home


class Patient:
    """A folder with a bot, and the configuration that names it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.bot = folder / "bot"
        self.bot.mkdir()
        self._capsys = capsys

    def script(self, name: str, text: str) -> None:
        (self.bot / name).write_text(text, encoding="utf-8")

    def examine(
        self, *components: str, head: str = HEAD, venue: str = VENUE
    ) -> tuple[int, list[tuple[str, str, str]]]:
        config = self.folder / "bots.toml"
        config.write_text(head + "".join(components) + venue, encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--config", str(config), "--json"])
        said = json.loads(self._capsys.readouterr().out)
        assert said["can_start"] == (ended.value.code == 0)
        return int(ended.value.code or 0), [(c["verdict"], c["about"], c["text"]) for c in said["checks"]]


@pytest.fixture
def patient(
    tmp_path: Path, candles: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Patient:
    monkeypatch.setenv("REPLAY_HOME", str(candles))
    monkeypatch.setattr(doctor, "is_namespace_available", lambda: None)
    for name in [name for name in os.environ if "TOKEN" in name or "KEY" in name or "SECRET" in name]:
        monkeypatch.delenv(name)
    return Patient(tmp_path, capsys)


def bot(name: str = "bot", *words: str, more: str = "") -> str:
    return BOT.format(name=name, command=json.dumps(words or ("python", "-u", f"{name}.py"))) + more


def texts(checks: list[tuple[str, str, str]], verdict: str) -> str:
    return "\n".join(f"{about}: {text}" for v, about, text in checks if v == verdict)


def test_a_sound_bot_can_start(patient: Patient) -> None:
    patient.script("bot.py", "import json, time\nimport requests\n")
    status, checks = patient.examine(bot())
    assert status == 0
    assert texts(checks, "failed") == ""
    fine = texts(checks, "ok")
    assert "bot: cpython 3." in fine
    assert "its 3 imports are found" in fine
    assert "synthetic for the whole run" in fine
    assert "a network namespace" in fine


def test_it_leaves_the_folder_as_it_was(patient: Patient) -> None:
    patient.script("bot.py", "import other\n")
    patient.script("other.py", "import time\n")
    patient.examine(bot())
    assert sorted(path.name for path in patient.bot.rglob("*")) == ["bot.py", "other.py"]


def test_what_a_script_and_its_own_modules_import_must_be_installed(patient: Patient) -> None:
    patient.script(
        "bot.py",
        "import helper\nfrom package import part\ntry:\n    import absent_one\nexcept ImportError:\n    pass\n",
    )
    patient.script("helper.py", "import absent_two.sub\nimport nacl_absent\n")
    (patient.bot / "package").mkdir()
    patient.script("package/__init__.py", "")
    patient.script("package/part.py", "from . import other\nfrom .other import thing\n")
    patient.script("package/other.py", "if True:\n    import absent_three\nthing = 1\n")
    status, checks = patient.examine(bot())
    assert status == 2
    failed = texts(checks, "failed")
    assert "absent_two (helper.py), nacl_absent (helper.py)" in failed
    assert f"{sys.executable} -m pip install absent_two nacl_absent" in failed
    assert "absent_one" not in failed
    assert "absent_one, absent_three" in texts(checks, "check")


def test_kucoin_python_needs_an_old_setuptools(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.runtime import doctor_bots  # noqa: PLC0415
    from orchestrator.runtime.bot_interpreter import Interpreter  # noqa: PLC0415

    found = Interpreter((3, 12, 1), "cpython", "", ("pkg_resources",))
    monkeypatch.setattr(doctor_bots, "ask_interpreter", lambda *_: found)
    patient.script("bot.py", "from kucoin.client import Market\n")
    status, checks = patient.examine(bot())
    assert status == 2
    assert "-m pip install 'setuptools<81'" in texts(checks, "failed")


def test_an_interpreter_without_time_machine_is_lent_ours_or_told_how_to_get_it(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True, timeout=60
    )
    patient.script("bot.py", "import time\n")
    python = str(tmp_path / "env" / "bin" / "python")
    assert patient.examine(bot("bot", python, "bot.py"))[0] == 0  # ours fits an interpreter of the same kind
    monkeypatch.setattr(
        "orchestrator.runtime.bot_interpreter.time_machine_extension", lambda: "/x.cpython-39.so"
    )
    status, checks = patient.examine(bot("bot", python, "bot.py"))
    assert status == 2
    assert f"{python} -m pip install 'time-machine>=3.6'" in texts(checks, "failed")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo '{}'\n", "gives no answer: it ended with status 0"),
        ("exit 3\n", "gives no answer: it ended with status 3"),
        (
            """echo '{"version": [3, 9, 2], "implementation": "cpython", "time_machine_error": "", "missing": []}'\n""",
            "is not supported; name a CPython 3.11 or newer",
        ),
    ],
)
def test_an_interpreter_that_is_none_or_too_old(patient: Patient, program: str, said: str) -> None:
    python = patient.folder / "python3.9"
    python.write_text(f"#!/bin/sh\n{program}", encoding="utf-8")
    python.chmod(0o755)
    patient.script("bot.py", "import time\n")
    status, checks = patient.examine(bot("bot", str(python), "bot.py"))
    assert status == 2
    assert said in texts(checks, "failed")


def test_an_interpreter_that_does_not_answer_is_not_waited_for(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runtime.bot_interpreter._SECONDS_MAX", 0.2)
    python = patient.folder / "python3.11"
    python.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    python.chmod(0o755)
    patient.script("bot.py", "")
    status, checks = patient.examine(bot("bot", str(python), "bot.py"))
    assert status == 2
    assert "did not answer within 0.2 s" in texts(checks, "failed")


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-uS"])
def test_options_that_leave_the_shim_out_are_refused(patient: Patient, option: str) -> None:
    patient.script("bot.py", "")
    status, checks = patient.examine(bot("bot", "python", option, "bot.py"))
    assert status == 2
    assert "the command runs Python with -" in texts(checks, "failed")


def test_a_command_that_cannot_be(patient: Patient) -> None:
    status, checks = patient.examine(bot("bot", "python", "absent.py"), bot("other", "no-such-program"))
    assert status == 2
    failed = texts(checks, "failed")
    assert "bot: component bot: no such script 'absent.py'" in failed
    assert "other: component other: no such command 'no-such-program'" in failed


def test_libraries_that_the_replay_cannot_follow_are_named(patient: Patient) -> None:
    patient.script(
        "bot.py", "try:\n    import uvloop, pycurl, grpc, websockets\nexcept ImportError:\n    pass\n"
    )
    status, checks = patient.examine(bot())
    assert status == 0
    said = texts(checks, "check")
    for name in ("uvloop waits in C", "pycurl opens", "grpc opens", "websockets speaks"):
        assert name in said


def test_hosts_and_libraries_without_an_emulated_exchange(patient: Patient) -> None:
    patient.script(
        "bot.py",
        'import kucoin\nA = "https://api.kraken.com/0/public"\nB = "https://api.kucoin.com/x"\nC = "https://github.com/me"\n',
    )
    _, checks = patient.examine(bot(), venue="")
    said = texts(checks, "check")
    assert "it names api.kraken.com, api.kucoin.com;" in said
    assert "[venue.kucoin] is not configured" in said
    assert "every request of a bot is refused" in said
    _, checks = patient.examine(bot())
    assert "it names api.kraken.com;" in texts(checks, "check")


def test_an_unknown_exchange(patient: Patient) -> None:
    patient.script("bot.py", "")
    status, checks = patient.examine(bot(), venue="[venue.kucion]\n")
    assert status == 2
    assert "exchanges: venue.kucion is not known" in texts(checks, "failed")


def test_keys_are_never_copied(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUCOIN_API_SECRET", "abc")
    patient.script("bot.py", "")
    patient.script("my_secret.txt", "x")
    status, checks = patient.examine(bot())
    assert status == 2
    assert "holds what looks like real keys: my_secret.txt" in texts(checks, "failed")
    status, checks = patient.examine(bot(more='replace_keys = ["my_secret.txt"]\n'))
    assert status == 0
    assert "throw-away keys take the place of my_secret.txt" in texts(checks, "ok")
    assert "KUCOIN_API_SECRET" in texts(checks, "ok")
    status, checks = patient.examine(bot(more='replace_keys = ["my_secret.txt", "no.txt"]\n'))
    assert status == 2
    assert "replace_keys names no.txt" in texts(checks, "failed")


WAITS = 'start_when = { file = "state/ready.json", contains = { ready = true } }\n'


def test_a_start_condition_that_nobody_can_make_true(patient: Patient) -> None:
    patient.script("bot.py", "")
    patient.script("trader.py", 'open("state/ready.json")\n')
    _, checks = patient.examine(bot(), bot("trader", more=WAITS))
    assert "waits for state/ready.json, which no other script" in texts(checks, "check")
    patient.script("bot.py", 'name = "ready.json"\n')
    _, checks = patient.examine(bot(), bot("trader", more=WAITS.replace("{ ready =", "{ finished =")))
    assert "waits for finished in state/ready.json" in texts(checks, "check")
    _, checks = patient.examine(bot(), bot("trader", more=WAITS))
    assert "trader waits for state/ready.json, which bot.py names" in texts(checks, "ok")


def test_a_start_condition_that_is_true_already(patient: Patient) -> None:
    patient.script("bot.py", "")
    (patient.bot / "state").mkdir()
    patient.script("state/ready.json", '{"ready": true}')
    status, checks = patient.examine(bot(more=WAITS))
    assert status == 0
    assert "bot starts at once" in texts(checks, "check")


def test_when_everybody_waits_nothing_would_start(patient: Patient) -> None:
    patient.script("bot.py", '"ready.json"')
    status, checks = patient.examine(bot(more=WAITS))
    assert status == 2
    assert "nothing would ever start" in texts(checks, "failed")


def test_data_that_are_not_there(patient: Patient) -> None:
    patient.script("bot.py", "")
    status, checks = patient.examine(bot(), head=HEAD.replace('"ETH"', '"DOGE"'))
    assert status == 2
    assert "data: no cached candles of DOGE" in texts(checks, "failed")
    status, checks = patient.examine(bot(), head=HEAD.replace("2024-01-09", "2024-02-09"))
    assert status == 2
    assert "data: " in texts(checks, "failed")


def test_candles_that_cannot_be_made_and_history_that_is_short(patient: Patient) -> None:
    patient.script("bot.py", 'frames = ["1min", "5min", "1hour", "0m"]\n')
    _, checks = patient.examine(bot())
    said = texts(checks, "check")
    assert "scripts name 1min, which cannot be made of 5m candles" in said
    assert "before the start: BTC 3, ETH 3" in said


def test_a_long_run_at_natural_pace(patient: Patient) -> None:
    patient.script("bot.py", "")
    _, checks = patient.examine(bot(), head=HEAD.replace("2024-01-09", "2024-03-09"))
    assert "pace: bot run at natural pace" in texts(checks, "check")


def test_models_that_know_the_future_or_are_too_old(patient: Patient) -> None:
    patient.script("bot.py", "")
    patient.script("requirements.txt", "")
    _, checks = patient.examine(bot())
    assert texts(checks, "check").count("models:") == 0
    (patient.bot / "neural").mkdir()
    patient.script(
        "neural/trainer_status.json", '{"state": "FINISHED", "timestamp": 1704931200.5}'
    )  # 2024-01-11
    patient.script("neural/last_training.txt", "1696118400")  # 2023-10-01
    patient.script("memories_1hour.txt", "0.1 0.2 17049312001")
    (patient.bot / "net.pt").write_bytes(b"\x80\xff")
    status, checks = patient.examine(bot())
    assert status == 0
    said = texts(checks, "check")
    assert "models: neural/trainer_status.json (2024-01-11): from after the start" in said
    assert "models: neural/last_training.txt (2023-10-01): up to 99 days before the start" in said
    assert "models: memories_1hour.txt, net.pt: when they were made is not known" in said


def test_without_dates_everything_but_data_is_looked_at(patient: Patient) -> None:
    patient.script("bot.py", "")
    status, checks = patient.examine(bot(), head='coins = ["BTC"]\n')
    assert status == 0
    assert "no dates are given" in texts(checks, "check")


@pytest.mark.parametrize(
    ("wanted", "verdict", "status"), [("auto", "check", 0), ("require", "failed", 2), ("off", "check", 0)]
)
def test_a_system_without_network_namespaces(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, wanted: str, verdict: str, status: int
) -> None:
    monkeypatch.setattr(doctor, "is_namespace_available", lambda: "Operation not permitted")
    patient.script("bot.py", "")
    ended, checks = patient.examine(bot(), head=f'{HEAD}[bots]\nnetwork_namespace = "{wanted}"\n')
    assert ended == status
    assert "no network namespace" in texts(checks, verdict)


def test_a_configuration_that_cannot_be_read_is_a_check_that_failed(patient: Patient) -> None:
    status, checks = patient.examine(bot(more="burst = 3\n"))
    assert status == 2
    assert "burst has no effect" in texts(checks, "failed")
    status, checks = patient.examine(
        head=f"{HEAD}[[component]]\nname = 'a'\ncommand = ['python', 'a.py']\n", venue=""
    )
    assert status == 2
    assert 'no component has kind = "bot"' in texts(checks, "failed")


def test_lines_for_people(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.script("bot.py", "import absent_module\n")
    (patient.folder / "bots.toml").write_text(HEAD + bot() + VENUE, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--config", str(patient.folder / "bots.toml")])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 2
    assert all(any(word in line for word in ("ok", "check", "failed")) for line in lines)
    assert "a run cannot start: 1 failed" in lines[-1]
    assert command.name == "doctor"
