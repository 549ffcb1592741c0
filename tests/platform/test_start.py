"""The whole ear starts without what it needs, and heals by itself when that comes."""

from pathlib import Path

from fakes.recordings import in_room
from fakes.running_ear import EarService
from fakes.vmic import NEEDS_CARD
from fakes.voice_server import VoiceServer

pytestmark = NEEDS_CARD


def started(folder: Path, server: VoiceServer, **environment: str) -> EarService:
    """An ear whose backend has a name that has to be looked up."""
    url = server.url.replace("127.0.0.1", "localhost")
    silent = ("--speaker.device", "none")
    return EarService(folder, in_room(20_000), *silent, BACKEND_URL=url, **environment)


def test_without_a_backend(tmp_path):
    server = VoiceServer(tmp_path)
    with started(tmp_path, server) as service:
        service.manager.wait_for("READY")
        service.until("listening, backend away since")
        with server:
            service.ear.wait_connected(40)


def test_without_a_name_server(tmp_path):
    (tmp_path / "resolver").touch()
    with VoiceServer(tmp_path) as server, started(tmp_path, server) as service:
        service.manager.wait_for("READY")
        service.until("listening, backend away since")
        (tmp_path / "resolver").unlink()
        service.ear.wait_connected(40)


def test_without_a_session_and_with_a_home_that_cannot_be_written(tmp_path):
    gone = {"HOME": "/proc", "XDG_RUNTIME_DIR": "", "DBUS_SESSION_BUS_ADDRESS": ""}
    with VoiceServer(tmp_path) as server, started(tmp_path, server, **gone) as service:
        service.manager.wait_for("READY")
        service.ear.wait_connected()
        assert service.ear.status()["hearing"]
        assert "Traceback" not in service.ear.told()
