import numpy as np
import pytest

from fakes.hearing import frames_of
from fakes.recordings import in_room, recording, spoken
from jarvis_ear.devices.models import WebRtcVad
from jarvis_ear.units import samples


def heard(mode: int, pcm: bytes) -> list[bool]:
    vad = WebRtcVad(mode)
    return [vad.is_speech(frame.pcm) for frame in frames_of(pcm)]


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_silence_is_no_speech(mode):
    assert not any(heard(mode, bytes(640 * 50)))


@pytest.mark.parametrize("name", ["hey-jarvis", "what-time-is-it"])
def test_speech_is_noticed_within_its_first_tenth_of_a_second(name):
    flags = heard(1, in_room(1000, recording(name)).tobytes())
    first = samples(1000) + spoken(recording(name))[0]
    assert flags.index(True) * 320 <= first + samples(100)
    assert sum(flags[50:]) > 0.7 * len(flags[50:])


def test_a_quiet_room_is_mostly_silent():
    flags = heard(1, in_room(10_000).tobytes())
    assert np.mean(flags) < 0.05


def test_mode_1_hears_what_mode_3_does_not():
    quiet = in_room(recording("hey-jarvis"), gain=0.005, floor_rms=1).tobytes()
    assert sum(heard(1, quiet)) > 2 * sum(heard(3, quiet))
