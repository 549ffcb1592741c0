"""The whole ear on a virtual sound card, with people who interrupt it and who hesitate."""

import numpy as np

from fakes.recordings import QUESTION, in_room, recording, spoken
from fakes.running_ear import RunningEar, run_verb
from fakes.vmic import NEEDS_CARD, vmic
from fakes.voice_server import Switches, VoiceServer
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, samples

pytestmark = NEEDS_CARD

TONE = (8000 * np.sin(np.arange(SAMPLE_RATE) * 0.2)).astype("<i2")
LOUD = 4000
"""Louder than any sound of the ear itself."""


def test_a_false_wake_word_pauses_what_is_said_and_a_command_ends_it(tmp_path):
    microphone = in_room(14_000, recording("hey-jarvis"), 10_000, recording(QUESTION), 60_000)
    card = vmic(tmp_path, microphone)
    file = tmp_path / "long.wav"
    file.write_bytes(pcm_to_wav(np.tile(TONE, 60).tobytes()))
    with RunningEar(tmp_path, card.environment, "--with-backend", "--log-transcripts") as ear:
        ear.wait_connected()
        run_verb(ear.environment, "say", str(file))
        ear.wait_for("idle -> speaking")
        ear.wait_for("speaking -> listening: heard")
        ear.wait_for("nothing newer was said: the turn continues")
        ear.wait_for("listening -> speaking: no speech")
        ear.wait_for("speaking -> listening: heard")
        ear.wait_for('understood "what time is')  # the recogniser may take "it" for "a"
        ear.wait_for(": done")
        log = ear.told()
    assert "Traceback" not in log
    played = np.frombuffer((tmp_path / "played.raw").read_bytes(), "<i2")
    loud = np.flatnonzero(np.abs(played.astype(int)) > LOUD)
    gaps_s = np.diff(loud)[np.diff(loud) > SAMPLE_RATE] / SAMPLE_RATE
    assert 4.0 < gaps_s[0] < 6.5, "the pause after the false wake word"
    assert "interrupted" in log


def test_a_command_with_a_pause_in_it_is_understood_whole(tmp_path):
    word, command = recording("hey-jarvis"), recording("what-time-is-it")
    first, end = spoken(command)
    middle = (first + end) // 2
    sound = in_room(6000, word, 700, command[:middle], 1000, command[middle:], 30_000)
    card = vmic(tmp_path, sound)
    with VoiceServer(tmp_path / "server", Switches(reply="late_first")) as server:
        environment = {**card.environment, "JARVIS_PASSWORD": server.switches.password}
        with RunningEar(tmp_path, environment, "--backend-url", server.url) as ear:
            ear.wait_for("thinking -> capturing: speech resumed")
            ear.wait_for("superseded (committed)", "the whole sentence is turn")
            ear.wait_for(": done", "continues turn")
            log = ear.told()
    assert "Traceback" not in log
    half, whole = (line["bytes"] for line in server.received("run"))
    assert whole > half + SAMPLE_BYTES * samples(1000)
