"""Where sockets stand: a private folder that is short enough and leaves no trace, or CURVE over tcp."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from orchestrator.errors import ConfigError, ReplayError
from orchestrator.runtime.transport import SOCKET_PATH_MAX, Endpoints, connect_options


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context
        context.destroy(linger=0)


@pytest.fixture(autouse=True)
def no_choice_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLAY_TRANSPORT", raising=False)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


class TestFolder:
    def test_is_fresh_private_and_removed(self, short: Path) -> None:
        with Endpoints("ipc") as first, Endpoints("ipc") as second:
            assert first.directory is not None
            assert second.directory is not None
            assert first.directory != second.directory
            assert first.directory.parent == short
            assert stat.S_IMODE(first.directory.stat().st_mode) == 0o700
            assert first.server_key is None
        assert list(short.iterdir()) == []
        first.remove()  # a second time does no harm

    def test_sockets_stand_in_it(self, short: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        with Endpoints("ipc") as endpoints:
            socket = context.socket(zmq.ROUTER)
            address = endpoints.bind(socket, "components")
            assert address == f"ipc://{endpoints.directory}/components"
            assert socket.linger == 0
            assert len(os.fsencode(address.removeprefix("ipc://"))) <= SOCKET_PATH_MAX
            socket.close()
        assert list(short.iterdir()) == []

    @pytest.mark.parametrize("kind", ["long", "missing", "unwritable", "a file", "empty"])
    def test_where_the_runtime_folder_does_not_serve_the_temporary_one_does(
        self, kind: str, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = tmp_path / ("x" * 120 if kind == "long" else kind)
        if kind == "long":
            first.mkdir()
        elif kind == "unwritable":
            monkeypatch.setattr("orchestrator.runtime.transport.tempfile.mkdtemp", _unless(first))
            first.mkdir()
        elif kind == "a file":
            first.touch()
        monkeypatch.setenv("XDG_RUNTIME_DIR", "" if kind == "empty" else str(first))
        monkeypatch.setattr(tempfile, "tempdir", str(short))
        with Endpoints("ipc") as endpoints:
            assert endpoints.directory is not None
            assert endpoints.directory.parent == short

    def test_a_long_temporary_folder_falls_back_to_the_last_resort(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = tmp_path / ("y" * 120)
        long.mkdir()
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(long))
        with Endpoints("ipc") as endpoints:
            assert endpoints.directory is not None
            assert endpoints.directory.parent == Path("/tmp")  # noqa: S108 - the last resort is what is tried
        assert not endpoints.directory.exists()

    def test_where_none_serves_the_message_says_what_was_tried(
        self, short: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestrator.runtime.transport.tempfile.mkdtemp", _unless(Path("/")))
        with pytest.raises(ReplayError, match=f"tried {short}.*REPLAY_TRANSPORT=tcp"):
            Endpoints("ipc")


def _unless(locked: Path):  # type: ignore[no-untyped-def]
    """`mkdtemp` on a system where nothing can be written below a folder; root may write anywhere."""
    real = tempfile.mkdtemp

    def mkdtemp(*, prefix: str, dir: str) -> str:  # noqa: A002 - the name of the real one
        if Path(dir).is_relative_to(locked):
            raise PermissionError(13, "Permission denied", dir)
        return real(prefix=prefix, dir=dir)

    return mkdtemp


class TestChoice:
    @pytest.mark.usefixtures("short")
    def test_ipc_where_it_exists(self) -> None:
        with Endpoints() as endpoints:
            assert endpoints.transport == "ipc"

    def test_tcp_where_it_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zmq, "has", lambda capability: capability != "ipc")
        with Endpoints() as endpoints:
            assert endpoints.transport == "tcp"
            assert endpoints.directory is None

    def test_the_environment_chooses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REPLAY_TRANSPORT", "tcp")
        with Endpoints() as endpoints:
            assert endpoints.transport == "tcp"

    def test_what_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REPLAY_TRANSPORT", "udp")
        with pytest.raises(ConfigError, match="'udp' is not known; use ipc or tcp"):
            Endpoints()


class TestCurve:
    @pytest.mark.parametrize("has_key", [True, False])
    def test_who_does_not_have_the_key_cannot_speak(
        self, has_key: bool, context: zmq.Context[zmq.Socket[bytes]]
    ) -> None:
        with Endpoints("tcp") as endpoints:
            server, client = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
            address = endpoints.bind(server, "components")
            assert address.startswith("tcp://127.0.0.1:")
            assert endpoints.server_key is not None
            connect_options(client, endpoints.server_key.decode() if has_key else None)
            assert client.linger == 0
            client.connect(address)
            client.send(b"hello")
            assert bool(server.poll(2_000 if has_key else 300)) == has_key
            server.close()
            client.close()

    def test_another_run_s_key_does_not_open_it(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        with Endpoints("tcp") as endpoints, Endpoints("tcp") as others:
            server, client = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
            address = endpoints.bind(server, "components")
            assert others.server_key is not None
            connect_options(client, others.server_key.decode())
            client.connect(address)
            client.send(b"hello")
            assert not server.poll(300)
            server.close()
            client.close()
