import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.wav import WavError, WavReader, pcm_to_wav


def stereo(pcm: np.ndarray) -> bytes:
    sound = bytearray(pcm_to_wav(pcm.astype("<i2").tobytes()))
    sound[22] = 2  # channels
    sound[32] = 4  # bytes of one sample of both
    return bytes(sound)


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_pieces_of_any_length_are_the_whole(lengths):
    pcm = np.arange(1000, dtype=np.int16)
    reader = WavReader(io.BytesIO(pcm_to_wav(pcm.tobytes()) + b"trailing chunk"))
    got = np.concatenate([reader.read(length) for length in lengths])
    assert np.array_equal(got, pcm[: len(got)])
    assert len(got) == min(1000, sum(lengths))
    assert reader.missing_bytes == 2000 - 2 * len(got)


def test_channels_are_mixed():
    reader = WavReader(io.BytesIO(stereo(np.array([[10, 20], [30, 40]]))))
    assert reader.format.channels == 2
    assert reader.read(5).tolist() == [15, 35]


def test_a_file_that_was_cut_off_says_how_much_is_missing():
    reader = WavReader(io.BytesIO(pcm_to_wav(bytes(100))[:-20]))
    assert len(reader.read(1000)) == 40
    assert len(reader.read(1000)) == 0
    assert (reader.missing_bytes, reader.read_bytes) == (20, 80)


def test_an_endless_file_is_never_cut_off():
    sound = bytearray(pcm_to_wav(bytes(100)))
    sound[40:44] = b"\xff\xff\xff\xff"
    reader = WavReader(io.BytesIO(bytes(sound)))
    assert len(reader.read(1000)) == 50
    assert reader.missing_bytes == 0


def test_something_else_is_refused():
    with pytest.raises(WavError):
        WavReader(io.BytesIO(b"fLaC"))
