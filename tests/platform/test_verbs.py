"""The verbs that have the ear speak, listen and be silent, on a virtual sound card."""

import time
from pathlib import Path

import numpy as np
import pytest

from fakes.recordings import in_room
from fakes.running_ear import RunningEar, run_verb
from fakes.vmic import NEEDS_CARD, vmic
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder

pytestmark = NEEDS_CARD

TONE = (8000 * np.sin(np.arange(16_000) * 0.2)).astype("<i2")


@pytest.fixture
def ear(tmp_path):
    card = vmic(tmp_path, in_room(120_000))
    with RunningEar(tmp_path, card.environment, "--with-backend") as ear:
        ear.wait_connected()
        ear.wait_hearing()
        yield ear
        assert "Traceback" not in "".join(ear.log)


def verb(ear, *words, check=True):
    return run_verb(ear.environment, *words, check=check)


def test_a_sound_file_and_a_text_are_heard(ear, tmp_path):
    file = tmp_path / "tone.wav"
    file.write_bytes(pcm_to_wav(TONE.tobytes()))
    for what in (str(file), "Dinner is ready"):
        verb(ear, "say", what)
        ear.wait_for("1 chunk of speech")
    played = np.frombuffer((tmp_path / "played.raw").read_bytes(), "<i2")
    assert np.abs(played).max() > 4000


def test_a_stop_ends_what_is_said(ear, tmp_path):
    file = tmp_path / "long.wav"
    file.write_bytes(pcm_to_wav(np.tile(TONE, 60).tobytes()))
    verb(ear, "say", str(file))
    ear.wait_for("idle -> speaking")
    verb(ear, "stop")
    ear.wait_for("1 chunk of speech; interrupted")
    ear.wait_for("speaking -> idle: hushed")


def test_the_ear_listens_on_request_for_five_seconds_and_not_while_it_is_muted(ear):
    verb(ear, "listen")
    ear.wait_for("idle -> listening: listen requested")
    began = time.monotonic()
    ear.wait_for("listening -> idle: no speech")
    assert 4 < time.monotonic() - began < 8
    verb(ear, "mute")
    refused = verb(ear, "listen", check=False)
    assert refused.returncode == 1
    assert refused.stderr == "jarvis-ear: the microphone is muted: jarvis-ear unmute\n"
    assert verb(ear, "mute", "1s").stdout.startswith("muted by the owner until ")
    ear.wait_for("muted -> idle: unmuted")  # by itself


def test_a_clip_is_played_by_the_running_ear_or_else_by_the_verb(tmp_path):
    card = vmic(tmp_path, in_room(120_000))
    running = RunningEar(tmp_path, card.environment, "--with-backend")
    words = ("0123abcd", "wake", "2026-01-02T03:04:05.678+00:00", 0.83, 0.5, "Hey Jarvis")
    with ClipFolder(Path(running.environment["STATE_DIRECTORY"]) / FOLDER) as clips:
        clips.add(Clip(*words, -21.4, -60.2, 0.0, 1.0), pcm_to_wav(TONE.tobytes()))
    assert verb(running, "events", "play", "0123").stderr == ""  # no ear runs
    assert np.abs(np.frombuffer(card.played.read_bytes(), "<i2")).max() > 4000
    with running as ear:
        ear.wait_hearing()
        verb(ear, "events", "play", "0123")
        ear.wait_for("1 chunk of speech")
