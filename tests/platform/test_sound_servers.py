"""The whole ear on a real PulseAudio or PipeWire, through ALSA's plug-ins for them."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fakes.recordings import QUESTION, recording
from fakes.running_ear import RunningEar, run_verb
from fakes.sound_server import PipeWireServer, PulseServer, missing_pipewire, missing_pulse

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
OPTIONS = ("--speaker.device", "none", "--with-backend", "--log-transcripts")
SPEECH = np.concatenate([recording(QUESTION), np.zeros(16_000, np.int16)])


@contextmanager
def serving(folder, missing, kind, *plugin):
    if missing is not None:
        pytest.skip(missing)
    with kind(folder, *plugin) as server:
        yield server


@pytest.fixture
def pulse(tmp_path):
    with serving(tmp_path, missing_pulse(), PulseServer) as server:
        yield server


@pytest.fixture(params=["pulseaudio", "pulse", "pipewire"])
def server(request, tmp_path):
    """PulseAudio; PipeWire as its stand-in; and PipeWire by ALSA's own plug-in for it."""
    plugin = request.param
    kind, missing = PipeWireServer, missing_pipewire
    if plugin == "pulseaudio":
        plugin, kind, missing = "pulse", PulseServer, lambda _: missing_pulse()
    with serving(tmp_path, missing(plugin), kind, plugin) as server:
        yield server


def test_it_is_heard_after_another_choice_and_after_a_restart(server, tmp_path):
    """PipeWire changes the sound: sometimes other words are understood."""
    answered = 'understood "what time is it"' if isinstance(server, PulseServer) else ": done"
    with RunningEar(tmp_path / "ear", server.environment, *OPTIONS) as ear:
        for name in ("one", "two"):
            with server.speaking(name, SPEECH):
                server.choose(name)
                ear.wait_for(answered)
                assert ear.status()["hearing"]
                ear.wait_for("-> idle")
        server.stop()
        ear.wait_for("microphone lost")
        ear.wait_deaf()
        server.start()
        with server.speaking("one", SPEECH):
            ear.wait_hearing(8.0)
            ear.wait_for(answered)
    assert "Traceback" not in ear.told()


def test_a_server_that_dies_while_we_hold_its_sound_lets_go_of_us(pulse):
    program = subprocess.Popen(
        [sys.executable, HERE / "holding_program.py"],
        env=pulse.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with pulse.speaking("one", SPEECH):
            assert program.stdout.readline() == "held\n"
            pulse.stop()
        said, _ = program.communicate("go on\n", timeout=15)
    finally:
        program.kill()
        program.communicate()
    assert said == "lost\n"


def test_the_monitor_of_the_loudspeaker_is_called_one_and_the_microphone_is_heard_again(
    tmp_path, pulse
):
    pulse.choose("speaker.monitor")
    with RunningEar(tmp_path, pulse.environment, *OPTIONS) as ear:
        ear.wait_for("'default' is the monitor of a loudspeaker")
        ear.wait_deaf(25.0)
        report = ear.status()
        assert report["hears_own_speaker"]
        assert "gives only zeros: a monitor, and no microphone" in report["deaf_reason"]
        with pulse.speaking("one", SPEECH):
            pulse.choose("one")
            ear.wait_for('understood "what time is it"')
            assert not ear.status()["hears_own_speaker"]
    assert "monitor" not in run_verb(pulse.environment, "devices").stdout
    pulse.choose("speaker.monitor")
    listed = run_verb(pulse.environment, "devices").stdout
    assert "default  (ALSA, 44100 Hz, 32 channels): the monitor of a loudspeaker" in listed
