"""How the command line ends: one line and an exit status, whatever happened; and what it loads to get there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import pytest

from orchestrator import __version__, errors
from orchestrator.cli import main as main_module
from orchestrator.cli.main import _COMMANDS, cli, main
from orchestrator.errors import ReplayError


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make the command `new` fail with an error."""

    def fail_with(error: BaseException) -> None:
        @click.command()
        def failing() -> None:
            raise error

        monkeypatch.setattr("orchestrator.cli.new.new", failing)

    return fail_with


class TestHelp:
    @pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
    def test_lists_every_command(self, run: Run, words: tuple[str, ...]) -> None:
        ended = run(*words)
        assert ended.status == 0
        for command in _COMMANDS:
            assert f"\n  {command} " in ended.out
        assert ended.err == ""

    @pytest.mark.parametrize("command", _COMMANDS)
    def test_of_every_command(self, run: Run, command: str) -> None:
        ended = run(command, "--help")
        assert ended.status == 0
        assert f"replay {command}" in ended.out

    def test_version(self, run: Run) -> None:
        assert run("--version") == Ended(0, f"replay, version {__version__}\n", "")

    def test_every_option_says_what_it_is(self) -> None:
        with click.Context(cli) as context:
            for name in _COMMANDS:
                command = cli.get_command(context, name)
                assert command is not None
                assert command.help
                for option in command.params:
                    assert not isinstance(option, click.Option) or option.help, (name, option.name)


class TestErrors:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("rewind",), "No such command 'rewind'"),
            (("strat",), "No such command 'strat'; did you mean start?"),
            (("data", "lits"), "Did you mean 'list'?"),
            (("start", "--spede", "1"), "No such option"),
            (("start", "--seed", "many"), "'many' is not a valid integer"),
            (("start", "--gaps", "fill"), "'fill' is not one of 'fail', 'stale'"),
            (("start", "--initial-cash", "much"), "'much' is not a number"),
            (("control", "run", "fly"), "'fly' is not one of"),
            (("control",), "Missing argument 'RUN'"),
            (("completion", "tcsh"), "'tcsh' is not one of"),
        ],
    )
    def test_wrong_words_are_one_line_and_status_2(self, run: Run, words: tuple[str, ...], said: str) -> None:
        ended = run(*words)
        assert ended.status == 2
        assert ended.out == ""
        assert ended.err.startswith("replay: ")
        assert ended.err.count("\n") == 1
        assert said in ended.err
        assert "--help`)" in ended.err

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("ReplayError", 1),
            ("ConfigError", 2),
            ("DataError", 3),
            ("ComponentError", 4),
            ("ProtocolError", 4),
            ("InvariantError", 5),
            ("CausalityError", 5),
            ("DivergedError", 5),
        ],
    )
    def test_each_error_has_its_status(
        self, run: Run, failing: Callable[[BaseException], None], name: str, status: int
    ) -> None:
        failing(getattr(errors, name)("what was found, what is allowed"))
        assert run("new") == Ended(status, "", "replay: what was found, what is allowed\n")

    def test_every_error_is_in_the_table(self) -> None:
        (mark,) = TestErrors.test_each_error_has_its_status.pytestmark  # type: ignore[attr-defined]
        assert {name for name, _ in mark.args[1]} == set(errors.__all__)

    def test_debug_shows_where(self, failing: Callable[[BaseException], None]) -> None:
        failing(ReplayError("why"))
        with pytest.raises(ReplayError, match="why"):
            main(["--debug", "new"])

    def test_a_defect_of_ours_is_one_line_too(
        self, run: Run, failing: Callable[[BaseException], None]
    ) -> None:
        failing(ZeroDivisionError("division by zero"))
        ended = run("new")
        assert ended.status == 1
        assert ended.out == ""
        assert ended.err.count("\n") == 1
        assert "internal error ZeroDivisionError('division by zero')" in ended.err
        assert "--debug" in ended.err

    def test_and_shows_where_with_debug(self, failing: Callable[[BaseException], None]) -> None:
        failing(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            main(["--debug", "new"])

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
    def test_an_interrupt_is_status_130(
        self, run: Run, failing: Callable[[BaseException], None], error: BaseException
    ) -> None:
        failing(error)
        ended = run("new")
        assert (ended.status, ended.out) == (130, "")
        assert ended.err.strip() == "replay: interrupted"

    def test_a_reader_that_left_is_no_error_of_ours(self) -> None:
        # `replay … | head`: nothing but silence.
        code = "import sys; from orchestrator.cli.main import main; sys.stdin.read(); main(['completion', 'bash'])"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.close()
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()

    def test_the_status_of_a_command_is_the_status_of_the_program(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @click.command()
        def four() -> int:
            return 4

        monkeypatch.setattr("orchestrator.cli.new.new", four)
        assert run("new").status == 4


class TestLoading:
    def test_a_command_loads_what_it_needs_and_no_market(self) -> None:
        code = (
            "import sys\nfrom orchestrator.cli.main import main\n"
            "try: main({words!r})\nexcept SystemExit: pass\n"
            "print(*[m for m in ('numpy', 'pandas', 'pyarrow', 'zmq') if m in sys.modules], file=sys.stderr)"
        )
        for words in (["--version"], ["completion", "bash"], ["new", "--help"]):
            found = subprocess.run(
                [sys.executable, "-c", code.format(words=words)],
                capture_output=True,
                text=True,
                check=True,
                timeout=200,
            )
            assert found.stderr.split() == [], words

    def test_every_command_can_be_loaded(self) -> None:
        with click.Context(cli) as context:
            assert cli.list_commands(context) == list(_COMMANDS)
            assert all(cli.get_command(context, name) is not None for name in _COMMANDS)
            assert cli.get_command(context, "rewind") is None


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_a_script_for_the_shell(self, run: Run, shell: str) -> None:
        ended = run("completion", shell)
        assert ended.status == 0
        assert "_REPLAY_COMPLETE" in ended.out

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("replay st", {"start"}),
            ("replay start --thi", {"--thinker"}),
            ("replay control run sp", {"speed"}),
            ("replay completion ", {"bash", "zsh", "fish"}),
        ],
    )
    def test_completes_commands_options_and_choices(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, words: str, expected: set[str]
    ) -> None:
        monkeypatch.setenv("_REPLAY_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        ended = run()
        assert {line.split(",")[1] for line in ended.out.splitlines()} == expected


def test_the_module_says_what_it_is() -> None:
    found: Any = main_module.__doc__
    assert "exit status" in found
