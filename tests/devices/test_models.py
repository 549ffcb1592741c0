import os
import subprocess
import sys

import numpy as np
import pytest

from fakes.hearing import frames_of
from fakes.recordings import Pcm, in_room, recording, spoken, to_pcm
from jarvis_ear.config import EndpointingOptions, HearingOptions, WakeOptions
from jarvis_ear.devices import models
from jarvis_ear.devices.models import SPEECH_WINDOW, EarFactory, Silero, WebRtcVad
from jarvis_ear.devices.openwakeword import shipped_model
from jarvis_ear.errors import ConfigError
from jarvis_ear.units import samples

LOAD = """
import json, sys, threading
from jarvis_ear.devices.models import Silero, WebRtcVad
from jarvis_ear.devices.openwakeword import OpenWakeWord
WebRtcVad(1).is_speech(bytes(640))
Silero().probability(bytes(6400), 1.0)
OpenWakeWord().score(bytes(25600))
heavy = {"openwakeword", "scipy", "sklearn", "joblib", "tqdm", "requests", "pkg_resources"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_models_load_no_heavy_package_and_leave_nothing_at_home(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"
    assert list(tmp_path.iterdir()) == []


# The speech model

SPEECH = in_room(500, recording("what-time-is-it"), 500)


def probabilities(sound: Pcm, gain: float = 1.0, silero: Silero | None = None) -> list[float]:
    silero = silero or Silero()
    return [silero.probability(frame.pcm, gain) for frame in frames_of(sound.tobytes())]


def speaking(found: list[float]) -> float:
    """Share of the frames in the middle of the spoken words that are called speech."""
    return float(np.mean(np.array(found[40:70]) >= 0.5))


def test_silero_tells_speech_from_the_room():
    found = probabilities(SPEECH)
    assert speaking(found) > 0.9
    assert max(found[:25]) < 0.2
    assert max(found[-10:]) < 0.2


@pytest.mark.parametrize("rms", [1, 8, 100, 3000])
def test_noise_is_no_speech(rms):
    assert np.mean(np.array(probabilities(in_room(5000, floor_rms=rms))) >= 0.5) < 0.02


def test_a_hum_is_no_speech():
    hum = to_pcm(5000 * np.sin(2 * np.pi * 100 * np.arange(samples(3000)) / 16_000))
    assert max(probabilities(hum)) < 0.3


def test_gain_makes_very_quiet_speech_recognizable_and_clips_loud_speech():
    words = recording("what-time-is-it")
    gain = 32768 * 10 ** (-60 / 20) / np.abs(words.astype(float)).max()
    quiet = in_room(500, words, 500, gain=gain, floor_rms=0.3)
    assert speaking(probabilities(quiet)) < 0.5
    assert speaking(probabilities(quiet, gain=31.6)) > 0.9
    assert speaking(probabilities(SPEECH, gain=31.6)) > 0.8


@pytest.mark.parametrize("cut", [1, 100, 320, 512, 4000])
def test_the_same_sound_in_any_pieces_has_the_same_probability(cut):
    pieces, pcm = Silero(), SPEECH.tobytes()
    for at in range(0, len(pcm), 2 * cut):
        found = pieces.probability(pcm[at : at + 2 * cut], 1.0)
    assert found == Silero().probability(pcm, 1.0)


def test_the_network_is_loaded_when_it_is_needed_and_its_state_survives_an_unloading():
    silero, half = Silero(), 50 * 320
    assert silero._model is None
    first = probabilities(SPEECH[:half], silero=silero)
    silero.unload()
    assert silero._model is None
    assert first + probabilities(SPEECH[half:], silero=silero) == probabilities(SPEECH)


@pytest.mark.parametrize("content", [b"", shipped_model("silero_vad.onnx").read_bytes()[:-1]])
def test_another_file_is_tried_at_once(monkeypatch, tmp_path, content):
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(content)
    monkeypatch.setattr(models, "shipped_model", lambda _name: path)
    with pytest.raises(ConfigError, match=r"silero_vad\.onnx is not a model that onnxruntime"):
        Silero()


def test_reset_forgets_everything():
    silero = Silero()
    first = probabilities(SPEECH, silero=silero)
    silero.probability(bytes(100), 1.0)
    silero.reset()
    assert silero.probability(bytes(2 * (SPEECH_WINDOW - 1)), 1.0) == 0.0
    silero.reset()
    assert probabilities(SPEECH, silero=silero) == first


# The gate


def speech_flags(mode: int, pcm: bytes) -> list[bool]:
    vad = WebRtcVad(mode)
    return [vad.is_speech(frame.pcm) for frame in frames_of(pcm)]


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_silence_is_no_speech(mode):
    assert not any(speech_flags(mode, bytes(640 * 50)))


@pytest.mark.parametrize("name", ["hey-jarvis", "what-time-is-it"])
def test_speech_is_noticed_within_its_first_tenth_of_a_second(name):
    flags = speech_flags(1, in_room(1000, recording(name)).tobytes())
    first = samples(1000) + spoken(recording(name))[0]
    assert flags.index(True) * 320 <= first + samples(100)
    assert sum(flags[50:]) > 0.7 * len(flags[50:])


def test_a_quiet_room_is_mostly_silent():
    assert np.mean(speech_flags(1, in_room(10_000).tobytes())) < 0.05


def test_mode_1_notices_more_than_mode_3():
    quiet = in_room(recording("hey-jarvis"), gain=0.005, floor_rms=1).tobytes()
    assert sum(speech_flags(1, quiet)) > 2 * sum(speech_flags(3, quiet))


# Ears for changing options


def test_the_models_are_loaded_once():
    ears = EarFactory()
    first = ears.make(HearingOptions())
    second = ears.make(HearingOptions(endpointing=EndpointingOptions(hangover_ms=300)))
    assert first is not second
    assert first._detector._model is second._detector._model
    assert first._speech_model is second._speech_model


def test_another_wake_word_is_another_model(tmp_path):
    ears, path = EarFactory(), tmp_path / "computer.onnx"
    path.write_bytes(shipped_model("hey_jarvis_v0.1.onnx").read_bytes())
    first, computer = HearingOptions(), HearingOptions(wake=WakeOptions(model=path))
    assert ears.make(computer)._detector._model is not ears.make(first)._detector._model
    names = [hearing.wake.all_words[0].name for hearing in (computer, first)]
    assert names == ["computer", "Hey Jarvis"]


def test_a_file_that_is_no_model_does_not_replace_the_model(tmp_path):
    ears = EarFactory()
    first = ears.make(HearingOptions())
    with pytest.raises(ConfigError, match="not a model"):
        ears.make(HearingOptions(wake=WakeOptions(model=tmp_path / "none.onnx")))
    assert ears.make(HearingOptions())._detector._model is first._detector._model
