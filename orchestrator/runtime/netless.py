"""Starts a command in a network namespace of its own: no network, but the loopback interface.

Run as `python -I -S netless.py COMMAND…`; the command replaces this process, so that it keeps its process
number, its name and its arguments. When the system does not allow a namespace, the command is not started
and the status is 126: whoever asked for a closed network does not get an open one.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
PR_SET_PDEATHSIG = 1
SIGKILL = 9
REFUSED_STATUS = 126


def enter() -> None:
    """Enter a new network namespace, by a new user namespace where that needs rights that we have not.

    Raises
    ------
    OSError
        If the system does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if user == 0 and libc.unshare(CLONE_NEWNET) == 0:
        _raise_loopback()
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)  # new rights have cleared what the guardian had set
    # The same numbers inside as outside: the bot sees itself as whoever started it.
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    _raise_loopback()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib doubles the start-up time
        file.write(text)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as interface:
        name = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(interface, SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(interface, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))


def main() -> None:
    """Enter the namespace and become the command."""
    try:
        enter()
    except OSError as error:
        sys.stderr.write(f"replay: no network namespace: {error}\n")
        sys.exit(REFUSED_STATUS)
    command = sys.argv[1:]
    if not command:  # only asked whether it is possible
        return
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.stderr.write(f"replay: cannot start {command}: {error}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
