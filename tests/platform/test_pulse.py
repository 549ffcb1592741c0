"""The whole ear on a real PulseAudio server, through ALSA's plug-in for it."""

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from fakes.pulse import PulseServer, missing_pulse
from fakes.running_ear import RunningEar

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(missing_pulse() is not None, reason=str(missing_pulse())),
]

HERE = Path(__file__).parent
RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
OPTIONS = ("--speaker.device", "none", "--with-backend", "--log-transcripts")


@pytest.fixture
def speech() -> np.ndarray:
    with wave.open(str(RECORDING)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@pytest.fixture
def server(tmp_path):
    made = PulseServer(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_question_is_understood_after_another_microphone_was_chosen_too(tmp_path, server, speech):
    with RunningEar(tmp_path, server.environment, *OPTIONS) as ear:
        with server.speaking("one", speech):
            ear.wait_for('understood "what time is it"')
            ear.wait_for("-> idle")
        with server.speaking("two", speech):
            server.choose("two")
            ear.wait_for('understood "what time is it"')
            assert ear.ask("status")["hearing"]
    assert "Traceback" not in ear.told()


def test_a_server_that_is_restarted_is_heard_again(tmp_path, server, speech):
    quiet = np.zeros(16_000, np.int16)
    with (
        RunningEar(tmp_path, server.environment, *OPTIONS) as ear,
        server.speaking("one", np.concatenate([speech, quiet])),
    ):
        ear.wait_until(lambda: ear.ask("status")["hearing"])
        server.stop()
        ear.wait_for("microphone lost")
        ear.wait_until(lambda: ear.ask("status")["state"] == "deaf")
        server.start()
        ear.wait_until(lambda: ear.ask("status")["hearing"], within_s=8.0)
        ear.wait_for('understood "what time is it"')
    assert "Traceback" not in ear.told()


def test_a_server_that_dies_while_we_hold_its_sound_lets_go_of_us(server, speech):
    program = subprocess.Popen(
        [sys.executable, HERE / "holding_program.py"],
        env=server.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with server.speaking("one", speech):
            assert program.stdout.readline() == "held\n"
            server.stop()
        said, _ = program.communicate("go on\n", timeout=15)
    finally:
        program.kill()
        program.communicate()
    assert said == "lost\n"


def test_the_monitor_of_the_loudspeaker_is_called_one_and_the_microphone_is_heard_again(
    tmp_path, server, speech
):
    server.choose("speaker.monitor")
    with RunningEar(tmp_path, server.environment, *OPTIONS) as ear:
        ear.wait_for("'default' is the monitor of a loudspeaker, not a microphone")
        ear.wait_until(lambda: ear.ask("status")["state"] == "deaf", within_s=25.0)
        report = ear.ask("status")
        assert report["hears_own_speaker"]
        assert "gives only zeros: a monitor, and no microphone" in report["deaf_reason"]
        with server.speaking("one", speech):
            server.choose("one")
            ear.wait_for('understood "what time is it"')
            assert not ear.ask("status")["hears_own_speaker"]
    listed = subprocess.run(
        [sys.executable, "-m", "jarvis_ear", "devices"],
        env=server.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "monitor" not in listed.stdout
    server.choose("speaker.monitor")
    listed = subprocess.run(
        [sys.executable, "-m", "jarvis_ear", "devices"],
        env=server.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "default  (ALSA, 44100 Hz, 32 channels): the monitor of a loudspeaker" in listed.stdout
