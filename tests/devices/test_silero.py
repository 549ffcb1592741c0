import numpy as np
import pytest

from fakes.hearing import frames_of
from fakes.recordings import Pcm, in_room, recording, to_pcm
from jarvis_ear.devices.models import SPEECH_WINDOW, Silero
from jarvis_ear.units import samples


def probabilities(sound: Pcm, gain: float = 1.0) -> list[float]:
    silero = Silero()
    return [silero.probability(frame.pcm, gain) for frame in frames_of(sound.tobytes())]


SPEECH = in_room(500, recording("what-time-is-it"), 500)


def speaking(found: list[float]) -> float:
    """Share of the frames in the middle of the spoken words that are called speech."""
    return float(np.mean(np.array(found[40:70]) >= 0.5))


def test_it_knows_speech_from_what_surrounds_it():
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


def test_gain_makes_very_quiet_speech_audible_to_it():
    words = recording("what-time-is-it")
    gain = 32768 * 10 ** (-60 / 20) / np.abs(words.astype(float)).max()
    quiet = in_room(500, words, 500, gain=gain, floor_rms=0.3)
    assert speaking(probabilities(quiet)) < 0.5
    assert speaking(probabilities(quiet, gain=31.6)) > 0.9


def test_too_much_gain_is_clipped_and_not_folded_over():
    assert speaking(probabilities(SPEECH, gain=31.6)) > 0.8


@pytest.mark.parametrize("cut", [1, 100, 320, 512, 4000])
def test_the_same_sound_in_any_pieces_has_the_same_probability(cut):
    whole, pieces = Silero(), Silero()
    pcm = SPEECH.tobytes()
    expected = whole.probability(pcm, 1.0)
    for at in range(0, len(pcm), 2 * cut):
        found = pieces.probability(pcm[at : at + 2 * cut], 1.0)
    assert found == expected


def test_reset_forgets_everything():
    silero = Silero()
    first = [silero.probability(frame.pcm, 1.0) for frame in frames_of(SPEECH.tobytes())]
    silero.probability(bytes(100), 1.0)
    silero.reset()
    assert silero.probability(bytes(2 * (SPEECH_WINDOW - 1)), 1.0) == 0.0
    silero.reset()
    assert [silero.probability(frame.pcm, 1.0) for frame in frames_of(SPEECH.tobytes())] == first
