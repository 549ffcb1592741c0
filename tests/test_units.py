from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear import units
from jarvis_ear.units import frames, milliseconds, samples, seconds

DURATIONS_MS = st.integers(min_value=0, max_value=24 * 3600 * 1000)


def test_the_sizes_agree_with_each_other():
    assert samples(20) == units.FRAME_SAMPLES == 320
    assert samples(80) == units.STEP_SAMPLES == units.STEP_FRAMES * units.FRAME_SAMPLES
    assert units.FRAME_BYTES == 640
    assert (milliseconds(15), milliseconds(31)) == (0, 1)  # fractions are dropped
    assert seconds(24_000) == 1.5


@given(DURATIONS_MS)
def test_milliseconds_survive_the_way_to_samples_and_back(duration_ms):
    assert milliseconds(samples(duration_ms)) == duration_ms


@given(DURATIONS_MS)
def test_frames_cover_a_duration_and_no_more(duration_ms):
    covered = frames(duration_ms) * units.FRAME_SAMPLES
    assert samples(duration_ms) <= covered < samples(duration_ms) + units.FRAME_SAMPLES
