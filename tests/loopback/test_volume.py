""" "Louder", said to the reference backend: on every wire, and with both programs."""

import json
import os
from datetime import datetime
from queue import Queue

import pytest
from pydantic import SecretStr

from fakes.engines import ScriptedEar, scripted
from fakes.recordings import QUESTION, recording
from fakes.running_ear import RunningEar, run_verb
from jarvis_backend.brain import HouseholdBrain
from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import Finished, VolumeRequest

PASSWORD = "open sesame"
QUIET = bytes(2 * 16_000 * 2)
"""Two seconds."""


@pytest.fixture
def backend(tmp_path):
    """The reference backend in this process: it understands "louder", whatever is said."""
    brain = HouseholdBrain(lambda: datetime.now().astimezone(), tmp_path / "household")
    engines = scripted(stt=ScriptedEar("a bit louder please"), brain=brain)
    with Server(BackendConfig(port=0, password=PASSWORD), engines) as server:
        yield server.url


@pytest.mark.parametrize("protocol", ["socketio", "voice-ws", "session", "realtime"])
def test_every_wire_carries_what_the_backend_asks(backend, protocol):
    ends = Queue()
    options = BackendOptions(url=backend, protocol=protocol, password=SecretStr(PASSWORD))

    def note(event):
        if isinstance(event, Finished):
            ends.put(event)

    with BackendClient(options, on_event=note) as client:
        client.send_audio(recording(QUESTION).tobytes())
        assert ends.get(timeout=20).volume == VolumeRequest(change=5)


def test_the_ear_is_louder_and_a_restart_knows_it(backend, tmp_path):
    speaker = ("--speaker.device", "no such speaker", "--speaker.volume", "50")
    told = {**os.environ, "JARVIS_PASSWORD": PASSWORD}
    options = ("--input", "-", "--backend-url", backend, "--log-format", "json", *speaker)
    heard, microphone = os.pipe()

    def volume(ear):
        shown = run_verb(ear.environment, "status", "--json", check=False).stdout
        return json.loads(shown)["volume_percent"]

    with os.fdopen(microphone, "wb", buffering=0) as sound, os.fdopen(heard) as stdin:
        with RunningEar(tmp_path, told, *options, stdin=stdin.fileno()) as ear:
            ear.wait_connected()
            sound.write(recording(QUESTION).tobytes() + QUIET)
            record = json.loads(ear.wait_for("VolumeSet"))
            assert (record["VOLUME_PERCENT"], record["SET_BY"]) == (55, "backend")
            assert volume(ear) == 55
        with RunningEar(tmp_path, told, *options, stdin=stdin.fileno()) as ear:
            ear.wait_connected()
            assert volume(ear) == 55
