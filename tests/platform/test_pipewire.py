"""The whole ear on a real PipeWire, as PulseAudio's stand-in and by ALSA's own plug-in for it."""

import wave
from pathlib import Path

import numpy as np
import pytest

from fakes.pipewire import PipeWireServer, missing_pipewire
from fakes.running_ear import RunningEar

pytestmark = pytest.mark.long

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
OPTIONS = ("--speaker.device", "none", "--with-backend", "--log-transcripts")


@pytest.fixture
def speech() -> np.ndarray:
    with wave.open(str(RECORDING)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return np.concatenate([sound, np.zeros(16_000, np.int16)])


@pytest.fixture(params=["pulse", "pipewire"])
def server(request, tmp_path):
    missing = missing_pipewire(request.param)
    if missing is not None:
        pytest.skip(missing)
    made = PipeWireServer(tmp_path, request.param)
    made.start()
    yield made
    made.stop()


def test_it_is_heard_after_another_choice_and_after_a_restart(tmp_path, server, speech):
    with RunningEar(tmp_path / "ear", server.environment, *OPTIONS) as ear:
        with server.speaking("one", speech):
            ear.wait_for(": done")
            ear.wait_for("-> idle")
        with server.speaking("two", speech):
            server.choose("two")
            ear.wait_for(": done")
            ear.wait_for("-> idle")
        server.stop()
        ear.wait_for("microphone lost")
        ear.wait_until(lambda: ear.ask("status")["state"] == "deaf")
        server.start()
        with server.speaking("one", speech):
            ear.wait_until(lambda: ear.ask("status")["hearing"], within_s=8.0)
            ear.wait_for(": done")
    assert "Traceback" not in ear.told()
