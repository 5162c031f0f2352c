"""Which commands start a program that the shim would not come up in.

Python's `-I`, `-E` and `-S` switch off the way that the shim takes, `env -i` empties the environment that says
where the orchestrator is. Such a program would run live. What is looked at is what was asked for, not what the
program that was started will start itself: that is what the closed network is for.
"""

from __future__ import annotations

import re
import shlex

__all__ = ["why_unshimmed"]

_PYTHON = re.compile(r"^(python|pypy)[0-9.]*$")
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh"))
_ISOLATING = frozenset("IES")
_WITH_VALUE = frozenset("WX")  # options whose value may be a word of its own
_LAST = frozenset("cm")  # what follows belongs to the program
_NETWORK = frozenset(("curl", "wget", "ssh", "scp", "sftp", "rsync", "ftp", "telnet", "nc", "ncat", "socat"))
_ADVICE = "the replay cannot follow it; start it without, or leave it out under replay"


def why_unshimmed(executable: str, words: list[str]) -> str | None:
    """Return why a command is refused, None if it is not.

    Parameters
    ----------
    executable
        What is started, a path or a name.
    words
        Its arguments, the first being its own name.
    """
    name = executable.rpartition("/")[2]
    if name in _SHELLS:
        return _why_in_shell(words)
    if name == "env":
        return _why_in_env(words[1:])
    if name in _NETWORK:
        return f"{name} speaks to the network, and a bot under replay has none"
    if _PYTHON.match(name):
        return _why_python(words[1:])
    return _why_script(executable)


def _why_python(options: list[str]) -> str | None:
    skip = False
    for word in options:
        if skip:
            skip = False
            continue
        if not word.startswith("-") or word in ("-", "--"):
            return None
        if word.startswith("--"):
            skip = word == "--check-hash-based-pycs"
            continue
        for index, letter in enumerate(word[1:], 2):
            if letter in _ISOLATING:
                return f"a child process runs Python with -{letter}, which leaves the shim out: {_ADVICE}"
            if letter in _LAST:
                return None
            if letter in _WITH_VALUE:
                skip = index == len(word)
                break
    return None


def _why_in_env(words: list[str]) -> str | None:
    for index, word in enumerate(words):
        if word in ("-", "-i", "--ignore-environment"):
            return f"a child process is started with an empty environment (env {word}): {_ADVICE}"
        if word.startswith(("-u", "--unset")) or "=" in word or word in ("-S", "-v", "--"):
            continue
        if index and words[index - 1] in ("-u", "--unset"):
            if word.startswith(("PYTHON", "REPLAY_")):
                return f"a child process is started without {word} (env -u): {_ADVICE}"
            continue
        return why_unshimmed(word, words[index:])
    return None


# A shell's words, command by command; what a shell computes is not foreseen.
def _why_in_shell(words: list[str]) -> str | None:
    if "-c" not in words[:-1]:
        return None
    text = words[words.index("-c") + 1]
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        tokens = list(lexer)
    except ValueError:
        return None  # the shell will complain
    command: list[str] = []
    for token in [*tokens, ";"]:
        if token and not token.strip("();|&\n"):
            reason = why_unshimmed(command[0], command) if command else None
            if reason:
                return reason
            command = []
        elif command or "=" not in token:
            command.append(token)
        elif token.startswith(("PYTHONPATH=", "REPLAY_")):
            return f"a child process is started with {token.partition('=')[0]} changed: {_ADVICE}"
    return None


# A script says on its first line what runs it.
def _why_script(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs every child its import
            first = file.readline(256)
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "replace").split()
    return why_unshimmed(words[0], words) if words and words[0] != path else None
