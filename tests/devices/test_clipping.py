import numpy as np
import pytest

from jarvis_ear.devices.sound_faults import ClippingMeter

RATE = 16_000


def second(clipped: int, value: int = 32_767) -> np.ndarray:
    return np.concatenate([np.full(clipped, value), np.full(RATE - clipped, 1000)]).astype(np.int16)


def heard(*seconds: np.ndarray) -> ClippingMeter:
    meter = ClippingMeter()
    for one in seconds:
        meter.hear(one, RATE)
    return meter


def test_before_any_sound_nothing_is_clipped():
    assert (ClippingMeter().share, ClippingMeter().is_too_much) == (0.0, False)


@pytest.mark.parametrize(
    ("value", "share"), [(32_767, 0.5), (-32_768, 0.5), (-32_767, 0.5), (32_766, 0), (-32_766, 0)]
)
def test_a_sample_at_an_end_of_the_scale_is_clipped(value, share):
    assert heard(second(RATE // 2, value)).share == share


def test_the_share_is_that_of_the_last_minute():
    seconds = [second(RATE)] * 30 + [second(0)] * 30
    assert heard(*seconds).share == 0.5
    assert heard(*seconds, *[second(0)] * 15).share == 0.25
    assert heard(*seconds, *[second(0)] * 30).share == 0


def test_pieces_of_any_length_make_a_second():
    meter = ClippingMeter()
    for piece in np.array_split(second(160), 25):
        assert meter.share == 0
        meter.hear(piece, RATE)
    assert meter.share == 0.01


@pytest.mark.parametrize(("clipped", "is_too_much"), [(959, False), (960, True)])
def test_one_sample_in_a_thousand_of_a_minute_is_too_much(clipped, is_too_much):
    assert heard(second(clipped)).is_too_much is is_too_much
    assert heard(*[second(0)] * 59, second(clipped)).is_too_much is is_too_much
    assert not heard(second(clipped), *[second(0)] * 60).is_too_much
