"""What the tests of the backend share: clients, a satellite, and sound to send."""

import asyncio
import base64
import inspect
import os
import shutil
import subprocess
import threading
import time
import wave
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import socketio
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fakes.engines import scripted
from jarvis_backend import server as server_module
from jarvis_backend.app import create_app
from jarvis_backend.config import SCHEMA, BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as wire

DEADLINE_S = 20
LOGIN = "/api/auth/login"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a coroutine test with a deadline, on the runner of its fixture ``loop`` if it has one."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = inspect.signature(pyfuncitem.function).parameters
    test = pyfuncitem.function(**{name: pyfuncitem.funcargs[name] for name in names})
    run = pyfuncitem.funcargs.get("loop", asyncio.run)
    run(asyncio.wait_for(test, 2 * DEADLINE_S))
    return True


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Remove the options that are set in the environment of the test run."""
    for name in list(os.environ):
        if name == "JARVIS_PASSWORD" or name.startswith(SCHEMA.env_prefix):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def patient_servers():
    """Servers have more time to stop than they promise: the promise has its own test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "STOP_S", DEADLINE_S)
        yield


class Satellite:
    """One connection to ``/voice``, and every event that it receives, in order."""

    def __init__(self, url: str, token: object) -> None:
        self.url = url
        self.token = token
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.refusal: Any = None
        self.gone = asyncio.Event()
        self._client = socketio.AsyncClient(
            reconnection=False, websocket_extra_options={"max_msg_size": 0}
        )
        self._client.on("*", self._told, namespace=wire.NAMESPACE)
        self._client.on("connect_error", self._refused, namespace=wire.NAMESPACE)
        self._client.on("disconnect", self._lost, namespace=wire.NAMESPACE)

    async def __aenter__(self):
        await self._client.connect(
            self.url,
            namespaces=[wire.NAMESPACE],
            auth=None if self.token is None else {"token": self.token},
            transports=["websocket"],
        )
        assert await self.next() == (wire.LISTENING, {})
        return self

    async def __aexit__(self, *_):
        await self._client.disconnect()

    async def say(self, event, *payload):
        await self._client.emit(event, payload, namespace=wire.NAMESPACE)

    async def start(self, agent_id="probe"):
        await self.say(wire.AUDIO_START, {"agentId": agent_id})
        assert await self.next() == (wire.LISTENING, {"agentId": agent_id})

    async def chunk(self, sound: bytes, agent_id="probe"):
        audio = base64.b64encode(sound).decode()
        await self.say(wire.AUDIO_CHUNK, {"agentId": agent_id, "audio": audio, "seq": 0})

    async def end(self, agent_id="probe"):
        await self.say(wire.AUDIO_END, {"agentId": agent_id})

    async def utter(self, sound: bytes, agent_id="probe"):
        await self.start(agent_id)
        await self.chunk(sound, agent_id)
        await self.end(agent_id)

    async def next(self):
        async with asyncio.timeout(DEADLINE_S):
            return await self.events.get()

    async def until(self, event):
        """Everything up to and including the next ``event``."""
        events = [await self.next()]
        while events[-1][0] != event:
            events.append(await self.next())
        return events

    async def fence(self):
        """Everything that comes before the answer to a ping that is sent now."""
        await self.say(wire.PING, {"agentId": "fence"})
        return (await self.until(wire.PONG))[:-1]

    def _told(self, event, *payload):
        self.events.put_nowait((event, payload[0] if payload else None))

    def _refused(self, reason):
        self.refusal = reason

    def _lost(self, *_):
        self.gone.set()


class AppClient(TestClient):
    """A client of an application in this process."""

    def log_in(self, password="jarvis"):
        return self.post(LOGIN, json={"password": password})

    def token(self):
        return self.log_in().json()["token"]

    def elsewhere(self, **options):
        """Another client of the same application."""
        return AppClient(self.app, **options)

    def close_code(self, path, **headers):
        """The code with which a WebSocket is refused."""
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            self.websocket_connect(path, headers=headers),
        ):
            pass
        return refused.value.code


@pytest.fixture(scope="session")
def app_client():
    """Make a client of a new application; the test enters it."""
    return lambda engines=None, client=("testclient", 50_000), **options: AppClient(
        create_app(BackendConfig(**options), engines or scripted()), client=client
    )


@pytest.fixture
def start_client(app_client):
    """Start clients of new applications; all end with the test."""
    with ExitStack() as running:
        yield lambda *arguments, **options: running.enter_context(app_client(*arguments, **options))


@pytest.fixture(scope="session")
def until():
    """Wait on the loop until a condition is true."""

    async def wait(condition):
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - processes and servers set no event of ours
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def leaves_no_thread():
    """Check at the end of the test that every thread it began has ended, or is just ending."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(2)  # asyncio's own waitpid threads say so a moment before they are gone
    assert set(threading.enumerate()) <= before


@pytest.fixture
def serve():
    """Start servers on free ports; all are stopped at the end."""
    running = []

    def start(engines=None, now=time.monotonic, **options):
        server = Server(BackendConfig(port=0, **options), engines, now=now)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def connect(log_in):
    """Log in to a server and make a satellite for it."""
    return lambda url: Satellite(url, log_in(url))


@pytest.fixture(scope="session")
def log_in():
    """Log in to a server, and return the token."""
    login = {"password": "jarvis"}
    return lambda url: requests.post(url + LOGIN, json=login, timeout=10).json()["token"]


@pytest.fixture(scope="session")
def plain(log_in):
    """Satellites of one server with scripted engines, for tests that change nothing in it."""
    with Server(BackendConfig(port=0, password="jarvis"), scripted()) as server:
        token = log_in(server.url)
        yield lambda: Satellite(server.url, token)


@pytest.fixture(scope="session")
def beep() -> bytes:
    """Half a second of something, as a WAV."""
    phase = np.arange(8000) * 2 * np.pi * 440 / 16_000
    return pcm_to_wav((np.sin(phase) * 8000).astype("<i2").tobytes())


@pytest.fixture(scope="session")
def flite(tmp_path_factory) -> Callable[..., np.ndarray]:
    """Sentences spoken by flite, as PCM16 at 16 kHz."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed: no speech to understand")
    folder = tmp_path_factory.mktemp("speech")

    def say(text: str, voice: str = "slt") -> np.ndarray:
        path = Path(folder, "speech.wav")
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", path], check=True, timeout=30)
        with wave.open(str(path)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")

    return say


@pytest.fixture(scope="session")
def what_time(flite) -> np.ndarray:
    """Half a second of silence, "what time is it", and 0.8 s of silence."""
    return np.concatenate(
        [np.zeros(8000, "<i2"), flite("what time is it"), np.zeros(12_800, "<i2")]
    )
