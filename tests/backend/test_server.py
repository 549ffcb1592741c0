"""The server on its thread: it starts, stops, and leaves nothing behind."""

import asyncio
import socket
import time

import pytest
import requests
import uvicorn

from fakes.engines import ScriptedEar, ScriptedVoice, scripted
from jarvis_backend import server as server_module
from jarvis_backend.config import BackendConfig
from jarvis_backend.errors import AddressInUse, JarvisBackendError
from jarvis_backend.server import STOP_S, Server
from jarvis_ear.wires import socketio as wire


def server(engines=None, **options):
    return Server(BackendConfig(port=0, **options), engines or scripted())


@pytest.mark.usefixtures("leaves_no_thread")
def test_a_server_accepts_after_start_and_is_gone_after_stop():
    ear = ScriptedEar()
    one = server(scripted(stt=ear))
    url = one.start()
    assert requests.get(f"{url}/health", timeout=10).json() == {"status": "healthy"}
    one.stop()
    assert ear.closed
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=10)
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
        pass


def test_a_server_can_be_started_again_and_stopped_twice():
    one = server()
    one.stop()
    for _ in range(2):
        with one:
            assert requests.get(f"{one.url}/health", timeout=10).ok
    one.stop()


def test_a_server_starts_once():
    with server() as one, pytest.raises(JarvisBackendError, match="expected one start per stop"):
        one.start()


@pytest.mark.usefixtures("leaves_no_thread")
async def test_a_server_stops_with_a_satellite_in_the_middle_of_a_reply(connect, beep):
    await stop_in_a_reply(connect, beep)


@pytest.mark.long
async def test_a_server_stops_within_two_seconds_in_a_reply(connect, beep, monkeypatch):
    monkeypatch.setattr(server_module, "STOP_S", STOP_S)
    assert await stop_in_a_reply(connect, beep) < STOP_S


async def stop_in_a_reply(connect, beep):
    """Have a satellite spoken to, stop the server, and return how long that took."""
    voice = ScriptedVoice(hangs=True)
    one = server(scripted(tts=voice))
    async with connect(one.start()) as ear:
        await ear.utter(beep)
        await ear.until(wire.THINKING)
        started = time.monotonic()
        await asyncio.to_thread(one.stop)
        took = time.monotonic() - started
        async with asyncio.timeout(10):
            await ear.gone.wait()
    assert len(voice.cancelled) == len(voice.asked)
    return took


def test_a_taken_port_and_an_address_of_another_machine_are_errors():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for host, port in (taken.getsockname(), ("192.0.2.1", 0)):
            with pytest.raises(AddressInUse, match=f"^cannot listen on {host}:{port}: "):
                Server(BackendConfig(host=host, port=port), scripted()).start()


@pytest.mark.parametrize(
    ("host", "url"),
    [("localhost", "http://127"), ("0.0.0.0", "http://127.0.0.1:")],  # noqa: S104 - configured, never bound here
)
def test_the_url_can_be_used_on_this_machine(host, url):
    with server(host=host) as one:
        assert one.url.startswith(url)
        assert requests.get(f"{one.url}/health", timeout=10).ok


def test_a_stop_that_is_asked_for_too_early_is_not_lost():
    ear = ScriptedEar()
    one = server(scripted(stt=ear))
    one.ask_to_stop()
    one.start()
    one.wait()
    one.stop()
    assert ear.closed


@pytest.mark.usefixtures("leaves_no_thread")
def test_an_application_that_cannot_start_is_an_error_and_leaves_no_thread(monkeypatch):
    async def fail(self, sockets=None):
        self.should_exit = True

    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    with pytest.raises(JarvisBackendError, match="did not start"):
        server().start()


def test_an_application_that_cannot_be_built_leaves_no_port(monkeypatch):
    ports = []

    def refuse(*_arguments):
        raise RuntimeError("no")

    listen = server_module.listen
    monkeypatch.setattr(server_module, "listen", lambda *at: ports.append(listen(*at)) or ports[0])
    monkeypatch.setattr(server_module, "_settings", refuse)
    with pytest.raises(RuntimeError):
        server().start()
    assert ports[0].fileno() == -1


def test_short_messages_leave_at_once():
    with server_module.listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
