"""The whole ear starts without what it needs, and heals by itself when that comes."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.notify import NotifySocket
from fakes.recordings import in_room
from fakes.running_ear import LEVERED, RunningEar
from fakes.vmic import missing_tools, vmic
from fakes.voice_server import Switches, VoiceServer

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools())),
]


@contextmanager
def started(folder: Path, server: VoiceServer, manager: NotifySocket, **more: str):
    """Start an ear as a service whose backend has a name that has to be looked up."""
    environment = {
        **vmic(folder, in_room(20_000)).environment,
        **manager.environment,
        "BACKEND_URL": server.url.replace("127.0.0.1", "localhost"),
        "JARVIS_PASSWORD": Switches().password,
        **more,
    }
    silent = ("--speaker.device", "none")
    with RunningEar(folder, environment, *silent, program=LEVERED) as ear:
        yield ear


@pytest.fixture
def manager(tmp_path):
    with NotifySocket(tmp_path) as listening:
        yield listening


def test_without_a_backend(tmp_path, manager):
    server = VoiceServer(tmp_path)
    with started(tmp_path, server, manager) as ear:
        manager.wait_for("READY")
        manager.wait_for("STATUS", "listening, backend away since")
        with server:
            ear.wait_connected(40)


def test_without_a_name_server(tmp_path, manager):
    (tmp_path / "resolver").touch()
    with VoiceServer(tmp_path) as server, started(tmp_path, server, manager) as ear:
        manager.wait_for("READY")
        manager.wait_for("STATUS", "listening, backend away since")
        (tmp_path / "resolver").unlink()
        ear.wait_connected(40)


def test_without_a_session_and_with_a_home_that_cannot_be_written(tmp_path, manager):
    gone = {"HOME": "/proc", "XDG_RUNTIME_DIR": "", "DBUS_SESSION_BUS_ADDRESS": ""}
    with VoiceServer(tmp_path) as server, started(tmp_path, server, manager, **gone) as ear:
        manager.wait_for("READY")
        ear.wait_connected()
        assert ear.status()["hearing"]
        assert "Traceback" not in ear.told()
