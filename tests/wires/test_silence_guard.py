"""What goes ahead never holds a pause that could be taken for the end."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES
from jarvis_ear.wires.session import PAUSE_BYTES, SilenceGuard

LOUD = (np.ones(FRAME_SAMPLES) * 5000).astype("<i2").tobytes()
SOFT = (np.ones(FRAME_SAMPLES) * 400).astype("<i2").tobytes()
PAUSE = SOFT * (PAUSE_BYTES // FRAME_BYTES)


def test_speech_goes_ahead_with_the_short_pauses_in_it():
    hold = SilenceGuard()
    assert hold.add(LOUD + SOFT * 3) == LOUD
    assert hold.add(LOUD) == SOFT * 3 + LOUD
    assert hold.rest() == b""


def test_nothing_goes_ahead_behind_a_long_pause():
    hold = SilenceGuard()
    assert hold.add(LOUD + PAUSE) == LOUD
    assert hold.add(LOUD * 10) == b""
    assert hold.rest() == PAUSE + LOUD * 10


def test_before_the_first_word_all_is_as_loud_as_anything():
    assert SilenceGuard().add(SOFT * 3) == SOFT * 3
    assert SilenceGuard().add(bytes(3 * FRAME_BYTES)) == bytes(3 * FRAME_BYTES)


@given(
    st.lists(st.sampled_from([LOUD, SOFT, PAUSE, b"ab", bytes(FRAME_BYTES)]), max_size=12),
)
def test_all_of_it_comes_in_the_end_in_order_and_in_whole_frames(parts):
    hold = SilenceGuard()
    ahead = b"".join(hold.add(part) for part in parts)
    assert len(ahead) % FRAME_BYTES == 0
    said = b"".join(parts)
    whole = ahead + hold.rest()
    assert len(whole) % FRAME_BYTES == 0
    assert whole == said + bytes(len(whole) - len(said))
    assert len(whole) - len(said) < FRAME_BYTES


@given(st.lists(st.integers(1, 2000), max_size=30))
def test_however_it_was_cut(cuts):
    said, hold, other = LOUD * 3 + SOFT * 5 + LOUD + PAUSE + LOUD, SilenceGuard(), SilenceGuard()
    ahead, at = b"", 0
    for cut in [*cuts, len(said)]:
        ahead += hold.add(said[at : at + cut])
        at = min(len(said), at + cut)
    assert ahead == other.add(said)
